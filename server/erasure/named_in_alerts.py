"""Where alerts of others name somebody who is erased: as the account's owner, as the suspect, as a trait."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import JSON, ColumnElement, Connection, cast, delete, or_, select, type_coerce, update
from sqlalchemy.types import String

from server.alerts.traits import AlertTrait, without_person
from server.erasure.plan import Plan
from server.people.pseudonyms import person_subject
from server.pipeline.state_versions import raise_versions
from server.store.tables import alerts, suspect_traits

_AT_ONCE = 500


def named_rows(plan: Plan) -> ColumnElement[bool]:
    """Of `suspect_traits`: acts of others that lead to the person, or went through an account of theirs."""
    row = suspect_traits.c
    return or_(row.person_id == plan.person, row.owner_id == plan.person, row.through.in_(plan.subjects)) & (
        row.subject.not_in(plan.subjects)
    )


def blank_alerts(connection: Connection, plan: Plan) -> dict[str, int]:
    """Rows that it changed, by name of table. In a write transaction."""
    person_id = plan.person
    if person_id is None:
        return {}
    blanked = 0
    for column in (alerts.c.account_owner, alerts.c.suspected_actor):
        blanked += connection.execute(
            update(alerts).where(column == person_id).values({column.name: None})
        ).rowcount
    _blank_traits(connection, person_id)
    named = named_rows(plan)
    subjects = connection.execute(select(suspect_traits.c.subject).where(named).distinct()).scalars().all()
    for start in range(0, len(subjects), _AT_ONCE):
        # Workers that remember these rows load them anew.
        raise_versions(connection, {}, subjects[start : start + _AT_ONCE])
    gone = connection.execute(delete(suspect_traits).where(named)).rowcount
    return {"alerts_blanked": blanked, "suspect_traits": gone}


def _blank_traits(connection: Connection, person_id: str) -> None:
    subject = person_subject(person_id)
    traits: ColumnElement[Any] = type_coerce(alerts.c.traits, JSON)
    # As JSON writes it: quotes and backslashes in it are escaped, other letters may be.
    mentioned = cast(traits, String).contains("person:", autoescape=True)
    for row in connection.execute(select(alerts.c.id, alerts.c.traits).where(mentioned)).all():
        found = msgspec.convert(row.traits, tuple[AlertTrait, ...])
        if any(subject in (trait.leads_to, trait.through) for trait in found):
            kept = msgspec.to_builtins(without_person(found, person_id))
            connection.execute(update(alerts).where(alerts.c.id == row.id).values(traits=kept))
