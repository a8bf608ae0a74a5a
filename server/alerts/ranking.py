"""Which candidates of a queue's local days are let through, and which alerts are open by that. Ranked in the
database, from the first day that changed on.

Of a day those of the highest risk are let through, as many as the day's cap, without those that cool down.
A day of an alert of which an earlier one was let through, nearer than the queue's cool-down, comes with that
one and takes no place: an alert that nobody closed would else hold others back on each day that it goes on.
An alert that a person closed keeps the places that it had.

So what a day lets through depends on the days before it. Where a day of an alert is let in or put out, its
later days within the cool-down are ranked again, rising, until nothing moves: each day once. The same
candidates and caps give the same alerts, in whatever order they came.

One lock is for all queues (`lock_queues`): it is taken before any alert is written, so that two transactions
that rank never wait for each other. One that only adds to alerts takes none: where it and one that ranks wait
for each other, the database ends one, which is done again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection, select, update

from server.alerts.cooling import QUEUES
from server.alerts.parts import set_free
from server.store.tables import alert_candidates, alerts, queue_days

OPEN, HELD, CLOSED = "open", "held", "closed"
_AT_ONCE = 500
_Key = TypeVar("_Key", int, str)


class QueueDay(NamedTuple):
    queue: str
    day: int


class Moved(NamedTuple):
    """`opened`: scores. `withdrawn`: how many that were open are held now. `ranked`: alerts of which
    a day moved, or that were concerned."""

    opened: list[int]
    withdrawn: int
    ranked: set[int]


def rank(
    connection: Connection, days: Collection[QueueDay], now: int, *, concerned: Collection[int] = ()
) -> Moved:
    """Ranks these days, and what follows from them. In a transaction that has the lock, or is alone.
    `concerned`: alerts that may open or be held though no day of theirs moves. now: ms UTC."""
    moved = set(concerned)
    for queue, some in groupby(sorted(days), key=lambda each: each.queue):
        moved |= _rank_from(connection, queue, (each.day for each in some))
    return _open_or_hold(connection, moved, now)


def days_of(connection: Connection, subjects: Sequence[str]) -> set[QueueDay]:
    """On which an alert of these subjects was let through: to rank when their alerts are gone."""
    at = alert_candidates.c
    query = select(at.queue, at.day).join(alerts, alerts.c.id == at.alert).where(at.admitted).distinct()
    return {
        QueueDay(*row)
        for part in portions(subjects)
        for row in connection.execute(query.where(alerts.c.subject.in_(part)))
    }


def portions(numbers: Sequence[_Key]) -> Iterable[Sequence[_Key]]:
    """As many as one query may hold."""
    return (numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE))


def _rank_from(connection: Connection, queue: str, days: Iterable[int]) -> set[int]:
    """Alerts of which a day was let in or put out."""
    at = alert_candidates.c
    length = QUEUES[queue].cool_down_days
    moved: set[int] = set()
    left = set(days)
    while left:
        day = min(left)
        left.remove(day)
        changed = _rank_day(connection, QueueDay(queue, day))
        moved |= changed
        for part in portions(sorted(changed)):
            soon = at.day.between(day + 1, day + length - 1)
            query = select(at.day).where(at.queue == queue, soon, at.alert.in_(part)).distinct()
            left |= set(connection.execute(query).scalars())
    return moved


def _rank_day(connection: Connection, place: QueueDay) -> set[int]:
    """A day without a cap is older than what is kept: it stays as it is."""
    mine = (queue_days.c.queue == place.queue) & (queue_days.c.day == place.day)
    cap = connection.execute(select(queue_days.c.cap).where(mine)).scalar()
    if cap is None:
        return set()
    at = alert_candidates.c
    rows = connection.execute(
        select(at.alert, at.cooling, at.admitted, alerts.c.status)
        .join(alerts, alerts.c.id == at.alert)
        .where(at.queue == place.queue, at.day == place.day)
        .order_by(at.risk.desc(), at.strength.desc(), alerts.c.subject, at.alert)
    ).all()
    goes_on = _going_on(connection, place)
    free = cap - sum(row.admitted for row in rows if row.status == CLOSED and row.alert not in goes_on)
    moved: dict[bool, list[int]] = {True: [], False: []}
    for row in rows:
        if row.status == CLOSED:
            continue
        comes_along = row.alert in goes_on
        admitted = row.cooling is None and (comes_along or free > 0)
        free -= admitted and not comes_along
        if admitted != row.admitted:
            moved[admitted].append(row.alert)
    for admitted, numbers in moved.items():
        for part in portions(numbers):
            connection.execute(
                update(alert_candidates)
                .where(at.day == place.day, at.alert.in_(part))
                .values(admitted=admitted)
            )
    return {*moved[True], *moved[False]}


def _going_on(connection: Connection, place: QueueDay) -> set[int]:
    """Alerts of which a day shortly before was let through."""
    at = alert_candidates.c
    shortly = at.day.between(place.day - QUEUES[place.queue].cool_down_days + 1, place.day - 1)
    query = select(at.alert).where(at.queue == place.queue, shortly, at.admitted).distinct()
    return set(connection.execute(query).scalars())


def _open_or_hold(connection: Connection, numbers: set[int], now: int) -> Moved:
    opened: list[int] = []
    withdrawn: list[int] = []
    at = alert_candidates.c
    for part in portions(sorted(numbers)):
        let_through = set(
            connection.execute(select(at.alert).where(at.alert.in_(part), at.admitted)).scalars()
        )
        query = select(alerts.c.id, alerts.c.status, alerts.c.score).where(
            alerts.c.id.in_(part), alerts.c.status != CLOSED, ~alerts.c.by_rules
        )
        for row in connection.execute(query.order_by(alerts.c.id)).all():
            status = OPEN if row.id in let_through else HELD
            if status == row.status:
                continue
            values = {"status": status, "updated_at": now} | ({"opened_at": now} if status == OPEN else {})
            connection.execute(update(alerts).where(alerts.c.id == row.id).values(values))
            if status == OPEN:
                opened.append(row.score)
            else:
                withdrawn.append(row.id)
    set_free(connection, withdrawn, now)
    return Moved(opened, len(withdrawn), numbers)
