"""One act on many alerts, in turns: several short write transactions, between which others may write.

The database has one writer. Agents' events wait for it, so nothing holds it for long: each turn changes
TURN_ALERTS alerts, with a pause that lets others in. All turns are one group, undone at once. Each alert is
looked at in the transaction that changes it, so what others did between two turns is seen as if it had been
done before all of it. Where the database fails in the middle, what was done by then stays, undone as any
other act, and what was not reached is refused and told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from server.store.database import Database, StoreUnavailable
from server.triage.judging import Keeping
from server.triage.merging import NoMain
from server.triage.outcome import Change, Outcome, Refused, Why
from server.triage.undoing import undo, units_of_group
from server.triage.work import rows_of

TURN_ALERTS: Final = 25
_PAUSE_SECONDS: Final = 0.06
"""Whoever waits for SQLite's writer looks again after 50 ms at most, at first."""

Do = Callable[[Connection, Change], Outcome]
Pause = Callable[[], None]


def pause() -> None:
    time.sleep(_PAUSE_SECONDS)


def in_turns(
    database: Database, change: Change, do: Do, *, main: int | None = None, between: Pause = pause
) -> Outcome:
    """`main`: what the others become parts of; where it is named too, it is looked at before any of them
    changes it. Raises as `do` does, where that is at the first turn, and StoreUnavailable."""
    if len(change.alerts) <= TURN_ALERTS:
        with database.begin() as connection:
            return do(connection, change)
    turns = _turns(database, change.alerts, main)
    found: list[Outcome] = []
    group = change.group
    for number, alerts in enumerate(turns):
        if number:
            between()
        try:
            with database.begin() as connection:
                found.append(do(connection, msgspec.structs.replace(change, alerts=alerts, group=group)))
        except StoreUnavailable:
            if not found:
                raise
            found.append(_stay(found[0].verb, turns[number:], Why.NOT_REACHED))
            break
        except NoMain as error:
            # Somebody closed the main alert between two turns.
            if not found:
                raise
            found.append(_stay(found[0].verb, turns[number:], Why.WITH_MAIN, {"alert": error.refused.id}))
            break
        group = group or found[-1].group
    return _joined(change.alerts, found)


def undo_in_turns(
    database: Database, group: int, actor: str, at: int, *, keeping: Keeping, between: Pause = pause
) -> Outcome:
    """As undo: a main alert and its parts in the same turn. Raises CannotUndo, StoreUnavailable."""
    with database.read() as connection:
        units = units_of_group(connection, group)
    turns = list(_split([*dict.fromkeys(units.values())], {}))
    if len(turns) < 2:
        with database.begin() as connection:
            return undo(connection, group, actor, at, keeping=keeping)
    found: list[Outcome] = []
    for number, only in enumerate(turns):
        if number:
            between()
        try:
            with database.begin() as connection:
                found.append(undo(connection, group, actor, at, keeping=keeping, only=frozenset(only)))
        except StoreUnavailable:
            if not found:
                raise
            found.append(_stay(found[0].verb, turns[number:], Why.NOT_REACHED))
            break
    return _joined(tuple(units), found)


def _turns(database: Database, alerts: Sequence[int], main: int | None) -> list[tuple[int, ...]]:
    """A part beside its main alert, where both are named: they change together. `main` and its own main alert
    come first."""
    with database.read() as connection:
        rows = rows_of(connection, alerts)
    mains = {number: int(row.merged_into) for number, row in rows.items() if row.merged_into in rows}
    first = [] if main is None else [number for number in (mains.get(main, main), main) if number in rows]
    return list(_split(list(dict.fromkeys([*first, *alerts])), mains))


def _split(numbers: Sequence[int], mains: dict[int, int]) -> Iterator[tuple[int, ...]]:
    families: dict[int, list[int]] = {}
    for number in numbers:
        families.setdefault(mains.get(number, number), []).append(number)
    turn: list[int] = []
    for family in families.values():
        if turn and len(turn) + len(family) > TURN_ALERTS:
            yield tuple(turn)
            turn = []
        turn += family
    if turn:
        yield tuple(turn)


def _stay(
    verb: str, turns: Sequence[tuple[int, ...]], why: Why, values: dict[str, str | int] | None = None
) -> Outcome:
    refused = tuple(Refused(number, why, values or {}) for turn in turns for number in turn)
    return Outcome(verb, (), refused)


def _joined(asked: Sequence[int], found: Sequence[Outcome]) -> Outcome:
    """What can be undone in part alone is not offered to be."""
    place = {number: at for at, number in enumerate(asked)}
    done = sorted((number for each in found for number in each.done), key=lambda n: place.get(n, 0))
    refused = sorted((one for each in found for one in each.refused), key=lambda one: place.get(one.id, 0))
    changed = tuple(dict.fromkeys(number for each in found for number in each.changed))
    groups = {each.group for each in found if each.changed}
    group = groups.pop() if len(groups) == 1 else None
    return Outcome(found[0].verb, tuple(done), tuple(refused), changed, group)
