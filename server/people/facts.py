"""What is declared of one person: employments with their dates, accounts, machines. Plain values.

Days are days since 1970-01-01 in the person's time zone, minutes those of the local day, times ms UTC.
`people_changes.before` keeps a PersonFacts as JSON: an object with exactly the fields below that differ from
their defaults. A field that a later version adds needs a default.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

EmploymentKind = Literal["employee", "partner"]
LeavingType = Literal["resigned", "dismissed", "end_of_contract", "partner_end"]
AccountKind = Literal["personal", "shared", "service", "partner"]
Source = Literal["import", "flag", "api", "scim", "learned"]

LEARNED: Source = "learned"
SCIM: Source = "scim"


class Employment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of a person's employments. `start_day` None: before anybody can tell. `last_day`: inclusive, until
    the end of `last_minute` where there is one. Without a notice day nobody said since when it is ending."""

    number: int = 1
    reference: str | None = None
    kind: EmploymentKind = "employee"
    start_day: int | None = None
    notice_day: int | None = None
    last_day: int | None = None
    last_minute: int | None = None
    leaving_type: LeavingType | None = None


class LeaverFlag(msgspec.Struct, frozen=True, omit_defaults=True):
    """Said by hand: stands over the dates of HR's file until it is taken back. `note`: for HR and
    administrators alone; it may name people."""

    last_day: int
    notice_day: int | None = None
    last_minute: int | None = None
    leaving_type: LeavingType | None = None
    flagged_at: int = 0
    note: str | None = None


class Holding(msgspec.Struct, frozen=True, omit_defaults=True):
    """An account (`system`, `name` as account_key) or a trait (`name`, 'host:laptop-7') of the person.
    `since` None: as long as anybody can tell; `until`: exclusive, None: still."""

    name: str
    system: str = ""
    since: int | None = None
    until: int | None = None
    source: Source = "import"

    def holds_at(self, time: int) -> bool:
        return (self.since is None or self.since <= time) and (self.until is None or time < self.until)


class PersonFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """`accounts`: those that the person owns or owned, sorted; not those that the person only knows.
    `traits`: likewise. `employments`: by number. `scim_fields`: names of the fields above `employments` whose
    value is an identity provider's word; HR's stands over it."""

    id: str
    time_zone: str
    name: str | None = None
    department: str | None = None
    job_role: str | None = None
    manager_id: str | None = None
    priority: int | None = None
    employments: tuple[Employment, ...] = ()
    flag: LeaverFlag | None = None
    accounts: tuple[Holding, ...] = ()
    traits: tuple[Holding, ...] = ()
    scim_fields: tuple[str, ...] = ()

    def account_names(self, time: int) -> tuple[str, ...]:
        """Of accounts that are valid everywhere, at a time."""
        return tuple(held.name for held in self.accounts if not held.system and held.holds_at(time))


def latest_employment(employments: tuple[Employment, ...]) -> Employment | None:
    """The one that a row without further words is about: that which started last."""
    if not employments:
        return None
    return max(employments, key=lambda each: (each.start_day is not None, each.start_day or 0, each.number))


def sorted_holdings(held: Iterable[Holding]) -> tuple[Holding, ...]:
    return tuple(sorted(held, key=_order))


def sorted_by_word(held: Iterable[tuple[Holding, str]]) -> list[tuple[Holding, str]]:
    """Who has what: an identity provider's word first, so that what is declared here, behind it, counts."""
    return sorted(held, key=lambda each: each[0].source != SCIM)


def _order(held: Holding) -> tuple[str, str, int, int, str]:
    return (held.system, held.name, held.since or 0, held.until or 0, held.source)
