"""What people typed about alerts, cases and unmaskings: an erased person's name goes from it.

`[name]` stands in its place, as analysts read it anyway; who was meant is nobody's to know from then on. The
audit trail stays as it is, since its rows prove each other.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Connection, Table, select, update

from server.erasure.plan import Plan
from server.people.erased import is_no_account
from server.people.prose_words import Hidden
from server.people.text_mask import HIDDEN, declared_before
from server.store.tables import alerts, people_changes, unmaskings

TYPED: Final[tuple[tuple[Table, Column[int], tuple[str, ...]], ...]] = (
    (alerts, alerts.c.id, ("reason",)),
    (unmaskings, unmaskings.c.id, ("reason",)),
)
"""Tables with texts that people typed: (table, its number, columns). A new one belongs here."""


def blank_texts(connection: Connection, plan: Plan) -> dict[str, int]:
    """Rows that it changed, by table. In a write transaction, before what is declared of the person goes."""
    hidden = _words(connection, plan)
    if not len(hidden):
        return {}
    changed: dict[str, int] = {}
    for table, number, names in TYPED:
        columns = [table.c[name] for name in names]
        for row, *texts in connection.execute(select(number, *columns)).all():
            blanked = {
                name: _without(hidden, text)
                for name, text in zip(names, texts, strict=True)
                if text and hidden.found(text)
            }
            if blanked:
                connection.execute(update(table).where(number == row).values(blanked))
                changed[table.name] = changed.get(table.name, 0) + 1
    return changed


def _words(connection: Connection, plan: Plan) -> Hidden:
    hidden = Hidden()
    if plan.person is not None:
        hidden.add_id("", plan.person)
        before = select(people_changes.c.before).where(people_changes.c.person_id == plan.person)
        for stored in connection.execute(before).scalars():
            declared_before(hidden, "", stored)
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
