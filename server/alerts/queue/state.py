"""How the queue stands besides its rows: whether it changed, how much was done today, and what is found at
all. What it says when it is empty comes from here."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, select

from analytics.alert_queues import DAY_QUEUE
from server.people.directory import people_version
from server.retention import DAY_MS
from server.status_types import HELD_DAYS
from server.store.tables import alert_candidates, alerts, case_alerts, event_blocks, queue_days
from server.triage.sleep import asleep as still_asleep


class Mark(msgspec.Struct, frozen=True):
    """Differs whenever an alert was raised, changed, judged, undone, woken, dropped or put into a case, when
    the people did, and each day. Two are compared, nothing else is read from one."""

    number: int
    changed: int
    sums: int
    versions: int
    asleep: int
    in_cases: int
    cases: int
    people: int
    day: int


def read_mark(connection: Connection, now: int) -> Mark:
    """Reads every alert once, out of one index. now: ms UTC."""
    at = alerts.c
    row = connection.execute(
        select(
            func.count(),
            func.coalesce(func.max(at.updated_at), 0),
            # Undoing may set an earlier time.
            func.coalesce(func.sum(at.updated_at % 1_000_003), 0),
            func.coalesce(func.sum(at.triage_version), 0),
        )
    ).one()
    asleep = select(func.count()).select_from(alerts).where(at.snoozed_until > now)
    sleeping = int(connection.execute(asleep).scalar_one())
    joined = select(func.count(), func.coalesce(func.sum(case_alerts.c.case), 0))
    in_cases, cases = connection.execute(joined).one()
    return Mark(
        int(row[0]),
        int(row[1]),
        int(row[2]),
        int(row[3]),
        sleeping,
        int(in_cases),
        int(cases),
        people_version(connection),
        now // DAY_MS,
    )


class QueueState(msgspec.Struct, frozen=True):
    """`ever`: whether any alert was ever raised. `asleep`: how many are snoozed. `heard`: when a record of
    events was worked through last."""

    ever: bool
    closed_today: int
    asleep: int
    heard: int | None


def read_state(connection: Connection, *, since: int, now: int) -> QueueState:
    """`since`: the day's beginning for whoever looks; `now`: ms UTC as well."""
    at = alerts.c
    ever = connection.execute(select(at.id).where(at.status != "held").limit(1)).first() is not None
    closed = select(func.count()).where(
        at.status == "closed", at.updated_at >= since, at.closed_at >= since, at.merged_into.is_(None)
    )
    asleep = select(func.count()).where(
        at.snoozed_until > now, at.status == "open", at.merged_into.is_(None), still_asleep(now)
    )
    last = select(event_blocks.c.received_at).order_by(event_blocks.c.id.desc()).limit(1)
    heard = connection.execute(last).scalar()
    return QueueState(
        ever,
        int(connection.execute(closed).scalar_one()),
        int(connection.execute(asleep).scalar_one()),
        None if heard is None else int(heard),
    )


class BudgetState(msgspec.Struct, frozen=True):
    """How much of the day's places is used, for the queue of days. `line`: None without one for this day."""

    line: int | None
    cap: int | None
    used: int
    held: int
    """Alerts held back, of the last HELD_DAYS."""


def read_budget(connection: Connection, now: int) -> BudgetState:
    """Of the newest day that has candidates and is not over everywhere. now: ms UTC."""
    today = now // DAY_MS
    at, queued = queue_days.c, alert_candidates.c
    own = (at.queue == DAY_QUEUE.name) & at.day.between(today - 1, today + 1)
    row = connection.execute(select(at.day, at.line, at.cap).where(own).order_by(at.day.desc())).first()
    held = select(func.count()).where(
        alerts.c.status == "held", alerts.c.last_time >= now - HELD_DAYS * DAY_MS
    )
    number = int(connection.execute(held).scalar_one())
    if row is None:
        return BudgetState(None, None, 0, number)
    used = select(func.count()).where(queued.queue == DAY_QUEUE.name, queued.day == row.day, queued.admitted)
    return BudgetState(row.line, row.cap, int(connection.execute(used).scalar_one()), number)
