"""Alerts that were merged into another one: parts of a main alert.

A part is an alert like any other, which the pipeline goes on adding to; it only stands in no list by itself.
So that none is ever lost, a part has the same status as its main alert (both open, or both closed), and a
main alert is no part. Whoever changes a status, or deletes alerts, keeps that: what would no longer fit is
set free, and stands by itself again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, or_, select

from server.alerts.history import Verb, change_alert
from server.store.tables import alerts

SERVER = "server"
"""The actor of what no person did."""
_AT_ONCE = 500


class MergedAway(Exception):
    """The alert is a part of another one, which is to be judged; the message says which."""


def parts_of(connection: Connection, mains: Collection[int]) -> dict[int, list[int]]:
    """By main alert, rising; those without parts are left out."""
    found: dict[int, list[int]] = {}
    wanted = sorted(mains)
    for start in range(0, len(wanted), _AT_ONCE):
        query = select(alerts.c.merged_into, alerts.c.id).where(
            alerts.c.merged_into.in_(wanted[start : start + _AT_ONCE])
        )
        for main, part in connection.execute(query.order_by(alerts.c.id)):
            found.setdefault(main, []).append(part)
    return found


def set_free(connection: Connection, numbers: Sequence[int], at: int) -> None:
    """Of these, whose status changed by itself, no part and no main alert stays one."""
    for start in range(0, len(numbers), _AT_ONCE):
        some = numbers[start : start + _AT_ONCE]
        concerned = or_(alerts.c.id.in_(some), alerts.c.merged_into.in_(some))
        query = select(alerts.c.id).where(concerned, alerts.c.merged_into.is_not(None))
        _free(connection, list(connection.execute(query.order_by(alerts.c.id)).scalars()), at)


def set_orphans_free(connection: Connection, at: int) -> None:
    """Parts whose main alert was deleted. In the transaction that deletes."""
    main = alerts.alias()
    query = (
        select(alerts.c.id)
        .outerjoin(main, main.c.id == alerts.c.merged_into)
        .where(alerts.c.merged_into.is_not(None), main.c.id.is_(None))
    )
    _free(connection, list(connection.execute(query.order_by(alerts.c.id)).scalars()), at)


def highest_scores(connection: Connection, mains: Collection[int]) -> Mapping[int, int]:
    """Of the parts, by main alert: what it shows where its own is lower."""
    found: dict[int, int] = {}
    wanted = sorted(mains)
    for start in range(0, len(wanted), _AT_ONCE):
        query = select(alerts.c.merged_into, alerts.c.score).where(
            alerts.c.merged_into.in_(wanted[start : start + _AT_ONCE])
        )
        for main, score in connection.execute(query):
            found[main] = max(found.get(main, 0), score)
    return found


def _free(connection: Connection, parts: Sequence[int], at: int) -> None:
    for part in parts:
        change_alert(connection, part, {"merged_into": None}, verb=Verb.UNMERGE, actor=SERVER, at=at)
