"""Where a leaver's dates come from, who wrote them last, and how they changed: for HR and administrators.

From the history that is kept of what is declared (`people_changes`), on a connection that reads HR's tables
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, func, select

from event_schema.struct_base import Milliseconds
from server.people.dates import day_text
from server.people.facts import PersonFacts, latest_employment
from server.people.facts_store import load_facts
from server.people.import_report import FieldChange, day_and_minute
from server.people.standing import flagged
from server.people.undo import FOLDER_ACTOR
from server.store.tables import leaver_flags, people, people_changes, people_imports

HISTORY_MAX: Final = 100
_AT_ONCE: Final = 500
SourceWord = Literal["by_hand", "file", "folder", "hr_system", "identity_provider", "unknown"]


class Origin(msgspec.Struct, frozen=True):
    """`source`: what the dates that hold were brought by. `edited_by`: who changed anything of the person
    last, as the record has it ("user:anna")."""

    source: SourceWord
    edited_by: str | None
    edited_at: Milliseconds | None


class DateChange(msgspec.Struct, frozen=True):
    """One correction: of which way (`people_changes.way`), by whom, and what it made of the dates.
    `rescinded`: the person was leaving before, and no longer is."""

    at: Milliseconds
    by: str
    way: str
    import_id: int | None
    fields: tuple[FieldChange, ...]
    rescinded: bool


def origins(connection: Connection, person_ids: Sequence[str]) -> dict[str, Origin]:
    """By person. Whose history is gone has an unknown one."""
    found: dict[str, Origin] = {}
    for start in range(0, len(person_ids), _AT_ONCE):
        found |= _origins(connection, person_ids[start : start + _AT_ONCE])
    return found


def _origins(connection: Connection, ids: Sequence[str]) -> dict[str, Origin]:
    changed = people_changes.c
    by_hand = set(
        connection.execute(
            select(leaver_flags.c.person_id).where(leaver_flags.c.person_id.in_(ids))
        ).scalars()
    )
    latest = select(func.max(changed.id)).where(changed.person_id.in_(ids)).group_by(changed.person_id)
    rows = connection.execute(
        select(changed.person_id, changed.changed_by, changed.changed_at).where(changed.id.in_(latest))
    )
    edits = {row.person_id: row for row in rows}
    brought = (
        select(func.max(changed.id))
        .where(changed.person_id.in_(ids), changed.way.in_(("import", "scim")))
        .group_by(changed.person_id)
    )
    query = (
        select(changed.person_id, changed.way, people_imports.c.imported_by)
        .select_from(people_changes.outerjoin(people_imports, people_imports.c.id == changed.import_id))
        .where(changed.id.in_(brought))
    )
    sources = {row.person_id: _source(row.way, row.imported_by) for row in connection.execute(query)}
    found: dict[str, Origin] = {}
    for person_id in ids:
        edit = edits.get(person_id)
        source: SourceWord = "by_hand" if person_id in by_hand else sources.get(person_id, "unknown")
        found[person_id] = Origin(
            source, None if edit is None else edit.changed_by, None if edit is None else edit.changed_at
        )
    return found


def _source(way: str, imported_by: str | None) -> SourceWord:
    if way == "scim":
        return "identity_provider"
    if imported_by is None:
        return "file"
    if imported_by == FOLDER_ACTOR:
        return "folder"
    return "hr_system" if imported_by.startswith("token:") else "file"


def managers_of(connection: Connection, person_ids: Sequence[str]) -> dict[str, str]:
    """Ids of those who lead these people, by person; whom nobody leads is not in it."""
    found: dict[str, str] = {}
    for start in range(0, len(person_ids), _AT_ONCE):
        some = people.c.id.in_(person_ids[start : start + _AT_ONCE])
        rows = connection.execute(
            select(people.c.id, people.c.manager_id).where(some, people.c.manager_id.is_not(None))
        )
        found |= {row.id: row.manager_id for row in rows}
    return found


def date_history(connection: Connection, person_id: str) -> tuple[DateChange, ...]:
    """How the leaving dates changed, the latest first; nothing of accounts and machines. Nothing for an id
    that nobody has."""
    now = load_facts(connection, [person_id]).get(person_id)
    if now is None:
        return ()
    changed = people_changes.c
    query = select(people_changes).where(changed.person_id == person_id).order_by(changed.id.desc())
    return tuple(_date_changes(now, connection.execute(query.limit(HISTORY_MAX)).all()))


def _date_changes(now: PersonFacts, rows: Sequence[Any]) -> Iterator[DateChange]:
    after: PersonFacts | None = now
    for row in rows:
        before = None if row.before is None else msgspec.json.decode(row.before, type=PersonFacts)
        fields = _differing(before, after)
        if fields:
            rescinded = _last_day(before) is not None and _last_day(after) is None
            yield DateChange(
                row.changed_at, row.changed_by, row.way, row.import_id, fields, rescinded=rescinded
            )
        after = before


def _differing(before: PersonFacts | None, after: PersonFacts | None) -> tuple[FieldChange, ...]:
    old, new = dict(_dates(before)), dict(_dates(after))
    return tuple(
        FieldChange(name, old.get(name), new.get(name))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    )


def _last_day(person: PersonFacts | None) -> str | None:
    return dict(_dates(person)).get("last_working_day")


def _dates(person: PersonFacts | None) -> Iterator[tuple[str, str | None]]:
    if person is None:
        return
    main = latest_employment(flagged(person.employments, person.flag))
    if main is not None:
        yield "start_date", None if main.start_day is None else day_text(main.start_day)
        yield "notice_date", None if main.notice_day is None else day_text(main.notice_day)
        yield "last_working_day", day_and_minute(main.last_day, main.last_minute)
        yield "leaving_type", main.leaving_type
    if person.flag is not None:
        yield "note", person.flag.note
