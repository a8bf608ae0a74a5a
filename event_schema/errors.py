"""Errors of the shared words. Each message names the place."""

from __future__ import annotations


class SchemaError(ValueError):
    """An event or control record does not fit its type; the message names the field."""
