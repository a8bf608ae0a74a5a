"""What a case is: its row, its history, and why something is refused."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from event_schema.struct_base import Milliseconds
from server.store.column_types import is_storable

TITLE_CHARACTERS: Final = 200
TEXT_CHARACTERS: Final = 4000
OWNER_CHARACTERS: Final = 64
ALERTS_MAX: Final = 500
"""In one case."""
HISTORY_MAX: Final = 5000
"""Entries of one case."""
TOLD_MAX: Final = 50
"""Of alerts in one audit row; the case's history has them all."""


class Outcome(StrEnum):
    """What looking into a case came to."""

    CONFIRMED = "confirmed"
    EXPECTED = "expected"
    FALSE = "false"
    INCONCLUSIVE = "inconclusive"


class Verb(StrEnum):
    """What was done to a case."""

    OPEN = "open"
    ADD = "add"
    REMOVE = "remove"
    NOTE = "note"
    RENAME = "rename"
    ASSIGN = "assign"
    CLOSE = "close"
    REOPEN = "reopen"
    PACK = "pack"
    DOWNLOAD = "download"


class UnknownCase(Exception):
    """No case has this number."""


class CaseRefused(Exception):
    """It cannot be done to this case as it is; the message says why. `why` and `values` say it for whoever
    words it anew."""

    def __init__(self, message: str, why: str = "refused", **values: object) -> None:
        super().__init__(message)
        self.why = why
        self.values = values


class CaseChanged(CaseRefused):
    """Somebody changed the case since it was looked at."""


class Case(msgspec.Struct, frozen=True):
    """A row of the table `cases`. What people typed may name somebody: it is shown through a mask."""

    id: int
    title: str
    status: str
    """open or closed."""
    outcome: str | None
    reason: str | None
    owner: str | None
    opened_at: Milliseconds
    opened_by: str
    updated_at: Milliseconds
    closed_at: Milliseconds | None
    closed_by: str | None
    version: int


class CaseEntry(msgspec.Struct, frozen=True):
    """One line of a case's history."""

    id: int
    at: Milliseconds
    actor: str
    verb: str
    text: str | None
    before: str | None
    after: str | None
    alerts: tuple[int, ...]


class Joined(msgspec.Struct, frozen=True):
    """What became of alerts that were to go into a case. `refused`: why, by id."""

    case: int
    opened: bool
    added: tuple[int, ...]
    refused: dict[int, str]


def checked_text(what: str, text: str, longest: int) -> str:
    """Trimmed. Raises CaseRefused."""
    text = text.strip()
    if not 1 <= len(text) <= longest:
        raise CaseRefused(
            f"{what} needs 1 to {longest} characters, not {len(text)}", "length", most=longest, n=len(text)
        )
    if not is_storable(text):
        raise CaseRefused(f"{what} holds a character that a database cannot keep", "characters")
    return text
