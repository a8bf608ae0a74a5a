"""Taking an HR file over: every good row, in one transaction; every bad row in the report, with its place.

- People who are missing from the file stay as they are; a column that is missing leaves what is stored.
  An empty cell empties what is stored; only the time zone stays.
- A row is refused for a fault of its own (person_rows.py), for an id or an account that an earlier good
  row has, for an account that belongs to a stored person who keeps it, and for a manager whom neither
  the file nor the database knows.
- A person who was erased is refused, unless the erased are to be taken back, which the audit trail notes, and
  the erasure is finished; a manager who was erased, and is not taken back now, is left empty.
- The same file again changes nothing. `people_version` rises when something changed.
"""

from __future__ import annotations

import hashlib
from collections import deque

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from server import audit
from server.people.csv_table import Column, Problem, Table, read_table
from server.people.dates import day_text
from server.people.directory import DEFAULT_TIME_ZONE, people_version, raise_people_version
from server.people.erased import ErasedNames, erased_digest, load_erased
from server.people.person_rows import PersonRow, person_row
from server.people.pseudonyms import give_pseudonyms, person_subject
from server.store.tables import accounts, erasures, people, people_imports, person_names

DAY_MS = 86_400_000


class ImportReport(msgspec.Struct, frozen=True):
    """What an import did, or (dry_run) would do."""

    dry_run: bool
    encoding: str
    delimiter: str
    columns: tuple[Column, ...]
    ignored_columns: tuple[str, ...]
    rows: int
    added: int
    changed: int
    unchanged: int
    refused: int
    problems: tuple[Problem, ...]
    """One for each refused row, by line."""
    people_version: int


class StoredPerson(msgspec.Struct, frozen=True):
    """What is stored of one person, and what should be; equal means unchanged."""

    id: str
    name: str | None
    accounts: tuple[str, ...]
    department: str | None
    manager_id: str | None
    time_zone: str
    notice_day: int | None
    last_working_day: int | None


def import_people(
    connection: Connection,
    data: bytes,
    *,
    actor: str,
    at: int,
    time_zone: str = DEFAULT_TIME_ZONE,
    encoding: str | None = None,
    dry_run: bool = False,
    restore_erased: bool = False,
) -> ImportReport:
    """Imports within the caller's write transaction (a read transaction will do for a dry run).

    `time_zone` is for new people without one. at: ms UTC. Raises UnreadableFile; nothing is changed then.
    """
    table = read_table(data, encoding=encoding)
    stored = _stored_people(connection)
    erased = load_erased(connection)
    good, problems = _sound_rows(table, stored, erased, restore_erased=restore_erased)
    wanted = [_merged(row, stored.get(row.id), time_zone) for row in good]
    added = [person for person in wanted if person.id not in stored]
    changed = [person for person in wanted if person.id in stored and stored[person.id] != person]
    if not dry_run:
        _restore(connection, erased, added, actor, at)
        _store(connection, added, changed, at)
        _note_import(connection, data, actor, at, added=len(added), changed=len(changed), good=len(wanted))
    return ImportReport(
        dry_run=dry_run,
        encoding=table.encoding,
        delimiter=table.delimiter,
        columns=table.columns,
        ignored_columns=table.ignored_columns,
        rows=len(table.rows) + len(table.problems),
        added=len(added),
        changed=len(changed),
        unchanged=len(wanted) - len(added) - len(changed),
        refused=len(problems),
        problems=tuple(sorted(problems, key=lambda problem: problem.line)),
        people_version=people_version(connection),
    )


# ---- which rows are sound, all together -----------------------------------------------------------


def _sound_rows(
    table: Table, stored: dict[str, StoredPerson], erased: ErasedNames, *, restore_erased: bool
) -> tuple[list[PersonRow], list[Problem]]:
    problems = list(table.problems)
    by_id: dict[str, PersonRow] = {}
    # A manager whose own row is refused is known all the same: one bad row must not take a team along.
    known = set(stored) | {row.cells["id"] for row in table.rows}

    def is_gone(person_id: str) -> bool:
        return person_id not in stored and erased.person_at(person_id) is not None

    for row in table.rows:
        read = person_row(row)
        if isinstance(read, Problem):
            problems.append(read)
        elif read.id not in stored and (message := _why_not(erased, read.id, restore_erased)):
            problems.append(Problem(read.line, "id", read.id, message))
        elif read.id in by_id:
            line = by_id[read.id].line
            problems.append(
                Problem(read.line, "id", read.id, f"line {line} has the same id; that one counts")
            )
        elif read.manager_id is not None and read.manager_id not in known and not is_gone(read.manager_id):
            message = "no person with this id, neither in the file nor stored"
            problems.append(Problem(read.line, "manager", read.manager_id, message))
        else:
            by_id[read.id] = read
    problems += _refuse_shared_accounts(by_id, stored)
    good = [
        msgspec.structs.replace(row, manager_id=None)
        if row.manager_id is not None and row.manager_id not in by_id and is_gone(row.manager_id)
        else row
        for row in by_id.values()
    ]
    return good, problems


def _why_not(erased: ErasedNames, person_id: str, restore_erased: bool) -> str | None:
    """Why a person who is not stored may not be taken in."""
    erased_at = erased.person_at(person_id)
    if erased_at is None or (restore_erased and not erased.is_unfinished(person_id)):
        return None
    if restore_erased:
        return "the erasure is not finished: call leaver erase again first"
    return f"erased on {day_text(erased_at // DAY_MS)}; --restore-erased takes the person back"


def _refuse_shared_accounts(by_id: dict[str, PersonRow], stored: dict[str, StoredPerson]) -> list[Problem]:
    """Takes the rows out of `by_id` that claim someone else's account.

    A stored person's account is free only while the person's own row gives it up; when that row is
    refused, its accounts are claimed back, which may refuse another row in turn.
    """
    problems: list[Problem] = []
    stored_owner = {account: person.id for person in stored.values() for account in person.accounts}
    holder: dict[str, str] = {}
    to_claim_back: deque[str] = deque()

    def refuse(row: PersonRow, account: str, message: str) -> None:
        problems.append(Problem(row.line, "accounts", account, message))
        del by_id[row.id]
        for own in row.accounts:
            if holder.get(own) == row.id:
                del holder[own]
        if row.id in stored:
            to_claim_back.append(row.id)

    for row in list(by_id.values()):
        if "accounts" not in row.given:
            continue
        for account in row.accounts:
            other = holder.get(account)
            owner = stored_owner.get(account, row.id)
            if other is not None:
                refuse(
                    row, account, f"line {by_id[other].line} (id {other}) has this account; that one counts"
                )
                break
            if owner not in by_id and owner != row.id:
                refuse(row, account, f"this account belongs to {owner}, who is stored and keeps it")
                break
            holder[account] = row.id
    while to_claim_back:
        person_id = to_claim_back.popleft()
        for account in stored[person_id].accounts:
            taker = by_id.get(holder.get(account, ""))
            if taker is not None:
                refuse(taker, account, f"this account stays with {person_id}, whose own row was refused")
    return problems


# ---- what is stored, and what should be -----------------------------------------------------------


def _stored_people(connection: Connection) -> dict[str, StoredPerson]:
    own_accounts: dict[str, list[str]] = {}
    for row in connection.execute(select(accounts).order_by(accounts.c.account)):
        own_accounts.setdefault(row.person_id, []).append(row.account)
    names = {row.person_id: row.name for row in connection.execute(select(person_names))}
    return {
        row.id: StoredPerson(
            id=row.id,
            name=names.get(row.id),
            accounts=tuple(sorted(own_accounts.get(row.id, ()))),
            department=row.department,
            manager_id=row.manager_id,
            time_zone=row.time_zone,
            notice_day=row.notice_date,
            last_working_day=row.last_working_day,
        )
        for row in connection.execute(select(people))
    }


def _merged(row: PersonRow, stored: StoredPerson | None, time_zone: str) -> StoredPerson:
    kept = stored or StoredPerson(row.id, None, (), None, None, time_zone, None, None)
    given = row.given
    return StoredPerson(
        id=row.id,
        name=row.name if "name" in given else kept.name,
        accounts=row.accounts if "accounts" in given else kept.accounts,
        department=row.department if "department" in given else kept.department,
        manager_id=row.manager_id if "manager" in given else kept.manager_id,
        time_zone=row.time_zone or kept.time_zone,
        notice_day=row.notice_day if "notice_date" in given else kept.notice_day,
        last_working_day=row.last_working_day if "last_working_day" in given else kept.last_working_day,
    )


def _restore(
    connection: Connection, erased: ErasedNames, added: list[StoredPerson], actor: str, at: int
) -> None:
    """Takes erased people back, and their accounts: on the record."""
    for person in added:
        if erased.person_at(person.id) is None:
            continue
        digest = erased_digest(erased.key, person_subject(person.id))
        open_ones = (erasures.c.digest == digest) & erasures.c.restored_at.is_(None)
        connection.execute(update(erasures).where(open_ones).values(restored_at=at))
        audit.append(
            connection, at=at, actor=actor, action="erasure.restore_person", object=f"person:{digest}"
        )


def _store(connection: Connection, added: list[StoredPerson], changed: list[StoredPerson], at: int) -> None:
    touched = [*added, *changed]
    if not touched:
        return
    if added:
        connection.execute(insert(people), [{"id": person.id, **_columns(person, at)} for person in added])
    for person in changed:
        connection.execute(update(people).where(people.c.id == person.id).values(**_columns(person, at)))
        connection.execute(delete(person_names).where(person_names.c.person_id == person.id))
        connection.execute(delete(accounts).where(accounts.c.person_id == person.id))
    names = [{"person_id": person.id, "name": person.name} for person in touched if person.name]
    if names:
        connection.execute(insert(person_names), names)
    owned = [{"account": a, "person_id": person.id} for person in touched for a in person.accounts]
    if owned:
        connection.execute(insert(accounts), owned)
    give_pseudonyms(connection, [person_subject(person.id) for person in added])
    raise_people_version(connection)


def _columns(person: StoredPerson, at: int) -> dict[str, object]:
    return {
        "department": person.department,
        "manager_id": person.manager_id,
        "time_zone": person.time_zone,
        "notice_date": person.notice_day,
        "last_working_day": person.last_working_day,
        "changed_at": at,
    }


def _note_import(
    connection: Connection, data: bytes, actor: str, at: int, *, added: int, changed: int, good: int
) -> None:
    digest = hashlib.sha256(data).hexdigest()
    counts = {"added": added, "changed": changed, "unchanged": good - added - changed}
    connection.execute(
        insert(people_imports).values(imported_at=at, imported_by=actor, file_sha256=digest, **counts)
    )
    audit.append(
        connection, at=at, actor=actor, action="people.import", object=f"file:sha256:{digest}", detail=counts
    )
