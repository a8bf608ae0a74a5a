"""Reading alerts and closing them. Names nobody: subjects are ids; server/people/masking.py shows them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, select, tuple_

from server import audit
from server.alerts.closing import close_one
from server.alerts.parts import MergedAway, parts_of
from server.alerts.ranking import CLOSED
from server.alerts.traits import AlertTrait
from server.alerts.view_types import EarlierAlert
from server.retention import ACTIVITY_DAYS
from server.store.column_types import is_storable
from server.store.tables import alert_days, alerts

LIST_MAX = 1000
EARLIER_MAX = 10
REASON_CHARACTERS = 1000

StatusFilter = Literal["open", "closed", "all", "held"]
"""all: open and closed. Held ones were found, not alerted (queueing.py)."""


class Verdict(StrEnum):
    CONFIRMED = "confirmed"
    EXPECTED = "expected"
    FALSE = "false"
    DUPLICATE = "duplicate"


class UnknownAlert(Exception):
    """No alert has this id."""


class AlreadyClosed(Exception):
    """The alert was closed before; the message says when and with which verdict."""


class AlertShare(msgspec.Struct, frozen=True):
    """What one source gave to the score; the points of all add up to it."""

    source: str
    points: int
    share: float


class Alert(msgspec.Struct, frozen=True):
    """A row of the table `alerts`; times are ms UTC."""

    id: int
    subject: str
    family: str
    status: str
    """open, closed or held."""
    by_rules: bool
    """By rules outside of the budget."""
    score: int
    account_owner: str | None
    suspected_actor: str | None
    traits: tuple[AlertTrait, ...]
    sentence: dict[str, str]
    """By language: "en", "zh"."""
    shares: tuple[AlertShare, ...]
    facts: dict[str, Any]
    policy_version: str
    model_id: int | None
    first_time: int
    last_time: int
    events: int
    opened_at: int
    updated_at: int
    verdict: str | None
    reason: str | None
    closed_at: int | None
    closed_by: str | None
    looked_back_at: int | None
    """When looking back, under what HR said by then, opened it or added to it last."""
    owner: str | None = None
    """Whose task it is: an account of the console."""
    snoozed_until: int | None = None
    merged_into: int | None = None
    """The main alert with which it is judged."""


def list_alerts(connection: Connection, status: StatusFilter = "open", limit: int = 100) -> list[Alert]:
    """Highest score first, then the latest. `limit` is at most LIST_MAX."""
    if not 1 <= limit <= LIST_MAX:
        raise ValueError(f"limit {limit} is not within 1 to {LIST_MAX}")
    query = select(alerts).order_by(alerts.c.score.desc(), alerts.c.last_time.desc(), alerts.c.id.desc())
    wanted = ("open", "closed") if status == "all" else (status,)
    query = query.where(alerts.c.status.in_(wanted))
    return [_alert(row) for row in connection.execute(query.limit(limit))]


def get_alert(connection: Connection, alert_id: int) -> Alert:
    """Raises UnknownAlert."""
    row = connection.execute(select(alerts).where(alerts.c.id == alert_id)).first()
    if row is None:
        raise UnknownAlert(f"there is no alert {alert_id}")
    return _alert(row)


def close_alert(
    connection: Connection,
    alert_id: int,
    verdict: Verdict,
    reason: str,
    actor: str,
    at: int,
    *,
    activity_days: int = ACTIVITY_DAYS,
) -> Alert:
    """Closes an open or held alert, with the parts that were merged into it, and writes audit rows. Needs a
    write transaction. at: ms UTC. `activity_days`: for how many days sums by activity count.

    Raises UnknownAlert, AlreadyClosed, MergedAway, and ValueError where the reason is empty or too long.
    """
    reason = checked_words("a reason", reason, REASON_CHARACTERS)
    numbers = [alert_id, *parts_of(connection, [alert_id]).get(alert_id, ())]
    query = select(alerts).where(alerts.c.id.in_(numbers)).order_by(alerts.c.id != alert_id, alerts.c.id)
    rows = connection.execute(query).all()
    if not rows or rows[0].id != alert_id:
        raise UnknownAlert(f"there is no alert {alert_id}")
    if rows[0].status == CLOSED:
        raise AlreadyClosed(f"alert {alert_id} was closed before as {rows[0].verdict} by {rows[0].closed_by}")
    if rows[0].merged_into is not None:
        main = rows[0].merged_into
        raise MergedAway(f"alert {alert_id} is merged into alert {main}: close that, or take it out first")
    acts = [
        close_one(
            connection,
            row,
            verdict.value,
            reason,
            actor=actor,
            at=at,
            activity_days=activity_days,
            unit=alert_id,
        )
        for row in rows
    ]
    audit.append_all(connection, acts)
    return get_alert(connection, alert_id)


def checked_words(what: str, typed: str, longest: int) -> str:
    """Trimmed. Raises ValueError where it is empty, too long, or no database can keep it."""
    typed = typed.strip()
    if not 1 <= len(typed) <= longest:
        raise ValueError(f"{what} of 1 to {longest} characters is needed, not {len(typed)}")
    if not is_storable(typed):
        raise ValueError(f"{what} that a database can keep is needed, without control characters")
    return typed


def _alert(row: Row[Any]) -> Alert:
    # SQLAlchemy's column names are a subclass of str, which msgspec does not take as a field's name.
    return msgspec.convert({str(name): value for name, value in row._mapping.items()}, Alert)


def earlier_alerts(connection: Connection, alert: Alert) -> list[EarlierAlert]:
    """Closed before this one was opened, and about days of this one too; the latest first."""
    days = select(alert_days.c.channel, alert_days.c.day).where(alert_days.c.alert == alert.id)
    rows = connection.execute(
        select(alerts.c.id, alerts.c.verdict, alerts.c.closed_at)
        .join(alert_days, alert_days.c.alert == alerts.c.id)
        .where(
            alerts.c.subject == alert.subject,
            alerts.c.family == alert.family,
            alerts.c.status == "closed",
            alerts.c.id < alert.id,
            tuple_(alert_days.c.channel, alert_days.c.day).in_(days),
        )
        .distinct()
        .order_by(alerts.c.id.desc())
        .limit(EARLIER_MAX)
    )
    return [EarlierAlert(*row) for row in rows]
