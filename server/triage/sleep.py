"""Which alerts sleep: those that somebody snoozed, until their time, and until anything new comes.

New is: more events, a later one, or a higher score than when they were put to sleep; also one of score 100 so
wakes. A main alert wakes with any of its parts. Nothing is written for it: an alert that woke says so by what
it is.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, exists, not_

from server.store.tables import alerts


def asleep(now: int, table: FromClause = alerts) -> ColumnElement[bool]:
    """Never null. now: ms UTC."""
    part = alerts.alias("part")
    woken = exists().where(part.c.merged_into == table.c.id, not_(_by_itself(now, part)))
    return and_(_by_itself(now, table), ~woken)


def sleeps(alert: Any, now: int, parts: tuple[Any, ...] = ()) -> bool:
    """The same of rows, or of what has their columns."""
    return all(_one_sleeps(each, now) for each in (alert, *parts))


def _by_itself(now: int, table: FromClause) -> ColumnElement[bool]:
    its = table.c
    return and_(
        its.snoozed_until.is_not(None),
        its.snoozed_until > now,
        its.score <= its.snoozed_score,
        its.events <= its.snoozed_events,
        its.last_time <= its.snoozed_last,
    )


def _one_sleeps(alert: Any, now: int) -> bool:
    return (
        alert.snoozed_until is not None
        and alert.snoozed_until > now
        and alert.score <= alert.snoozed_score
        and alert.events <= alert.snoozed_events
        and alert.last_time <= alert.snoozed_last
    )
