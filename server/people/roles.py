"""Who may see and do what, in the data layer: console, API and command line all ask here.

| | HR | analyst (security) | administrator (IT) |
|---|---|---|---|
| people by id, their dates, accounts and machines | yes | by pseudonym | yes |
| say who leaves | yes | no | yes |
| when an account was used after its person left | no | yes | yes |
| alerts, evidence | no | by pseudonym | no |
| take a pseudonym off, with a reason on the record | no | yes | no |

What shows activity and what shows names meet in one place alone: where somebody unmasks, on the record. That
an account of somebody who left is still in use is told to whoever has to close it, not what it did.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """In whose place somebody asks."""

    HR = "hr"
    ANALYST = "analyst"
    ADMINISTRATOR = "administrator"

    @property
    def words(self) -> str:
        """As people call the department."""
        return {"hr": "HR", "analyst": "security", "administrator": "IT"}[self]


class Right(StrEnum):
    """What a role may."""

    SEE_NAMES = "see_names"
    """Ids, accounts and machines as they are called; without it pseudonyms stand in their place."""
    SEE_LEAVERS = "see_leavers"
    """Dates, what is still open, sign-offs."""
    SEE_LAST_USE = "see_last_use"
    """That an account was used after its person left, and when last."""
    SEE_ALERTS = "see_alerts"
    """Alerts, their number, evidence."""
    UNMASK = "unmask"
    FLAG_LEAVERS = "flag_leavers"
    CHANGE_HOLDINGS = "change_holdings"
    """Accounts, who knows them, machines."""


class NotAllowed(Exception):
    """The role may not; the message says what."""


_RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.HR: frozenset({Right.SEE_NAMES, Right.SEE_LEAVERS, Right.FLAG_LEAVERS}),
    Role.ANALYST: frozenset({Right.SEE_LEAVERS, Right.SEE_LAST_USE, Right.SEE_ALERTS, Right.UNMASK}),
    Role.ADMINISTRATOR: frozenset(
        {
            Right.SEE_NAMES,
            Right.SEE_LEAVERS,
            Right.SEE_LAST_USE,
            Right.FLAG_LEAVERS,
            Right.CHANGE_HOLDINGS,
        }
    ),
}


def may(role: Role, right: Right) -> bool:
    return right in _RIGHTS[role]


def require(role: Role, right: Right) -> None:
    """Raises NotAllowed."""
    if not may(role, right):
        raise NotAllowed(f"{role.words} may not {right.value.replace('_', ' ')}")
