"""Who may see and do what, in the data layer: console, API and command line all ask here.

| | HR | analyst (security) | administrator (IT) | auditor |
|---|---|---|---|---|
| people by id, their dates, accounts and machines | yes | by pseudonym | yes | no |
| say who leaves | yes | no | yes | no |
| when an account was used after its person left | no | yes | yes | no |
| alerts, evidence, cases | no | by pseudonym | no | no |
| judge alerts | no | yes | no | no |
| take a pseudonym off, with a reason on the record | no | yes | no | no |
| policies | no | read | yes | no |
| exceptions from policies | no | yes | yes | no |
| agents and machines | no | no | yes | no |
| who signs in, and tokens | no | no | yes | no |
| the audit trail | no | no | yes | yes |

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
    AUDITOR = "auditor"

    @property
    def words(self) -> str:
        """As people call the department."""
        return {"hr": "HR", "analyst": "security", "administrator": "IT", "auditor": "auditors"}[self]


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
    TRIAGE = "triage"
    """Take, close, merge and note alerts, gather them in cases."""
    SEE_POLICIES = "see_policies"
    MAKE_EXCEPTIONS = "make_exceptions"
    CHANGE_POLICIES = "change_policies"
    SEE_FLEET = "see_fleet"
    """Agents, their machines, health and versions."""
    MANAGE_ACCOUNTS = "manage_accounts"
    """Who signs in to the console, in which role, and tokens of programs."""
    SEE_AUDIT = "see_audit"


class NotAllowed(Exception):
    """The role may not; the message says what."""


_RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.HR: frozenset({Right.SEE_NAMES, Right.SEE_LEAVERS, Right.FLAG_LEAVERS}),
    Role.ANALYST: frozenset(
        {
            Right.SEE_LEAVERS,
            Right.SEE_LAST_USE,
            Right.SEE_ALERTS,
            Right.UNMASK,
            Right.TRIAGE,
            Right.SEE_POLICIES,
            Right.MAKE_EXCEPTIONS,
        }
    ),
    Role.ADMINISTRATOR: frozenset(
        {
            Right.SEE_NAMES,
            Right.SEE_LEAVERS,
            Right.SEE_LAST_USE,
            Right.FLAG_LEAVERS,
            Right.CHANGE_HOLDINGS,
            Right.SEE_POLICIES,
            Right.MAKE_EXCEPTIONS,
            Right.CHANGE_POLICIES,
            Right.SEE_FLEET,
            Right.MANAGE_ACCOUNTS,
            Right.SEE_AUDIT,
        }
    ),
    Role.AUDITOR: frozenset({Right.SEE_AUDIT}),
}


def may(role: Role, right: Right) -> bool:
    return right in _RIGHTS[role]


def require(role: Role, right: Right) -> None:
    """Raises NotAllowed."""
    if not may(role, right):
        raise NotAllowed(f"{role.words} may not {right.value.replace('_', ' ')}")
