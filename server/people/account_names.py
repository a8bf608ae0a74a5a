"""How account names compare, and in which forms they may be listed."""

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
