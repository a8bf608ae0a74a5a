"""What an exception would have hidden of what is stored: hits, people, and alerts that would not have been.

The stored events of the days on which its rules hit are judged again, by the rules as they are now. An alert
counts as gone when its subject's days, without these hits, would not have reached the line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import Connection, select

from policies.engine import record_of
from policies.exceptions import ExceptionSet, ParsedException
from policies.rule_file import load_texts
from server.alerts.event_ranges import EventRange, joined
from server.alerts.evidence import stored_events
from server.alerts.ranking import HELD
from server.detection.assessment import assess
from server.pipeline.subject_state import SubjectState, load_subjects
from server.policies.versions import PolicyVersion, parsed_texts
from server.store.tables import alerts, rule_days, subject_events

EVENTS_MAX = 200_000
_AT_ONCE = 200
_FOR_EVER = 2**62

_Place = tuple[str, str, int]
"""(rule id, channel, local day)."""


class Preview(msgspec.Struct, frozen=True):
    """Of the last `days` days. `people`: subjects of whom something would be hidden. `alerts_gone` of
    `alerts`, which are all of the rules' subjects and families. `read_all`: whether EVENTS_MAX was enough."""

    days: int
    hits: int
    hidden: int
    people: int
    alerts: int
    alerts_gone: int
    read_all: bool


def preview(
    connection: Connection, exception: ParsedException, held: Sequence[PolicyVersion], *, now: int, days: int
) -> Preview:
    """`held`: the rules as they hold. now: ms UTC. Reads only."""
    wanted = [each for each in held if each.rule_id in exception.rules and each.text is not None]
    rules = load_texts(parsed_texts(msgspec.structs.replace(each, enabled=True) for each in wanted)).policies
    # As if it were in force at any time.
    hiding = ExceptionSet([msgspec.structs.replace(exception, until=_FOR_EVER)])
    since = now // 86_400_000 - days
    hits = hidden = read = 0
    whole = True
    gone: dict[str, Counter[_Place]] = {}
    for subject, channel, day, ranges in _places(connection, exception.rules, since):
        for found in stored_events(connection, ranges, []):
            if read == EVENTS_MAX:
                whole = False
                break
            read += 1
            record = record_of(found.event, found.leaver)
            fired = rules.match(record)
            if not fired:
                continue
            sifted = hiding.sift_record(fired, record, at=found.time)
            hits += len(fired)
            hidden += len(sifted.hidden)
            for each in sifted.hidden:
                gone.setdefault(subject, Counter())[each.rule_id, channel, day] += 1
    concerned, without = _alerts(connection, exception.rules, gone, since)
    return Preview(days, hits, hidden, len(gone), concerned, without, whole)


def _places(
    connection: Connection, rules: Sequence[str], since: int
) -> Iterator[tuple[str, str, int, list[EventRange]]]:
    """(subject, channel, local day, its events) where the rules hit."""
    query = (
        select(rule_days.c.subject, rule_days.c.channel, rule_days.c.day)
        .where(rule_days.c.rule_id.in_(rules), rule_days.c.day >= since)
        .distinct()
        .order_by(rule_days.c.day.desc(), rule_days.c.subject, rule_days.c.channel)
    )
    for subject, channel, day in connection.execute(query).all():
        columns = (subject_events.c[name] for name in EventRange.__struct_fields__)
        held = select(*columns).where(
            subject_events.c.subject == subject,
            subject_events.c.channel == channel,
            subject_events.c.day == day,
        )
        yield subject, channel, day, joined(EventRange(*row) for row in connection.execute(held))


def _alerts(
    connection: Connection, rules: Sequence[str], gone: dict[str, Counter[_Place]], since: int
) -> tuple[int, int]:
    """(alerts that people saw, of the rules' families about subjects whom they hit; those without it)."""
    hit = select(rule_days.c.subject, rule_days.c.family).where(
        rule_days.c.rule_id.in_(rules), rule_days.c.day >= since
    )
    families = {(row.subject, row.family) for row in connection.execute(hit.distinct())}
    subjects = sorted({subject for subject, _ in families})
    concerned = without = 0
    for start in range(0, len(subjects), _AT_ONCE):
        part = subjects[start : start + _AT_ONCE]
        states = load_subjects(connection, part)
        raised = select(alerts.c.subject, alerts.c.family).where(
            alerts.c.subject.in_(part), alerts.c.status != HELD
        )
        for subject, family in connection.execute(raised):
            if (subject, family) not in families:
                continue
            concerned += 1
            if subject in gone:
                without += _is_gone(states[subject], family, gone[subject])
    return concerned, without


def _is_gone(state: SubjectState, family: str, hidden: Counter[_Place]) -> bool:
    if assess(state, family, {}) is None:
        # It is gone already, or stands on days that are no more.
        return False
    reduced = SubjectState(state.subject)
    reduced.channels = state.channels
    reduced.rules = {
        place: msgspec.structs.replace(hits, hits=hits.hits - hidden[place])
        for place, hits in state.rules.items()
        if hits.hits > hidden[place]
    }
    return assess(reduced, family, {}) is None
