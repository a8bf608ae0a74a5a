"""Whom a row means by its manager, and managers that go round. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from server.people.account_claims import Rows
from server.people.account_names import account_key
from server.people.facts import PersonFacts, sorted_by_word
from server.people.hr_columns import Problem
from server.people.person_rows import PersonRow


class Managers:
    """Knows people by id, by account and by name, in the file and stored. A manager whose own row is refused
    is known all the same: one bad row must not take a team along."""

    def __init__(self, rows: Iterable[PersonRow], stored: Mapping[str, PersonFacts]) -> None:
        self._ids = set(stored)
        of_stored = sorted_by_word((held, p.id) for p in stored.values() for held in p.accounts)
        self._by_account = {held.name: person_id for held, person_id in of_stored if not held.system}
        self._by_name: dict[str, set[str]] = {}
        for person in stored.values():
            self._name(person.name, person.id)
        for row in rows:
            self._ids.add(row.id)
            self._by_account |= dict.fromkeys(row.accounts, row.id)
            self._name(row.name, row.id)

    def _name(self, name: str | None, person_id: str) -> None:
        if name:
            self._by_name.setdefault(name, set()).add(person_id)

    def find(self, row: PersonRow) -> str | Problem | None:
        """An id; None where nobody is named, or the person as their own manager."""
        found = self._found(row)
        return None if found == row.id else found

    def leads_themselves(self, row: PersonRow) -> bool:
        return self._found(row) == row.id

    def _found(self, row: PersonRow) -> str | Problem | None:
        written = row.manager
        if written is None:
            return None
        found = written if written in self._ids else self._by_account.get(account_key(written))
        if found is None:
            named = self._by_name.get(written, set())
            if len(named) > 1:
                shown = ", ".join(sorted(named)[:5])
                return Problem(
                    row.line, "manager", written, f"{len(named)} people have this name ({shown}): give the id"
                )
            found = next(iter(named), None)
        if found is None:
            message = "no person with this id, account or name, neither in the file nor stored"
            return Problem(row.line, "manager", written, message)
        return found


def refuse_circles(
    rows: Rows, managers: dict[str, str | None], stored: Mapping[str, PersonFacts]
) -> list[Problem]:
    """Takes the rows out of `rows` by which managers would go round. `managers`: those of the rows' people,
    where the file names any."""
    problems: list[Problem] = []
    while True:
        leads = {person.id: person.manager_id for person in stored.values()}
        leads |= {person_id: managers[person_id] for person_id in rows if person_id in managers}
        refused = False
        for circle in _circles(leads):
            shown = " → ".join((*circle[:6], *(("…",) if len(circle) > 6 else ()), circle[0]))
            for person_id in circle:
                if person_id in rows and person_id in managers:
                    message = f"managers go round: {shown}"
                    gone = rows.pop(person_id)
                    problems += [Problem(row.line, "manager", row.manager or "", message) for row in gone]
                    refused = True
        if not refused:
            return problems


def _circles(leads: Mapping[str, str | None]) -> Iterator[list[str]]:
    done: set[str] = set()
    for start in leads:
        path: list[str] = []
        on_path: dict[str, int] = {}
        at: str | None = start
        while at is not None and at in leads and at not in done and at not in on_path:
            on_path[at] = len(path)
            path.append(at)
            at = leads[at]
        if at is not None and at in on_path:
            yield path[on_path[at] :]
        done.update(path)
