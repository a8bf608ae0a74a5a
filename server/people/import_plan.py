"""What taking an HR file over would change: worked out from the file and what is stored, before anything is
written. Pure.

- People who are missing from the file stay as they are; a column that is missing leaves what is stored.
  An empty cell empties what is stored; only time zone, kind, start date and reference stay.
- A row is refused for a fault of its own (person_rows.py), for an id or an account that an earlier good row
  has, for an account that belongs to a stored person who keeps it, for a manager whom neither the file nor
  the database knows, or who would be led by the person in the end.
- A row whose id is known by another name and by none of its accounts is refused, unless it is said that they
  are the same people (other_person.py).
- Several rows of one person are several employments: each with its reference, or its start date. What is said
  of the person counts from the one that started last; accounts and machines add up.
- Without a column for the id a row is whoever has its account; whom nobody knows cannot be matched.
- What an identity provider says (source scim) binds no file: HR's word stands over it, for the fields that
  the file has and, by holders.py, for accounts.
- A person who was erased is refused, unless the erased are to be taken back, and the erasure is finished; a
  manager who was erased, and is not taken back now, is left empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import msgspec

from event_schema.leaver_fields import PersonStatus
from server.people.account_claims import Rows, claimed
from server.people.dates import day_text
from server.people.employment_merge import DoesNotFit, merged_employments
from server.people.erased import ErasedNames
from server.people.facts import SCIM, Holding, PersonFacts, sorted_by_word, sorted_holdings
from server.people.holding_merge import Taker, gave_back, merged_holdings
from server.people.hr_columns import Problem, Table
from server.people.import_mapping import ImportMapping
from server.people.local_time import first_moment
from server.people.managers import Managers, refuse_circles
from server.people.other_person import OtherPerson, other_person
from server.people.person_rows import PersonRow, person_row
from server.people.standing import timeline

DAY_MS = 86_400_000


class Options(msgspec.Struct, frozen=True):
    """`time_zone`: for new people without one. `add_unmatched`: whom nobody knows by an account is new, with
    the account as id. `same_people`: ids that come with another name and other accounts are the same
    people's. at: ms UTC."""

    at: int
    time_zone: str
    mapping: ImportMapping = ImportMapping()
    restore_erased: bool = False
    add_unmatched: bool = False
    same_people: bool = False


class Plan(msgspec.Struct, frozen=True):
    """`wanted`: what should be of each person of a sound row, with the row's line. `notes`: what was made of
    rows beyond what they say."""

    wanted: tuple[tuple[int, PersonFacts], ...]
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    others: tuple[OtherPerson, ...]
    """Who comes under a known person's id, refused or (`same_people`) taken for the same."""


def make_plan(table: Table, stored: Mapping[str, PersonFacts], erased: ErasedNames, options: Options) -> Plan:
    return _Planning(table, stored, erased, options).plan()


def is_leaving(person: PersonFacts) -> bool:
    """Whether anything ends the person's last stay, however far away."""
    final = timeline(person.employments, person.flag, person.time_zone).standings[-1][0]
    return final is not PersonStatus.ACTIVE


def _same_row(row: PersonRow, rows: Rows) -> PersonRow | None:
    """An earlier row that says all the same: exports that join tables have such."""
    return next(
        (each for each in rows.get(row.id, ()) if msgspec.structs.replace(each, line=row.line) == row), None
    )


class _Planning:
    def __init__(
        self, table: Table, stored: Mapping[str, PersonFacts], erased: ErasedNames, options: Options
    ) -> None:
        self._table = table
        self._stored = stored
        self._erased = erased
        self._options = options
        self._problems = list(table.problems)
        self._notes: list[Problem] = []
        self._others: list[OtherPerson] = []
        self._managers: dict[str, str | None] = {}

    def plan(self) -> Plan:
        rows = self._sound_rows()
        self._problems += refuse_circles(rows, self._managers, self._stored)
        owners, refused = claimed(rows, self._stored)
        self._problems += refused
        takers = {account: Taker(owner, self._since(rows, owner)) for account, owner in owners.items()}
        machines = {
            trait: Taker(row.id, self._since(rows, row.id))
            for each in rows.values()
            for row in each
            for trait in row.devices
            if not self._gave_back(rows, row.id, trait)
        }
        had = self._had_by()
        wanted: list[tuple[int, PersonFacts]] = []
        for person_id, each in rows.items():
            try:
                person = self._merged(person_id, each, takers, machines, had)
            except DoesNotFit as error:
                row = each[-1]
                value = "" if row.last_day is None else day_text(row.last_day)
                self._problems.append(Problem(row.line, error.column, value, str(error)))
            else:
                wanted.append((each[0].line, person))
        ordered = tuple(sorted(self._problems, key=lambda problem: problem.line))
        notes = tuple(sorted(self._notes, key=lambda note: note.line))
        return Plan(tuple(wanted), ordered, notes, tuple(self._others))

    # ---- which rows are sound ---------------------------------------------------------------------------

    def _sound_rows(self) -> Rows:
        read: list[PersonRow] = []
        for cells in self._table.rows:
            row = person_row(cells, self._options.mapping, self._zone_of_whom)
            if isinstance(row, Problem):
                self._problems.append(row)
            else:
                read.append(row)
        if read and "id" not in read[0].given:
            read = self._matched(read)
        led_by = Managers(read, self._stored)
        known = {cells.cells.get("id", "") for cells in self._table.rows}
        rows: Rows = {}
        for row in read:
            if (same := _same_row(row, rows)) is not None:
                self._notes.append(Problem(row.line, "", row.id, f"says what line {same.line} says"))
                continue
            manager = self._manager(row, led_by, known)
            problem = self._fault(row, rows) or (manager if isinstance(manager, Problem) else None)
            if problem is not None:
                self._problems.append(problem)
                continue
            rows.setdefault(row.id, []).append(row)
            if "manager" in row.given and not isinstance(manager, Problem):
                self._managers[row.id] = manager
                if manager is None and led_by.leads_themselves(row):
                    message = "named as their own manager, which counts as none"
                    self._notes.append(Problem(row.line, "manager", row.manager or "", message))
        for each in rows.values():
            each.sort(key=lambda row: (row.start_day is not None, row.start_day or 0))
        self._hold_others(rows)
        # Whose own row is refused as erased leads nobody.
        for person_id, manager_id in self._managers.items():
            if manager_id not in rows and self._is_gone(manager_id):
                self._managers[person_id] = None
        return rows

    def _hold_others(self, rows: Rows) -> None:
        for person_id in list(rows):
            found = other_person(rows[person_id], self._stored.get(person_id))
            if found is None:
                continue
            self._others.append(found)
            if not self._options.same_people:
                held = rows.pop(person_id)
                self._problems += [msgspec.structs.replace(found.problem(), line=row.line) for row in held]
                self._managers.pop(person_id, None)

    def _manager(self, row: PersonRow, led_by: Managers, in_file: set[str]) -> str | Problem | None:
        found = led_by.find(row)
        if not isinstance(found, Problem) or row.manager is None:
            return found
        if row.manager in in_file:
            # One bad row must not take a team along.
            return row.manager
        return None if self._is_gone(row.manager) else found

    def _matched(self, read: list[PersonRow]) -> list[PersonRow]:
        """Rows without ids with the ids of those whose accounts they name."""
        found: list[PersonRow] = []
        for row in read:
            ids = self._ids_of(row.accounts)
            if len(ids) > 1:
                message = f"these accounts belong to several people: {', '.join(ids[:5])}"
                self._problems.append(Problem(row.line, "accounts", row.accounts[0], message))
            elif not ids and not self._options.add_unmatched:
                message = "cannot be matched: nobody has this account (--add-unmatched adds such people)"
                self._problems.append(Problem(row.line, "accounts", row.accounts[0], message))
            elif ids:
                # The account only says who it is: it is no list of all that the person has.
                found.append(
                    msgspec.structs.replace(row, id=ids[0], accounts=(), given=row.given - {"accounts"})
                )
            else:
                found.append(msgspec.structs.replace(row, id=row.accounts[0][:120]))
        return found

    def _ids_of(self, names: tuple[str, ...]) -> list[str]:
        ids = sorted({self._owners[name] for name in names if name in self._owners})
        return ids or [name for name in names if name in self._stored]

    @cached_property
    def _owners(self) -> dict[str, str]:
        held_now = (
            (held, p.id)
            for p in self._stored.values()
            for held in p.accounts
            # Of one system's own name nobody knows that it is meant.
            if held.until is None and not held.system
        )
        return {held.name: person_id for held, person_id in sorted_by_word(held_now)}

    def _fault(self, row: PersonRow, rows: Rows) -> Problem | None:
        if row.id not in self._stored and (message := self._why_not(row.id)):
            return Problem(row.line, "id", row.id, message)
        for other in rows.get(row.id, ()):
            same_reference = row.employment is None or row.employment == other.employment
            same_start = row.start_day is None or row.start_day == other.start_day
            if same_reference and same_start:
                message = f"line {other.line} has the same id; that one counts"
                return Problem(row.line, "id", row.id, message)
        return None

    def _why_not(self, person_id: str) -> str | None:
        """Why a person who is not stored may not be taken in."""
        erased_at = self._erased.person_at(person_id)
        restores = self._options.restore_erased
        if erased_at is None or (restores and not self._erased.is_unfinished(person_id)):
            return None
        if restores:
            return "the erasure is not finished: call leaver erase again first"
        return f"erased on {day_text(erased_at // DAY_MS)}; --restore-erased takes the person back"

    def _is_gone(self, person_id: str | None) -> bool:
        return (
            person_id is not None
            and person_id not in self._stored
            and self._erased.person_at(person_id) is not None
        )

    # ---- what should be ---------------------------------------------------------------------------------

    def _zone_of(self, person_id: str, row: PersonRow) -> str:
        return row.time_zone or self._zone_of_whom(person_id, ())

    def _zone_of_whom(self, person_id: str, accounts: tuple[str, ...]) -> str:
        """Where the row names none. `accounts`: in a file without ids."""
        ids = [person_id] if person_id else self._ids_of(accounts)
        stored = self._stored.get(ids[0]) if len(ids) == 1 else None
        return stored.time_zone if stored else self._options.time_zone

    def _since(self, rows: Rows, person_id: str) -> int | None:
        row = rows[person_id][-1]
        return None if row.since is None else first_moment(self._zone_of(person_id, row), row.since)

    def _gave_back(self, rows: Rows, person_id: str, trait: str) -> bool:
        stored = self._stored.get(person_id)
        return stored is not None and gave_back(stored.traits, trait, self._since(rows, person_id))

    def _had_by(self) -> dict[str, set[str]]:
        """Who ever had an account or a machine, as far as HR or somebody here said it."""
        had: dict[str, set[str]] = {}
        for person in self._stored.values():
            for held in (*person.accounts, *person.traits):
                if not held.system and held.source != SCIM:
                    had.setdefault(held.name, set()).add(person.id)
        return had

    def _merged(
        self,
        person_id: str,
        rows: list[PersonRow],
        takers: Mapping[str, Taker],
        machines: Mapping[str, Taker],
        had: Mapping[str, set[str]],
    ) -> PersonFacts:
        row, given = rows[-1], rows[-1].given
        zone = self._zone_of(person_id, row)
        kept = self._stored.get(person_id) or PersonFacts(id=person_id, time_zone=zone)
        employments = kept.employments
        for each in rows:
            employments = merged_employments(employments, each)
        manager = self._managers.get(person_id) if "manager" in given else kept.manager_id
        person = PersonFacts(
            id=person_id,
            time_zone=zone,
            name=row.name if "name" in given else kept.name,
            department=row.department if "department" in given else kept.department,
            job_role=row.job_role if "job_role" in given else kept.job_role,
            manager_id=manager,
            priority=row.priority if "priority" in given else kept.priority,
            employments=employments,
            flag=kept.flag,
            accounts=kept.accounts,
            traits=kept.traits,
            scim_fields=tuple(name for name in kept.scim_fields if not _says(row, name)),
        )
        since = None if row.since is None else first_moment(zone, row.since)
        leaves = is_leaving(person)
        others = tuple(held for held in kept.accounts if held.system or held.source == SCIM)
        everywhere = tuple(held for held in kept.accounts if not held.system and held.source != SCIM)
        if "accounts" in given:
            listed = {name for each in rows for name in each.accounts}
            everywhere = merged_holdings(
                everywhere,
                listed,
                person_id=person_id,
                since=since,
                at=self._options.at,
                had_by_others=lambda name: self._had(had, name, person_id),
                takers=takers,
                keeps=leaves,
            )
            self._note_kept(row, everywhere, listed)
        traits = kept.traits
        if "devices" in given:
            traits = merged_holdings(
                traits,
                {trait for each in rows for trait in each.devices},
                person_id=person_id,
                since=since,
                at=self._options.at,
                had_by_others=lambda name: bool(had.get(name, set()) - {person_id}),
                takers=machines,
                keeps=False,
            )
        self._note_flag(row, person)
        accounts = sorted_holdings((*others, *everywhere))
        return msgspec.structs.replace(person, accounts=accounts, traits=sorted_holdings(traits))

    def _had(self, had: Mapping[str, set[str]], name: str, person_id: str) -> bool:
        if had.get(name, set()) - {person_id}:
            return True
        # What an erased person did stays theirs, and so out of sight; who is taken back has all of it.
        return self._erased.account(name) is not None and self._erased.person_at(person_id) is None

    def _note_flag(self, row: PersonRow, person: PersonFacts) -> None:
        flag = person.flag
        if flag is not None and row.last_day not in {None, flag.last_day}:
            said = day_text(flag.last_day)
            message = f"flagged by hand with {said} as the last day, which stands (leaver people unflag)"
            self._notes.append(Problem(row.line, "last_working_day", "", message))

    def _note_kept(self, row: PersonRow, held: tuple[Holding, ...], listed: set[str]) -> None:
        for each in held:
            if each.until is None and each.name not in listed and each.source != "flag":
                message = "no longer listed, and kept: the person is leaving, and nobody else has it"
                self._notes.append(Problem(row.line, "accounts", each.name, message))


def _says(row: PersonRow, field: str) -> bool:
    """Whether HR's row speaks of a field of PersonFacts. A zone that is left empty stays what it is."""
    if field == "time_zone":
        return row.time_zone is not None
    return ("manager" if field == "manager_id" else field) in row.given
