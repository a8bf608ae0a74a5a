"""Errors of the shared words. Each message names the place."""

from __future__ import annotations

from event_schema.printable import printable_name

_CHARACTERS_MAX = 500


def shown(message: str) -> str:
    """A message that may quote what an endpoint sent, such as an undeclared field's name: no control
    characters, and not longer than a few lines."""
    text = printable_name(message[: _CHARACTERS_MAX + 1])
    return text if len(text) <= _CHARACTERS_MAX else f"{text[:_CHARACTERS_MAX]}…"


class SchemaError(ValueError):
    """An event or control record does not fit its type; the message names the field."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))
