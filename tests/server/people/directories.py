"""Small directories: who owns which account, for ever or for a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from server.people.directory import AccountRecord
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
