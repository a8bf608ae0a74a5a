"""What people typed about alerts, cases, leavers and unmaskings: an erased person's name goes from it.

`[name]` stands in its place, as analysts read it anyway; who was meant is nobody's to know from then on. The
audit trail stays as it is, since its rows prove each other: what names the person there is shown no longer.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from sqlalchemy import Column, Connection, Table, delete, select, tuple_, update

from server.erasure.plan import Plan
from server.people.erased import is_no_account
from server.people.prose_words import Hidden
from server.people.removed import removed
from server.people.text_mask import HIDDEN, declared_before
from server.store.tables import (
    alert_history,
    alert_notes,
    alerts,
    audit,
    audit_withheld,
    case_history,
    cases,
    evidence_packs,
    leaver_flags,
    leaver_sign_offs,
    people_changes,
    saved_views,
    unmaskings,
)
from server.store.upsert import insert_missing

TYPED: Final[tuple[tuple[Table, tuple[Column[Any], ...], tuple[str, ...], Column[Any]], ...]] = (
    (alerts, (alerts.c.id,), ("reason",), alerts.c.closed_at),
    (alert_history, (alert_history.c.id,), ("reason",), alert_history.c.at),
    (alert_notes, (alert_notes.c.id,), ("text",), alert_notes.c.at),
    (cases, (cases.c.id,), ("title", "reason"), cases.c.updated_at),
    (case_history, (case_history.c.id,), ("text",), case_history.c.at),
    (evidence_packs, (evidence_packs.c.id,), ("reason",), evidence_packs.c.begun_at),
    (unmaskings, (unmaskings.c.id,), ("reason",), unmaskings.c.at),
    (leaver_flags, (leaver_flags.c.person_id,), ("note",), leaver_flags.c.flagged_at),
    (
        leaver_sign_offs,
        (leaver_sign_offs.c.person_id, leaver_sign_offs.c.item, leaver_sign_offs.c.role),
        ("note",),
        leaver_sign_offs.c.signed_at,
    ),
    (saved_views, (saved_views.c.id,), ("name", "query"), saved_views.c.created_at),
)
"""Tables with texts that people typed: (table, its key, columns, when). A new one belongs here."""

Row = tuple[Any, ...]
"""A row's key."""


def blank_texts(connection: Connection, plan: Plan, *, since: int | None = None) -> dict[str, int]:
    """Rows that it changed, by table. In a write transaction, before what is declared of the person goes.
    `since`: of what was typed from then on (ms UTC)."""
    found = naming_texts(connection, plan, since=since)
    for table, key, _, _ in TYPED:
        for row, blanked in found.get(table.name, {}).items():
            this = tuple_(*key) == row
            # Filters without the name would find something else; and two views may not have one name.
            change = delete(table) if table is saved_views else update(table).values(blanked)
            connection.execute(change.where(this))
    return counts_of(found)


def withhold_in_trail(connection: Connection, plan: Plan, *, since: int | None = None) -> None:
    """In the same transaction: once the name is gone nothing could find it in the trail any more. `since`: as
    blank_texts."""
    hidden = _words(connection, plan)
    if not len(hidden):
        return
    has_texts = audit.c.reason.is_not(None) | audit.c.detail.is_not(None)
    query = select(audit.c.seq, audit.c.reason, audit.c.detail).where(has_texts, audit.c.at >= (since or 0))
    found = [
        {"seq": row.seq}
        for row in connection.execute(query.execution_options(yield_per=1000))
        if hidden.found(row.reason or "") or hidden.found(_as_text(row.detail))
    ]
    insert_missing(connection, audit_withheld, found)


def _as_text(detail: object) -> str:
    return "" if detail is None else msgspec.json.encode(detail).decode()


def naming_texts(
    connection: Connection, plan: Plan, *, since: int | None = None
) -> dict[str, dict[Row, dict[str, str]]]:
    """What texts become that name the person: by table, number of the row, and column."""
    hidden = _words(connection, plan)
    found: dict[str, dict[Row, dict[str, str]]] = {}
    for table, key, names, typed_at in TYPED if len(hidden) else ():
        query = select(*key, *(table.c[name] for name in names))
        if since is not None:
            query = query.where(typed_at >= since)
        for values in connection.execute(query):
            row, texts = tuple(values[: len(key)]), [_readable(table, text) for text in values[len(key) :]]
            if "person_id" in table.c and row[0] == plan.person:
                # Goes as a whole.
                continue
            blanked = {
                name: _without(hidden, text)
                for name, text in zip(names, texts, strict=True)
                if text and hidden.found(text)
            }
            if blanked:
                found.setdefault(table.name, {})[row] = blanked
    return found


def _readable(table: Table, text: str | None) -> str | None:
    """A view's filters stand as in an address."""
    if table is not saved_views or not text:
        return text
    return " ".join([text, *(value for _name, value in parse_qsl(text))])


def counts_of(found: dict[str, dict[Row, dict[str, str]]]) -> dict[str, int]:
    return {f"{table}_texts": len(rows) for table, rows in found.items()}


def _words(connection: Connection, plan: Plan) -> Hidden:
    hidden = Hidden()
    if plan.person is not None:
        hidden.add_id("", plan.person)
        before = select(people_changes.c.before).where(people_changes.c.person_id == plan.person)
        for stored in connection.execute(before).scalars():
            declared_before(hidden, "", stored)
        for _, told in removed(connection, [plan.person]):
            declared_before(hidden, "", told)
    if plan.name:
        hidden.add_name("", plan.name)
    for account in plan.accounts:
        if not is_no_account(account):
            hidden.add_account("", account)
    return hidden


def _without(hidden: Hidden, text: str) -> str:
    for start, end in reversed(hidden.found(text)):
        text = text[:start] + HIDDEN + text[end:]
    return text
