"""How one role sees the people of the ledger: as they are called, or by pseudonyms until somebody unmasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from server.alerts.view_types import Unmasking
from server.people.directory import Directory, load_directory
from server.people.leaving import Leaver
from server.people.masking import Masker
from server.people.pseudonyms import (
    account_subject,
    label,
    names_to_hide,
    person_subject,
    shown_names,
    unmask,
)
from server.people.roles import Right, Role, may
from server.people.sign_offs import SignOff
from server.store.database import Database


class Sight(Protocol):
    """Each takes what is stored and gives what is shown."""

    def person(self, person_id: str) -> str: ...

    def name(self, person_id: str) -> str | None: ...

    def account(self, account: str) -> str: ...

    def machine(self, machine: str) -> str: ...

    def sign_off(self, signed: SignOff) -> SignOff: ...


def sight_for(
    database: Database,
    role: Role,
    found: Sequence[Leaver],
    unmasking: Unmasking | None,
    *,
    notes: bool,
    directory: Directory | None = None,
) -> Sight:
    """With `unmasking` each of the people leaves a row in the audit trail. `notes`: whether any note is to be
    seen, in which the people's names may stand. `directory`: where the caller has it."""
    if may(role, Right.SEE_NAMES):
        return _AsCalled(role, {})
    people = [person_subject(each.id) for each in found]
    named_in = {own.account for each in found for own in each.accounts}
    named_in |= {own.account for each in found for own in each.secrets}
    accounts = {account_subject(account, None) for account in named_in}
    key, shown = shown_names(database, [*people, *sorted(accounts)])
    if unmasking is None:
        with database.read() as connection:
            directory = directory or load_directory(connection)
            concerned = dict.fromkeys([each.id for each in found] if notes else (), "")
            concerned |= names_to_hide(connection, list(concerned))
        return _Masked(Masker(directory, key, shown, names=concerned), key)
    named: dict[str, str | None] = {}
    with database.begin() as connection:
        for each in found:
            pseudonym = shown[person_subject(each.id)]
            known = unmask(
                connection, pseudonym, actor=unmasking.actor, at=unmasking.at, reason=unmasking.reason
            )
            named[each.id] = known.name
    return _AsCalled(role, named)


class _AsCalled:
    def __init__(self, role: Role, names: dict[str, str | None]) -> None:
        self._role = role
        self._names = names

    def person(self, person_id: str) -> str:
        return person_id

    def name(self, person_id: str) -> str | None:
        return self._names.get(person_id)

    def account(self, account: str) -> str:
        return account

    def machine(self, machine: str) -> str:
        return machine.partition(":")[2]

    def sign_off(self, signed: SignOff) -> SignOff:
        # What security writes down may tell what somebody did.
        if signed.role is Role.ANALYST and not may(self._role, Right.SEE_ALERTS):
            return msgspec.structs.replace(signed, note=None)
        return signed


class _Masked:
    def __init__(self, masker: Masker, key: bytes) -> None:
        self._masker = masker
        self._key = key

    def person(self, person_id: str) -> str:
        return self._masker.subject(person_subject(person_id))

    def name(self, person_id: str) -> str | None:
        return None

    def account(self, account: str) -> str:
        return self._masker.subject(account_subject(account, None))

    def machine(self, machine: str) -> str:
        kind, _, name = machine.partition(":")
        return self._masker.host(name) if kind == "host" else label(self._key, "D", name)

    def sign_off(self, signed: SignOff) -> SignOff:
        if signed.note is None:
            return signed
        return msgspec.structs.replace(signed, note=self._masker.text(signed.note))
