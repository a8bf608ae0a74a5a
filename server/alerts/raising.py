"""Opens alerts and adds to them: one a subject and policy family that is not closed. Inside the batch's
transaction.

An alert is a function of its subject's state (detection/assessment.py), and whether one within the budget is
open, of what its days' queues hold (queueing.py); only the times at which the server opened and changed it
are the server's clock's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from analytics.risk import ANOMALY_SOURCE, SLOW_SOURCE
from analytics.risk_line import ALERT_LINE
from policies.correlation.correlator import Counts
from server.alerts.event_ranges import EventRange, joined
from server.alerts.evidence_blocks import held_ranges
from server.alerts.explaining import explain_open
from server.alerts.judgement import judged_of
from server.alerts.nothing_left import say_nothing_is_left
from server.alerts.pointed import Pointed, pointed, step_facts
from server.alerts.queue.rows import QueueRow, queue_row, write_rows
from server.alerts.queueing import AlertPlace, AlertQueues, day_lines
from server.alerts.ranking import CLOSED, HELD, OPEN, Moved
from server.alerts.traits import blame
from server.detection.alert_text import alert_facts, alert_sentence
from server.detection.assessment import Assessment, Candidate, Judged, Lines, assess
from server.people.directory import PersonRecord
from server.people.pseudonyms import pseudonym
from server.pipeline.memory import Memory
from server.pipeline.subject_state import ChannelDay, SubjectState, days_with_rules
from server.retention import first_local_day
from server.store.tables import alert_days, alerts, correlated_ranges, subject_events
from server.store.upsert import insert_missing, insert_new, upsert

SUBJECTS_AT_ONCE = 500
"""In one query."""
_GONE_AT_ONCE: Final = 100


def raise_alerts(
    connection: Connection,
    memory: Memory,
    states: Sequence[SubjectState],
    people: Mapping[str, PersonRecord | None],
    *,
    now: int,
    looking_back: int | None = None,
    counts: Counts | None = None,
) -> Moved:
    """Assesses every family of these subjects, also where none of their days changed: what is usual may have
    (watched_days.py). now: ms UTC. `looking_back`: from this local day on all was scored again; what is
    found anew says that it was found so.
    `counts`: adds what bounds of correlations drop."""
    scores: list[int] = []
    counts = counts or Counts()
    budget = memory.budget
    line = ALERT_LINE if budget is None else budget.risk_line
    lines = day_lines(connection, line, since=first_local_day(memory.first_day))
    assessed: list[_Assessed] = []
    for start in range(0, len(states), SUBJECTS_AT_ONCE):
        part = states[start : start + SUBJECTS_AT_ONCE]
        known = _Known.of(connection, [state.subject for state in part])
        assessed += [each for state in part for each in _assessed(memory, state, known, lines)]
    # Of all at once: days of queues are locked before any alert is written.
    queues = _queues(connection, memory, assessed)
    written: dict[int, QueueRow] = {}
    for each in assessed:
        person = people[each.state.subject]
        raised = _raise(connection, memory, each, person, queues, now, counts, looking_back=looking_back)
        if raised is not None:
            written[raised.alert] = raised.row
            scores += raised.opened
    write_rows(connection, written)
    moved = queues.rank(now)
    of_batch = {state.subject: state for state in states}
    explain_open(connection, memory, written, queues.ranked, of_batch, people)
    return moved._replace(opened=scores + moved.opened)


class _Raised(NamedTuple):
    """`opened`: the score, where rules outside of the budget opened it."""

    alert: int
    opened: tuple[int, ...]
    row: QueueRow


class _KnownAlert(NamedTuple):
    """Open or held."""

    id: int
    status: str
    by_rules: bool
    score: int
    sentence: dict[str, str]
    facts: dict[str, Any]
    looked_back_at: int | None
    model_id: int | None
    shares: list[dict[str, Any]]

    @property
    def is_strange(self) -> bool:
        """Not of rules alone."""
        return any(share["source"] in (ANOMALY_SOURCE, SLOW_SOURCE) for share in self.shares)

    def lacks(self, values: Mapping[str, Any]) -> bool:
        """Whether the values say more or less than the alert does."""
        told = (self.score, self.facts.get("rules"), self.facts.get("days"))
        return told != (values["score"], values["facts"]["rules"], values["facts"]["days"])


class _Known(NamedTuple):
    """By subject and family: alerts that are not closed, and what was judged."""

    alerts: dict[tuple[str, str], _KnownAlert]
    judged: dict[tuple[str, str], Judged]

    @classmethod
    def of(cls, connection: Connection, subjects: list[str]) -> _Known:
        columns = [alerts.c[name] for name in _KnownAlert._fields]
        query = select(*columns, alerts.c.subject, alerts.c.family).where(
            alerts.c.subject.in_(subjects), alerts.c.status != CLOSED
        )
        known = {
            (row.subject, row.family): _KnownAlert(*row[: len(columns)]) for row in connection.execute(query)
        }
        return cls(known, judged_of(connection, subjects))


class _Assessed(NamedTuple):
    """One family of a subject, where there is or was anything to alert about. `judged`: what was before."""

    state: SubjectState
    family: str
    found: Assessment | None
    known: _KnownAlert | None
    judged: Judged

    @property
    def by_rules(self) -> bool:
        """Outside of the budget, now or before."""
        if self.found is not None:
            return self.found.by_rules
        return self.known is not None and self.known.by_rules


def _assessed(memory: Memory, state: SubjectState, known: _Known, lines: Lines) -> Iterator[_Assessed]:
    families = {hits.family for hits in state.rules.values()}
    families |= {family for subject, family in known.alerts if subject == state.subject}
    for day in state.anomalies.values():
        # Most days add to no family: each that is looked at costs.
        if day.points > 0:
            families.add(day.family)
        if day.slow_points > 0:
            families.add(day.slow_family)
    for family in sorted(families - {""}):
        place = (state.subject, family)
        judged, known_alert = known.judged.get(place, {}), known.alerts.get(place)
        outside = known_alert is not None and known_alert.by_rules
        reaches = memory.rules.policies.correlated.reaches
        found = assess(state, family, judged, reaches, lines=lines, outside=outside)
        if found is not None or known_alert is not None:
            yield _Assessed(state, family, found, known_alert, judged)


def _queues(connection: Connection, memory: Memory, assessed: Sequence[_Assessed]) -> AlertQueues:
    """Locked as far as these change them."""
    queues = AlertQueues(connection)
    candidates: dict[AlertPlace, Sequence[Candidate]] = {}
    numbers: dict[AlertPlace, int] = {}
    lasting: set[AlertPlace] = set()
    for each in assessed:
        place = AlertPlace(each.state.subject, each.family)
        if each.known is not None and each.known.status == OPEN and not each.by_rules:
            # Whether it is closed is for people to say.
            lasting.add(place)
        if each.known is not None and not each.known.by_rules:
            numbers[place] = each.known.id
        candidates[place] = () if each.found is None else each.found.candidates
    since = first_local_day(memory.first_day)
    queues.look(candidates, numbers, memory.budget, since=since, lasting=lasting)
    return queues


def _raise(
    connection: Connection,
    memory: Memory,
    assessed: _Assessed,
    person: PersonRecord | None,
    queues: AlertQueues,
    now: int,
    counts: Counts,
    *,
    looking_back: int | None,
) -> _Raised | None:
    """Writes facts; what the model makes of them is told when it is open."""
    state, family, found, known_alert, judged = assessed
    place = AlertPlace(state.subject, family)
    if found is None:
        if known_alert is not None:
            queues.write(place, known_alert.id)
            if looking_back is not None:
                by_hr = not known_alert.is_strange or known_alert.model_id == memory.scorer.model_id
                say_nothing_is_left(
                    connection, known_alert.id, known_alert.sentence, now, by_hr=by_hr, looked_back=True
                )
            elif place in queues.without_ground:
                say_nothing_is_left(
                    connection, known_alert.id, known_alert.sentence, now, by_hr=False, looked_back=False
                )
        return None
    seen_anew = looking_back is not None if known_alert is None else known_alert.looked_back_at is not None
    again = not seen_anew and not {day for _, day in judged}.isdisjoint(found.days)
    seen = _pointed(connection, memory, state, found, counts, looking_back=looking_back is not None)
    if seen.untold or (known_alert is None and (seen.gone or not seen.ranges)):
        # Windows do not tell all that made it: their days do, whole, as far as the rules hit. What an
        # open alert was told when its windows were there, it keeps.
        found = msgspec.structs.replace(found, whole=frozenset(found.places))
    facts = _facts(memory, state, person, found, seen, again=again)
    values = _values(state, person, found, seen, facts, memory, now)
    if looking_back is not None and (known_alert is None or known_alert.lacks(values)):
        values["looked_back_at"] = now
    opens = assessed.by_rules and (known_alert is None or known_alert.status != OPEN)
    if opens:
        values |= {"status": OPEN, "opened_at": now}
    values["by_rules"] = assessed.by_rules
    if known_alert is not None:
        alert_id = known_alert.id
        connection.execute(update(alerts).where(alerts.c.id == alert_id).values(values))
    else:
        pseudonym(connection, state.subject)
        held = {"subject": state.subject, "family": family, "status": HELD, "opened_at": now}
        alert_id = connection.execute(
            insert(alerts).values(held | values).returning(alerts.c.id)
        ).scalar_one()
    queues.write(place, alert_id)
    _write_evidence(connection, alert_id, found, seen, anew=looking_back is not None)
    if looking_back is not None:
        _drop_days(connection, alert_id, found, looking_back)
    if len(found.whole) < len(found.places):
        events = sum(each.count for each in held_ranges(connection, alert_id))
        connection.execute(update(alerts).where(alerts.c.id == alert_id).values(events=events))
    row = queue_row(facts, values["sentence"], (channel for channel, _ in found.places))
    return _Raised(alert_id, (found.risk.score,) if opens else (), row)


def _pointed(
    connection: Connection,
    memory: Memory,
    state: SubjectState,
    found: Assessment,
    counts: Counts,
    *,
    looking_back: bool,
) -> Pointed:
    if not found.correlated:
        return Pointed()
    spools = {(agent, epoch) for _, _, agent, epoch in state.last_range}
    if looking_back:
        # Such a state is made anew, but for its index.
        at = subject_events.c
        query = select(at.agent, at.epoch).where(at.subject == state.subject).distinct()
        spools |= {(row.agent, row.epoch) for row in connection.execute(query)}
    correlated = memory.rules.policies.correlated
    return pointed(state, correlated, found.correlated, counts, spools=spools, peak=found.peak)


def _write_evidence(
    connection: Connection, alert_id: int, found: Assessment, seen: Pointed, *, anew: bool
) -> None:
    """Adds to what the alert points to; `anew`: what its correlations pointed to before is over."""
    days = [
        {"alert": alert_id, "channel": place[0], "day": place[1], "whole": place in found.whole}
        for place in found.places
    ]
    insert_missing(connection, alert_days, [row for row in days if not row["whole"]])
    upsert(connection, alert_days, [row for row in days if row["whole"]])
    if not found.correlated:
        return
    own = correlated_ranges.c.alert == alert_id
    columns = [correlated_ranges.c[name] for name in EventRange.__struct_fields__]
    known = {EventRange(*row) for row in connection.execute(select(*columns).where(own))}
    wanted = set(joined(seen.ranges if anew and seen.ranges else (*known, *seen.ranges)))
    # Only what differs: one more event is a row, of an alert that may have thousands.
    at = correlated_ranges.c
    gone = [
        and_(at.agent == each.agent, at.epoch == each.epoch, at.first_seq == each.first_seq)
        for each in sorted(known - wanted)
    ]
    for start in range(0, len(gone), _GONE_AT_ONCE):
        some = or_(*gone[start : start + _GONE_AT_ONCE])
        connection.execute(delete(correlated_ranges).where(own, some))
    ranges = [{"alert": alert_id} | msgspec.structs.asdict(each) for each in sorted(wanted - known)]
    insert_new(connection, correlated_ranges, ranges)


def _drop_days(connection: Connection, alert_id: int, found: Assessment, first_day: int) -> None:
    """Days that are none of the alert's by what HR says now."""
    at = alert_days.c
    mine = (at.alert == alert_id) & (at.day >= first_day)
    stored = {(row.channel, row.day) for row in connection.execute(select(at.channel, at.day).where(mine))}
    for channel, day in sorted(stored.difference(found.places)):
        connection.execute(delete(alert_days).where(mine, at.channel == channel, at.day == day))


def _facts(
    memory: Memory,
    state: SubjectState,
    person: PersonRecord | None,
    found: Assessment,
    seen: Pointed,
    *,
    again: bool,
) -> dict[str, Any]:
    times = [row.last_time for row in _rows(state, found) if row.day == found.peak]
    days_left = None
    if times and person is not None:
        _, days_left = memory.directory.status_at(person, max(times))
    titles = {policy.rule_id: policy.title for policy in memory.rules.policies.policies}
    facts = alert_facts(
        state,
        found,
        memory.scorer.calendar,
        steps=step_facts(seen, titles, memory.directory, person) if seen.steps else (),
        late=seen.late,
        days_to_last_day=days_left,
        person_known=person is not None,
        again=again,
    )
    return facts | {"rules": _with_hashes(facts["rules"], memory.rules.hashes)}


def _rows(state: SubjectState, found: Assessment) -> list[ChannelDay]:
    """Days of the assessment that are still there, by channel."""
    rows = (state.days(channel).get(day) for channel, day in found.places)
    return [row for row in rows if row is not None]


def _values(
    state: SubjectState,
    person: PersonRecord | None,
    found: Assessment,
    seen: Pointed,
    facts: dict[str, Any],
    memory: Memory,
    now: int,
) -> dict[str, Any]:
    days = _rows(state, found)
    # Rule hits may outlive their day's row: old rows go table by table.
    hits = [h for h in days_with_rules(state, found.family) if h.day in found.days]
    times = [(row.first_time, row.last_time) for row in days if (row.channel, row.day) in found.whole]
    times += [(h.first_time, h.last_time) for h in hits]
    if seen.first_time is not None and seen.last_time is not None:
        times.append((seen.first_time, seen.last_time))
    events = sum(row.events for row in days)
    blamed = blame(
        state, frozenset(found.places), person_id=person.id if person is not None else None, events=events
    )
    return {
        "score": found.risk.score,
        "account_owner": blamed.account_owner,
        "suspected_actor": blamed.suspected_actor,
        "traits": msgspec.to_builtins(blamed.traits),
        "sentence": alert_sentence(facts),
        "shares": [msgspec.to_builtins(share) for share in found.risk.shares],
        "facts": facts,
        "policy_version": memory.rules.policies.version,
        "model_id": memory.scorer.model_id,
        "first_time": min(first for first, _ in times),
        "last_time": max(last for _, last in times),
        "events": events,
        "updated_at": now,
    }


def _with_hashes(
    rules: Sequence[dict[str, Any]], hashes: Mapping[tuple[str, int], str]
) -> list[dict[str, Any]]:
    """The versions that fired, each with the hash of its text: what the alert stands on, whatever changes."""
    return [
        rule
        | {
            "versions": [
                {"number": number, "hash": hashes.get((rule["id"], number), "")}
                for number in rule["versions"]
            ]
        }
        for rule in rules
    ]
