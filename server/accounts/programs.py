"""Programs that use the console's data: by a token of one of its roles, with a scope and an end."""

from __future__ import annotations

import msgspec

from server.people.roles import Role
from server.service_tokens import Scope, find_token, note_use
from server.store.database import Database


class Program(msgspec.Struct, frozen=True):
    """Whose token was shown, and what it may."""

    name: str
    role: Role
    may_write: bool


def find_program(database: Database, presented: str, now: int) -> Program | None:
    """None: unknown, revoked, ended, or of a role that is none of the console's. Notes its use."""
    with database.read() as connection:
        found = find_token(connection, presented)
    if found is None or found.expires_at <= now or found.role.console is None:
        return None
    if found.is_use_worth_noting(now):
        with database.begin() as connection:
            note_use(connection, found, now=now)
    return Program(found.name, found.role.console, found.scope is Scope.WRITE)
