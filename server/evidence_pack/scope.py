"""What a pack is about: the alerts, and which stored events they rest on. Refused beyond limits that keep the
making of it in minutes and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import Connection

from server.alerts.event_ranges import EventRange, joined
from server.alerts.evidence_blocks import alert_ranges
from server.alerts.queries import Alert, UnknownAlert, get_alert
from server.cases.reading import alert_ids_of, case_entries, get_case
from server.cases.records import Case, CaseEntry
from server.evidence_pack.archive import PackRefused

ALERTS_MAX = 200
EVENTS_MAX = 1_000_000
RANGES_MAX = 200_000


class Scope(msgspec.Struct, frozen=True):
    """`ranges`: by alert. `whole`: of all alerts together, each number once."""

    case: Case | None
    entries: tuple[CaseEntry, ...]
    alerts: tuple[Alert, ...]
    ranges: dict[int, list[EventRange]]
    whole: tuple[EventRange, ...]

    @property
    def events(self) -> int:
        return sum(each.count for each in self.whole)


def scope_of_case(connection: Connection, case_id: int) -> Scope:
    """Raises UnknownCase, PackRefused."""
    case = get_case(connection, case_id)
    return _scope(connection, alert_ids_of(connection, case_id), case, case_entries(connection, case_id))


def scope_of_alert(connection: Connection, alert_id: int) -> Scope:
    """Raises UnknownAlert, PackRefused."""
    get_alert(connection, alert_id)
    return _scope(connection, [alert_id], None, [])


def _scope(
    connection: Connection, ids: Sequence[int], case: Case | None, entries: Sequence[CaseEntry]
) -> Scope:
    if not ids:
        raise PackRefused("there is no alert in it: nothing to prove")
    if len(ids) > ALERTS_MAX:
        raise PackRefused(f"it has {len(ids)} alerts, a pack takes {ALERTS_MAX}: make cases of parts of it")
    ranges: dict[int, list[EventRange]] = {}
    found: list[Alert] = []
    held = 0
    for each in ids:
        try:
            found.append(get_alert(connection, each))
        except UnknownAlert:
            continue
        ranges[each] = alert_ranges(connection, each)
        held += len(ranges[each])
        if held > RANGES_MAX:
            raise PackRefused(f"its events lie in more than {RANGES_MAX:,} places: make cases of parts of it")
    whole = joined(part for parts in ranges.values() for part in parts)
    scope = Scope(case, tuple(entries), tuple(found), ranges, tuple(whole))
    if scope.events > EVENTS_MAX:
        raise PackRefused(
            f"it has {scope.events:,} events, a pack takes {EVENTS_MAX:,}: make cases of parts of it"
        )
    return scope


class AlertsOfEvents:
    """Whose alerts an event is evidence of, asked in the order of agents, epochs and numbers."""

    def __init__(self, ranges: dict[int, list[EventRange]]) -> None:
        every = [(each, alert) for alert, parts in ranges.items() for each in parts]
        self._coming = iter(sorted(every))
        self._next = next(self._coming, None)
        self._open: list[tuple[EventRange, int]] = []

    def of(self, agent: str, epoch: str, seq: int) -> tuple[int, ...]:
        place = (agent, epoch, seq)
        while self._next is not None and _begin(self._next[0]) <= place:
            self._open.append(self._next)
            self._next = next(self._coming, None)
        self._open = [each for each in self._open if _end(each[0]) >= place]
        return tuple(sorted({alert for _, alert in self._open}))


def portions(ranges: Sequence[EventRange], events: int) -> Iterator[list[EventRange]]:
    """Ranges of about so many events together: what is read in one transaction."""
    part: list[EventRange] = []
    held = 0
    for each in ranges:
        part.append(each)
        held += each.count
        if held >= events:
            yield part
            part, held = [], 0
    if part:
        yield part


def _begin(found: EventRange) -> tuple[str, str, int]:
    return found.agent, found.epoch, found.first_seq


def _end(found: EventRange) -> tuple[str, str, int]:
    return found.agent, found.epoch, found.last_seq
