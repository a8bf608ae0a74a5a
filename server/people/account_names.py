"""How names of accounts and machines compare, and in which forms they may be listed."""

from __future__ import annotations

import unicodedata


def account_key(account: str) -> str:
    """The form in which accounts compare and are stored."""
    trimmed = account.strip()
    if not trimmed.isascii():
        trimmed = unicodedata.normalize("NFC", trimmed)
    return trimmed.casefold()


def host_trait(host: str) -> str:
    """A machine as `trait_bindings` names it."""
    return f"host:{account_key(host)}"


def machine_trait(written: str) -> str:
    """'host:laptop-7' of a machine's name, with host: before it or without; 'device:UID' with the UID as it
    is: events have it in the case in which the device tells it."""
    kind, colon, rest = written.strip().partition(":")
    match kind.casefold() if colon else "":
        case "host":
            return host_trait(rest)
        case "device":
            return f"device:{rest.strip()}"
        case _:
            return host_trait(written)
