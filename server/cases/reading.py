"""Reading cases: lists by page, one case with its alerts and its history. Nothing here is masked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from server.cases.records import HISTORY_MAX, Case, CaseEntry, UnknownCase
from server.store.tables import alerts, case_alerts, case_history, cases

PAGE_ROWS = 100
_AT_ONCE = 500

CaseStatus = Literal["open", "closed", "all"]


class CaseLine(msgspec.Struct, frozen=True):
    """A case as a line of the list."""

    case: Case
    alerts: int
    people: int
    """Subjects of its alerts."""
    score: int
    """The highest of its alerts; 0: it has none."""
    last_time: int | None
    """Of the youngest event."""


class CasePlace(msgspec.Struct, frozen=True):
    """Where a page of the list ended: the next one begins after it."""

    updated_at: int
    id: int


class CaseAlert(msgspec.Struct, frozen=True):
    """An alert of a case."""

    id: int
    subject: str
    family: str
    status: str
    score: int
    sentence: dict[str, str]
    events: int
    first_time: int
    last_time: int
    verdict: str | None
    closed_by: str | None
    added_at: int
    added_by: str


def get_case(connection: Connection, case_id: int) -> Case:
    """Raises UnknownCase."""
    row = connection.execute(_columns().where(cases.c.id == case_id)).first()
    if row is None:
        raise UnknownCase(f"there is no case {case_id}")
    return Case(*row)


def list_cases(
    connection: Connection,
    status: CaseStatus = "open",
    *,
    owner: str | None = None,
    unowned: bool = False,
    ids: Sequence[int] | None = None,
    after: CasePlace | None = None,
    limit: int = PAGE_ROWS,
) -> list[CaseLine]:
    """Changed last first. `ids`: only these, at most 500."""
    conditions: list[ColumnElement[bool]] = []
    if status != "all":
        conditions.append(cases.c.status == status)
    if owner is not None:
        conditions.append(cases.c.owner == owner)
    if unowned:
        conditions.append(cases.c.owner.is_(None))
    if ids is not None:
        conditions.append(cases.c.id.in_(list(ids)[:_AT_ONCE]))
    if after is not None:
        same = and_(cases.c.updated_at == after.updated_at, cases.c.id < after.id)
        conditions.append(or_(cases.c.updated_at < after.updated_at, same))
    query = _columns().where(*conditions).order_by(cases.c.updated_at.desc(), cases.c.id.desc())
    found = [Case(*row) for row in connection.execute(query.limit(max(1, min(limit, PAGE_ROWS + 1))))]
    sums = _sums(connection, [case.id for case in found])
    return [CaseLine(case, *sums.get(case.id, (0, 0, 0, None))) for case in found]


def case_titles(connection: Connection, limit: int, *, is_open: bool = False) -> dict[int, str]:
    """Of the cases changed last, or of those that are open, by number: what a search goes through, and what
    is offered to choose from, once it is masked."""
    query = select(cases.c.id, cases.c.title).order_by(cases.c.updated_at.desc(), cases.c.id.desc())
    if is_open:
        query = query.where(cases.c.status == "open")
    return {row.id: row.title for row in connection.execute(query.limit(limit))}


def count_cases(connection: Connection) -> dict[str, int]:
    """By status."""
    query = select(cases.c.status, func.count()).group_by(cases.c.status)
    return {"open": 0, "closed": 0} | {row[0]: int(row[1]) for row in connection.execute(query)}


def case_alerts_of(connection: Connection, case_id: int) -> list[CaseAlert]:
    """The highest score first."""
    of_alert = (alerts.c[name] for name in CaseAlert.__struct_fields__[:-2])
    query: Select[Any] = (
        select(*of_alert, case_alerts.c.added_at, case_alerts.c.added_by)
        .join(case_alerts, case_alerts.c.alert == alerts.c.id)
        .where(case_alerts.c.case == case_id)
        .order_by(alerts.c.score.desc(), alerts.c.last_time.desc(), alerts.c.id.desc())
    )
    return [CaseAlert(*row) for row in connection.execute(query)]


def alert_ids_of(connection: Connection, case_id: int) -> list[int]:
    query = select(case_alerts.c.alert).where(case_alerts.c.case == case_id).order_by(case_alerts.c.alert)
    return list(connection.execute(query).scalars())


def cases_of_alerts(connection: Connection, alert_ids: Iterable[int]) -> dict[int, int]:
    """In which case each alert is, of those that are in one."""
    wanted = list(dict.fromkeys(alert_ids))
    found: dict[int, int] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        query = select(case_alerts.c.alert, case_alerts.c.case).where(
            case_alerts.c.alert.in_(wanted[start : start + _AT_ONCE])
        )
        found.update({row[0]: row[1] for row in connection.execute(query)})
    return found


def case_entries(connection: Connection, case_id: int, limit: int = HISTORY_MAX) -> list[CaseEntry]:
    """Its history, the latest `limit`, in the order in which it came."""
    columns = (case_history.c[name] for name in CaseEntry.__struct_fields__)
    query: Select[Any] = (
        select(*columns).where(case_history.c.case == case_id).order_by(case_history.c.id.desc()).limit(limit)
    )
    found = [
        msgspec.structs.replace(CaseEntry(*row), alerts=tuple(row.alerts))
        for row in connection.execute(query)
    ]
    return found[::-1]


def _columns() -> Select[Any]:
    return select(*(cases.c[name] for name in Case.__struct_fields__))


def _sums(connection: Connection, case_ids: list[int]) -> dict[int, tuple[int, int, int, int | None]]:
    query = (
        select(
            case_alerts.c.case,
            func.count(),
            func.count(alerts.c.subject.distinct()),
            func.max(alerts.c.score),
            func.max(alerts.c.last_time),
        )
        .join(alerts, alerts.c.id == case_alerts.c.alert)
        .where(case_alerts.c.case.in_(case_ids))
        .group_by(case_alerts.c.case)
    )
    return {row[0]: (row[1], row[2], row[3], row[4]) for row in connection.execute(query)}
