"""Whose accounts the rows of a file claim, and which rows must be refused for it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from server.people.facts import SCIM, PersonFacts
from server.people.hr_columns import Problem
from server.people.person_rows import PersonRow

Rows = dict[str, list[PersonRow]]
"""Sound rows by person, by line."""


def open_accounts(person: PersonFacts) -> tuple[str, ...]:
    """Accounts, valid everywhere, that nobody has said an end of. What an identity provider says binds no
    file."""
    return tuple(
        held.name
        for held in person.accounts
        if held.until is None and not held.system and held.source != SCIM
    )


def claimed(rows: Rows, stored: Mapping[str, PersonFacts]) -> tuple[dict[str, str], list[Problem]]:
    """Which person gets each account that the file lists. Takes the rows out of `rows` that claim someone
    else's.

    A stored person's account is free only while the person's own row gives it up; when that row is
    refused, its accounts are claimed back, which may refuse another row in turn.
    """
    problems: list[Problem] = []
    stored_owner = {name: person.id for person in stored.values() for name in open_accounts(person)}
    holder: dict[str, PersonRow] = {}
    to_claim_back: deque[str] = deque()

    def refuse(row: PersonRow, account: str, message: str) -> None:
        problems.append(Problem(row.line, "accounts", account, message))
        _drop(rows, row)
        for own in row.accounts:
            if own in holder and holder[own] is row:
                del holder[own]
        if row.id in stored and row.id not in rows:
            to_claim_back.append(row.id)

    for row in [row for each in rows.values() for row in each if "accounts" in row.given]:
        for account in row.accounts:
            other = holder.get(account)
            owner = stored_owner.get(account, row.id)
            if other is not None and other.id != row.id:
                message = f"line {other.line} (id {other.id}) has this account; that one counts"
                refuse(row, account, message)
                break
            if owner != row.id and not _gives_accounts(rows.get(owner, ())):
                refuse(row, account, f"this account belongs to {owner}, who is stored and keeps it")
                break
            holder[account] = row
    while to_claim_back:
        person_id = to_claim_back.popleft()
        for account in open_accounts(stored[person_id]):
            taker = holder.get(account)
            if taker is not None and taker.id != person_id:
                refuse(taker, account, f"this account stays with {person_id}, whose own row was refused")
    return {account: row.id for account, row in holder.items()}, problems


def _gives_accounts(rows: Sequence[PersonRow]) -> bool:
    return any("accounts" in row.given for row in rows)


def _drop(rows: Rows, row: PersonRow) -> None:
    left = [each for each in rows[row.id] if each is not row]
    if left:
        rows[row.id] = left
    else:
        del rows[row.id]
