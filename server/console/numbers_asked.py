"""Numbers that people type into forms."""

from __future__ import annotations

import re

from server.api.errors import ApiError
from server.console.page import Ask

_DIGITS_MAX = 18
_BETWEEN = re.compile(r"[\s,;#，、]+")


def alert_numbers(ask: Ask, typed: str) -> list[int]:
    """ "12, #14 15". Raises ApiError(400)."""
    parts = [part for part in _BETWEEN.split(typed) if part]
    if any(not (part.isascii() and part.isdigit() and len(part) <= _DIGITS_MAX) for part in parts):
        raise ApiError(400, "bad_number", ask.text("Write numbers of alerts, with spaces between them"))
    return [int(part) for part in parts]


def whole_number(ask: Ask, name: str) -> int:
    """Of a form's field. Raises ApiError(400)."""
    given = ask.form.get(name, "").strip()
    if not (given.isascii() and given.isdigit() and len(given) <= _DIGITS_MAX):
        raise ApiError(400, "bad_number", ask.text("This is no number"))
    return int(given)
