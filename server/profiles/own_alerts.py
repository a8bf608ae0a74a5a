"""One subject's alerts, the latest first, as rows. Whoever shows them masks their sentences and the titles of
cases."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, select

from server.store.tables import alerts, case_alerts, cases

ALERTS_MAX: Final = 100
_SHOWN: Final = ("open", "closed")


class OwnAlert(msgspec.Struct, frozen=True):
    """`sentence` by language. `case_title`: typed by people. Times are ms UTC."""

    id: int
    status: str
    score: int
    family: str
    sentence: dict[str, str]
    events: int
    first_time: int
    last_time: int
    verdict: str | None
    closed_by: str | None
    case_id: int | None
    case_title: str | None
    case_status: str | None


def own_alerts(connection: Connection, subject: str) -> tuple[list[OwnAlert], bool]:
    """Open ones first, then the latest; whether these are all."""
    row = alerts.c
    # Found by an index that holds no JSON; the rows themselves are read for those that are shown alone.
    found = (
        connection.execute(
            select(row.id)
            .where(row.subject == subject, row.status.in_(_SHOWN))
            .order_by(row.status.desc(), row.last_time.desc(), row.id.desc())
            .limit(ALERTS_MAX + 1)
        )
        .scalars()
        .all()
    )
    query = (
        select(
            row.id,
            row.status,
            row.score,
            row.family,
            row.sentence,
            row.events,
            row.first_time,
            row.last_time,
            row.verdict,
            row.closed_by,
            cases.c.id.label("case_id"),
            cases.c.title.label("case_title"),
            cases.c.status.label("case_status"),
        )
        .select_from(alerts)
        .join(case_alerts, case_alerts.c.alert == row.id, isouter=True)
        .join(cases, cases.c.id == case_alerts.c.case, isouter=True)
        .where(row.id.in_(found[:ALERTS_MAX]))
        .order_by(row.status.desc(), row.last_time.desc(), row.id.desc())
    )
    return [OwnAlert(*tuple(each)) for each in connection.execute(query)], len(found) <= ALERTS_MAX
