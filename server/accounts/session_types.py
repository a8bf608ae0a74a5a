"""A session as the console's checks see it, and its cookie's name."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from event_schema.struct_base import Milliseconds
from server.people.roles import Role

COOKIE: Final = "__Host-leaver"
"""Browsers take such a cookie over TLS only, for the whole host, and from nobody but that host."""
NOTED_MS: Final = 60_000
Language = Literal["en", "zh"]
Theme = Literal["auto", "light", "dark"]


class Session(msgspec.Struct, frozen=True):
    """One that holds, with who it is and how they see the console. `used_at`: to the minute."""

    session_id: int
    user_id: int
    user: str
    role: Role
    language: Language
    theme: Theme
    time_zone: str
    single_keys: bool
    created_at: Milliseconds
    used_at: Milliseconds
    ends_at: Milliseconds
    idle_ms: Milliseconds
    by_provider: bool
    address: str

    def is_use_worth_noting(self, now: int) -> bool:
        return now - self.used_at >= NOTED_MS

    def holds_at(self, now: int) -> bool:
        return now < self.ends_at and now < self.used_at + self.idle_ms
