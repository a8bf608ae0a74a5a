"""Taking an HR file over: shown first, then all of it in one transaction, or nothing.

All or nothing unless bad rows are to be left out: HR mends the file and calls again, and no leaver is
missing unnoticed. What else stops a file until somebody says that it is meant: import_stops.py.
The same file again changes nothing. `people_version` rises when something changed.
"""

from __future__ import annotations

import hashlib

import msgspec
from sqlalchemy import Connection, insert, update

from server import audit
from server.people.company import DEFAULT_TIME_ZONE
from server.people.csv_encoding import UnreadableFile
from server.people.directory import people_version
from server.people.erased import ErasedNames, erased_digest, load_erased
from server.people.facts import PersonFacts
from server.people.facts_store import Change, load_facts, write_facts
from server.people.hr_columns import Problem, Table
from server.people.hr_file import read_table
from server.people.import_mapping import ImportMapping
from server.people.import_plan import Options, Plan, make_plan
from server.people.import_report import ImportReport, PersonChange, Stop, field_changes
from server.people.import_stops import Effects, why_stopped
from server.people.json_table import read_json
from server.people.near_columns import LEAVING, near_misses
from server.people.person_rows import VALUE_SHOWN
from server.people.pseudonyms import person_subject
from server.store.tables import erasures, people_imports

STOPPED_CHARACTERS = 512
_COUNTS = ("added", "changed", "unchanged", "refused")


class ImportOptions(msgspec.Struct, frozen=True):
    """`time_zone`: for new people without one. `encoding`: skips the guess. `is_json`: the data is a list of
    objects (json_table.py). `expect_leavers`: so many new
    leavers are meant, at most; `expect_withdrawn`: likewise of dates that are taken back; `expect_accounts`:
    of people who lose their last account, or one to somebody else. `add_unmatched`:
    whom nobody knows by an account is a new person. `same_people`: an id that comes with another name and
    other accounts is the same person's (other_person.py). `ignore_columns`: names that are almost those of
    dates are meant to be others (near_columns.py)."""

    time_zone: str = DEFAULT_TIME_ZONE
    encoding: str | None = None
    is_json: bool = False
    mapping: ImportMapping = ImportMapping()
    dry_run: bool = False
    skip_bad_rows: bool = False
    restore_erased: bool = False
    add_unmatched: bool = False
    same_people: bool = False
    expect_leavers: int | None = None
    expect_withdrawn: int | None = None
    expect_accounts: int | None = None
    ignore_columns: bool = False


class PreparedImport(msgspec.Struct, frozen=True):
    """A file, read and held against what is stored at `version`: what takes long, before anybody waits."""

    data: bytes
    options: ImportOptions
    at: int
    version: int
    table: Table
    plan: Plan
    stored: dict[str, PersonFacts]
    erased: ErasedNames
    changed: tuple[tuple[int, PersonFacts], ...]
    """People whose facts would differ, with their lines."""


def prepare_import(
    connection: Connection, data: bytes, *, at: int, options: ImportOptions | None = None
) -> PreparedImport:
    """Reads only. at: ms UTC. Raises UnreadableFile."""
    options = options or ImportOptions()
    if options.is_json:
        table = read_json(data, names=options.mapping.names())
    else:
        table = read_table(data, mapping=options.mapping, encoding=options.encoding)
    if not table.rows and not table.problems:
        # An export that went wrong: taken as it is, it would say that all is well.
        raise UnreadableFile("there are no rows below the header")
    return _prepared(connection, data, table, at, options)


def _prepared(
    connection: Connection, data: bytes, table: Table, at: int, options: ImportOptions
) -> PreparedImport:
    stored = load_facts(connection)
    erased = load_erased(connection)
    chosen = Options(
        at=at,
        time_zone=options.time_zone,
        mapping=options.mapping,
        restore_erased=options.restore_erased,
        add_unmatched=options.add_unmatched,
        same_people=options.same_people,
    )
    plan = make_plan(table, stored, erased, chosen)
    changed = tuple((line, person) for line, person in plan.wanted if stored.get(person.id) != person)
    return PreparedImport(data, options, at, people_version(connection), table, plan, stored, erased, changed)


def take_over(connection: Connection, prepared: PreparedImport, *, actor: str) -> ImportReport:
    """Within the caller's write transaction, which is alone (a read transaction will do for a dry run).
    Where somebody changed people meanwhile, it is worked out again."""
    if people_version(connection) != prepared.version:
        prepared = _prepared(connection, prepared.data, prepared.table, prepared.at, prepared.options)
    options, at = prepared.options, prepared.at
    effects = Effects(prepared.stored, [person for _, person in prepared.changed])
    stop = why_stopped(
        prepared.plan,
        effects,
        skip_bad_rows=options.skip_bad_rows,
        same_people=options.same_people,
        expect_leavers=options.expect_leavers,
        expect_withdrawn=options.expect_withdrawn,
        expect_accounts=options.expect_accounts,
        misspelt=()
        if options.ignore_columns
        else [miss.column for miss in near_misses(prepared.table) if miss.column in LEAVING],
    )
    stopped = None if stop is None else stop.why
    changes: list[Change] = [(prepared.stored.get(person.id), person) for _, person in prepared.changed]
    applies = stopped is None and not options.dry_run
    if applies:
        _restore(connection, prepared.erased, changes, actor, at)
    import_id = None
    if not options.dry_run:
        import_id = _note_import(connection, prepared, actor, stopped)
    if applies:
        write_facts(connection, changes, at=at, actor=actor, way="import", import_id=import_id)
    return _report(connection, prepared, effects, stop, import_id)


def import_people(
    connection: Connection, data: bytes, *, actor: str, at: int, options: ImportOptions | None = None
) -> ImportReport:
    """Both at once. Raises UnreadableFile; nothing is changed then."""
    return take_over(connection, prepare_import(connection, data, at=at, options=options), actor=actor)


def note_unreadable(connection: Connection, data: bytes, why: str, *, actor: str, at: int) -> int:
    """A file of which nothing is known but that it came: on the record. `why`: without anything that stands
    in the file, since it is kept for good. Its number."""
    return _note(connection, data, dict.fromkeys(_COUNTS, 0), why, {}, actor=actor, at=at)


def _report(
    connection: Connection,
    prepared: PreparedImport,
    effects: Effects,
    stop: Stop | None,
    import_id: int | None,
) -> ImportReport:
    table, plan, stored = prepared.table, prepared.plan, prepared.stored
    options, changed = prepared.options, prepared.changed
    added = sum(person.id not in stored for _, person in changed)
    return ImportReport(
        applied=stop is None and not options.dry_run,
        import_id=import_id,
        stopped=None if stop is None else stop.why,
        answer=None if stop is None else stop.answer,
        dry_run=options.dry_run,
        encoding=table.format,
        delimiter=table.delimiter,
        columns=table.columns,
        ignored_columns=table.ignored_columns,
        rows=len(table.rows) + len(table.problems),
        added=added,
        changed=len(changed) - added,
        unchanged=len(plan.wanted) - len(changed),
        refused=len({problem.line for problem in plan.problems}),
        others=len(plan.others),
        new_leavers=len(effects.new_leavers),
        withdrawn=len(effects.withdrawn),
        without_accounts=len(effects.without_accounts),
        active=effects.active,
        changes=tuple(
            PersonChange(
                line,
                person.id,
                person.id not in stored,
                person.id in effects.new_leavers,
                field_changes(stored.get(person.id), person),
            )
            for line, person in changed
        ),
        problems=plan.problems,
        notes=(*_header_notes(table), *plan.notes),
        people_version=people_version(connection),
    )


def _header_notes(table: Table) -> tuple[Problem, ...]:
    return tuple(
        Problem(0, "", miss.header[:VALUE_SHOWN], f"not read; did you mean {miss.column.replace('_', ' ')}?")
        for miss in near_misses(table)
    )


def _restore(connection: Connection, erased: ErasedNames, changes: list[Change], actor: str, at: int) -> None:
    """Takes erased people back, and their accounts: on the record."""
    for before, person in changes:
        if before is not None or person is None or erased.person_at(person.id) is None:
            continue
        digest = erased_digest(erased.key, person_subject(person.id))
        open_ones = (erasures.c.digest == digest) & erasures.c.restored_at.is_(None)
        connection.execute(update(erasures).where(open_ones).values(restored_at=at))
        audit.append(
            connection, at=at, actor=actor, action="erasure.restore_person", object=f"person:{digest}"
        )


def _note_import(connection: Connection, prepared: PreparedImport, actor: str, stopped: str | None) -> int:
    """Its number. One that was stopped is on the record too."""
    plan, changed = prepared.plan, prepared.changed
    added = sum(person.id not in prepared.stored for _, person in changed)
    counts = {
        "added": added,
        "changed": len(changed) - added,
        "unchanged": len(plan.wanted) - len(changed),
        "refused": len({problem.line for problem in plan.problems}),
    }
    said = {"same_people": len(plan.others)} if prepared.options.same_people and plan.others else {}
    return _note(connection, prepared.data, counts, stopped, said, actor=actor, at=prepared.at)


def _note(
    connection: Connection,
    data: bytes,
    counts: dict[str, int],
    stopped: str | None,
    said: dict[str, int],
    *,
    actor: str,
    at: int,
) -> int:
    """`said`: of how many people somebody said what the file does not."""
    digest = hashlib.sha256(data).hexdigest()
    why = None if stopped is None else stopped[:STOPPED_CHARACTERS]
    row = {"imported_at": at, "imported_by": actor, "file_sha256": digest, "stopped": why, **counts}
    number = int(
        connection.execute(insert(people_imports).values(row).returning(people_imports.c.id)).scalar_one()
    )
    detail: dict[str, object] = {"import": number, **counts, **said}
    action = "people.import" if stopped is None else "people.import_stopped"
    audit.append(connection, at=at, actor=actor, action=action, object=f"file:sha256:{digest}", detail=detail)
    return number
