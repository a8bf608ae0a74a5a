"""All that an alert's page tells of its evidence, read once: the marks, their sums, the proof, and what else
the person did within a day around it. A few alerts' are kept in memory, for as long as nothing of them
changed: in its first day for a minute, since events that come meanwhile are seen around it too.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select

from server.alerts.blind_spots import BlindSpot, blind_spots
from server.alerts.event_ranges import EventRange, joined, without
from server.alerts.evidence import EVENTS_READ_MAX, stored_events
from server.alerts.evidence_blocks import alert_ranges
from server.alerts.evidence_marks import EvidenceMark, mark_of
from server.alerts.evidence_search import Choices, choices
from server.alerts.evidence_tally import Evidence, EvidenceTally
from server.alerts.proof import EvidenceProof, verify_evidence
from server.alerts.queries import Alert
from server.people.directory import people_version
from server.store.tables import collector_days, erasures, event_blocks, leaver_versions, subject_events

MARKS_MAX: Final = 20_000
"""Most events of one alert that are listed; the sums are of all."""
CONTEXT_MAX: Final = 2_000
"""Most other events within a day around it that are drawn."""
KEPT_MARKS: Final = 80_000
"""Of all alerts in memory together."""
AROUND_MS: Final = 24 * 3_600_000
YOUNG_MS: Final = 60_000
"""So long a bundle is kept while the day after the alert's last event is not over."""
_DAY_MS: Final = 24 * 3_600_000
_RANGES_MAX: Final = 500
_GAP_DAYS_MAX: Final = 366


class Bundle(msgspec.Struct, frozen=True):
    """`marks` by time. `context`: other events of the same subject, paler. `watched`: UTC days by channel on
    which a collector of one of its machines ran; of a channel that is not in it nothing is known."""

    marks: tuple[EvidenceMark, ...]
    listed_all: bool
    evidence: Evidence
    proof: EvidenceProof
    proven_at: int
    unseen: tuple[BlindSpot, ...]
    context: tuple[EvidenceMark, ...]
    context_all: bool
    watched: dict[str, frozenset[int]]
    choices: Choices
    expected: int
    """Events that the index knows, whether they are still stored or not."""

    @property
    def is_purged(self) -> bool:
        """Whether retention took all events; what the alert said of them stays."""
        return self.expected == 0 or (self.evidence.total == 0 and not self.evidence.damaged)


class Bundles:
    """The latest that were asked for. Safe to share between threads."""

    def __init__(self, _owner: object = None) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Any, ...], Bundle] = OrderedDict()
        self._marks = 0

    def of(self, connection: Connection, alert: Alert, now: int) -> Bundle:
        """now: ms UTC."""
        ranges = alert_ranges(connection, alert.id)
        key = (alert.id, alert.updated_at, alert.status, tuple(ranges), *_stored(connection))
        with self._lock:
            found = self._kept.get(key)
            if found is not None and not _is_old(found, alert, now):
                self._kept.move_to_end(key)
                return found
        found = read_bundle(connection, alert, ranges, now)
        with self._lock:
            for old in [each for each in self._kept if each[0] == alert.id]:
                self._marks -= _size(self._kept.pop(old))
            self._kept[key] = found
            self._marks += _size(found)
            while self._marks > KEPT_MARKS and len(self._kept) > 1:
                self._marks -= _size(self._kept.popitem(last=False)[1])
        return found

    def is_kept(self, alert_id: int) -> bool:
        """Whether the next page will probably be quick."""
        with self._lock:
            return any(key[0] == alert_id for key in self._kept)


def _is_old(bundle: Bundle, alert: Alert, now: int) -> bool:
    """Whether more may be known by now of what surrounds it."""
    is_whole = alert.last_time + AROUND_MS < bundle.proven_at
    return not is_whole and not 0 <= now - bundle.proven_at < YOUNG_MS


def _size(bundle: Bundle) -> int:
    return len(bundle.marks) + len(bundle.context)


def _stored(connection: Connection) -> tuple[int, ...]:
    """Changes with whatever takes events away or changes what is known of them."""
    first = select(func.min(event_blocks.c.last_day))
    known = select(func.max(leaver_versions.c.version))
    gone = select(func.count(), func.coalesce(func.sum(erasures.c.next_block), 0)).select_from(erasures)
    count, blocks = connection.execute(gone).one()
    return (
        connection.execute(first).scalar() or 0,
        connection.execute(known).scalar() or 0,
        people_version(connection),
        int(count),
        int(blocks),
    )


def read_bundle(connection: Connection, alert: Alert, ranges: Sequence[EventRange], now: int) -> Bundle:
    """Decodes each block once."""
    tally = EvidenceTally(0)
    damaged: list[str] = []
    marks: list[EvidenceMark] = []
    read_all = True
    for found in stored_events(connection, ranges, damaged):
        if tally.total == EVENTS_READ_MAX:
            read_all = False
            break
        tally.add(found)
        if len(marks) < MARKS_MAX:
            marks.append(mark_of(found))
    marks.sort(key=lambda each: (each.time, each.agent, each.epoch, each.seq))
    proof = verify_evidence(connection, alert.id)
    expected = sum(wanted.count for wanted in ranges)
    missing = max(0, expected - tally.total - proof.erased) if read_all else 0
    context, context_all = _context(connection, alert, ranges)
    return Bundle(
        marks=tuple(marks),
        listed_all=read_all and len(marks) == tally.total,
        evidence=tally.result(missing=missing, read_all=read_all, damaged=damaged),
        proof=proof,
        proven_at=now,
        unseen=tuple(blind_spots(connection, alert.id)),
        context=context,
        context_all=context_all,
        watched=_watched(connection, alert, marks),
        choices=choices(marks),
        expected=expected,
    )


def _context(
    connection: Connection, alert: Alert, ranges: Sequence[EventRange]
) -> tuple[tuple[EvidenceMark, ...], bool]:
    """What else the subject did from a day before the alert's first event to a day after its last."""
    first, last = alert.first_time - AROUND_MS, alert.last_time + AROUND_MS
    columns = [subject_events.c[name] for name in EventRange.__struct_fields__]
    query = select(*columns).where(
        subject_events.c.subject == alert.subject,
        subject_events.c.day.between(first // _DAY_MS - 1, last // _DAY_MS + 1),
    )
    rows = connection.execute(query.limit(_RANGES_MAX + 1)).all()
    others = without(joined(EventRange(*row) for row in rows[:_RANGES_MAX]), ranges)
    marks: list[EvidenceMark] = []
    read = 0
    whole = len(rows) <= _RANGES_MAX
    for found in stored_events(connection, _no_more_than(others, 2 * CONTEXT_MAX), []):
        read += 1
        if first <= found.time <= last:
            if len(marks) == CONTEXT_MAX:
                whole = False
                break
            marks.append(mark_of(found))
    whole = whole and read >= sum(each.count for each in others)
    return tuple(sorted(marks, key=lambda each: each.time)), whole


def _no_more_than(ranges: Iterable[EventRange], events: int) -> list[EventRange]:
    kept: list[EventRange] = []
    for each in ranges:
        if events <= 0:
            break
        last = min(each.last_seq, each.first_seq + events - 1)
        kept.append(msgspec.structs.replace(each, last_seq=last))
        events -= kept[-1].count
    return kept


def _watched(
    connection: Connection, alert: Alert, marks: Sequence[EvidenceMark]
) -> dict[str, frozenset[int]]:
    """By channel, as the machines tell that the evidence comes from."""
    names = sorted({mark.agent for mark in marks})[:_RANGES_MAX]
    first = (alert.first_time - AROUND_MS) // _DAY_MS
    last = min((alert.last_time + AROUND_MS) // _DAY_MS, first + _GAP_DAYS_MAX)
    days = collector_days.c
    query = select(days.collector, days.day).where(days.agent.in_(names), days.day.between(first, last))
    found: dict[str, set[int]] = {}
    for channel, day in connection.execute(query.distinct()):
        found.setdefault(channel, set()).add(day)
    return {channel: frozenset(on) for channel, on in found.items()}
