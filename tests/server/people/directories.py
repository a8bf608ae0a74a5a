"""Small directories: who owns which account, for ever or for a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from server.people.directory import AccountRecord, Directory
from server.people.holders import Binding

_DAY_ZERO = date(1970, 1, 1).toordinal()


def owned(owners: Mapping[str, str]) -> list[AccountRecord]:
    """Accounts, as account_key, that somebody always owned."""
    return [AccountRecord(name, owners=(Binding(person),)) for name, person in owners.items()]


def day(text: str) -> int:
    """Days since 1970-01-01 of an ISO date."""
    return date.fromisoformat(text).toordinal() - _DAY_ZERO


def ms(text: str) -> int:
    """ms UTC of an ISO time with its offset."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def answers(directory: Directory) -> dict[str, object]:
    """All that a directory knows, to hold two of them against each other."""
    people, accounts = list(directory.people()), list(directory.accounts())
    traits = [f"host:{name}" for name in "abcdefgh"]
    return {
        "version": (directory.version, directory.last_change),
        "people": people,
        "standings": [directory.standing(person) for person in people],
        "accounts": {(a.system, a.name): (a.kind, set(a.owners), set(a.knowers)) for a in accounts},
        "users": {a.name: directory.users(a.name, None) for a in accounts},
        "of": {p.id: {record.name for record in directory.records_of(p.id)} for p in people},
        "traits": {trait: set(directory.holdings(trait)) for trait in traits},
        "handed": {p.id: directory.handed_to(p.id) for p in people},
    }
