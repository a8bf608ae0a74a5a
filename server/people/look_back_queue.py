"""Who is to be looked back at: people of whom something else is true now for a time that is over.

Queued in the transaction that changes what is declared, so that no crash loses it; server/look_back does it.
What lies ahead alone is none: events to come are judged by it anyway.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from event_schema.leaver_fields import PersonStatus
from server.people.facts import Holding, PersonFacts
from server.people.standing import Standing, timeline
from server.store.tables import event_blocks, look_backs
from server.store.upsert import insert_new

PastHolding = tuple[str, str, int | None, int | None]


def queue_look_backs(
    connection: Connection,
    changes: Iterable[tuple[PersonFacts | None, PersonFacts | None]],
    *,
    at: int,
    way: str,
) -> None:
    """Of these people (before, after) those whose past changed. at: ms UTC."""
    if connection.execute(select(event_blocks.c.id).limit(1)).first() is None:
        # A first import: nothing is stored that could be scored again.
        return
    rows = [
        _row(before, after, at=at, way=way)
        for before, after in changes
        if past_changed(before, after, now=at)
    ]
    insert_new(connection, look_backs, rows)


def queue_people(connection: Connection, people: Iterable[PersonFacts], *, at: int, way: str) -> None:
    """All of these, whose accounts mean something else now."""
    if connection.execute(select(event_blocks.c.id).limit(1)).first() is not None:
        insert_new(connection, look_backs, [_row(None, person, at=at, way=way) for person in people])


def past_changed(before: PersonFacts | None, after: PersonFacts | None, *, now: int) -> bool:
    """Whether the person stood elsewhere, or acted by other accounts, at any time until now (ms UTC)."""
    accounts = _past_accounts(before, now), _past_accounts(after, now)
    if accounts[0] != accounts[1]:
        return True
    if before is None or after is None or not accounts[0]:
        # Without an account there are no events.
        return False
    same = (before.employments, before.flag, before.time_zone) == (
        after.employments,
        after.flag,
        after.time_zone,
    )
    return not same and _past_standings(before, now) != _past_standings(after, now)


def _past_accounts(person: PersonFacts | None, now: int) -> frozenset[PastHolding]:
    held = person.accounts if person is not None else ()
    return frozenset(
        (each.system, each.name, each.since, None if each.until is None or each.until > now else each.until)
        for each in held
        if each.since is None or each.since <= now
    )


def _past_standings(person: PersonFacts, now: int) -> list[tuple[int, Standing]]:
    """With the time zone's moments."""
    whole = timeline(person.employments, person.flag, person.time_zone)
    return [(start, each) for start, each in zip(whole.starts, whole.standings, strict=True) if start <= now]


def _row(before: PersonFacts | None, after: PersonFacts | None, *, at: int, way: str) -> dict[str, object]:
    person = after or before
    assert person is not None
    held: set[Holding] = {*(before.accounts if before else ()), *(after.accounts if after else ())}
    return {
        "person_id": person.id,
        "accounts": [list(name) for name in sorted({(each.system, each.name) for each in held})],
        "way": way,
        "queued_at": at,
        "left_at": _left_at(before, after, at),
        "events": 0,
        "changed": 0,
        "opened": 0,
        "joined": 0,
    }


def _left_at(before: PersonFacts | None, after: PersonFacts | None, now: int) -> int | None:
    """The first moment until now from which the person has left, by what was declared or is."""
    starts = [
        start
        for facts in (before, after)
        if facts is not None
        for start, (status, _) in _past_standings(facts, now)
        if status is PersonStatus.LEFT
    ]
    return min(starts, default=None)
