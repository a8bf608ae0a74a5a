"""Tokens of service accounts: programs that bring data over HTTPS or use the console's, each with one role.

Those of the console's roles have a scope: `read`, or `write` too. A token never takes a pseudonym off, and
never manages accounts, whatever its role may.

32 random bytes behind "leaver_", shown once, stored as their SHA-256 only; each ends by itself, and may be
revoked before. Two may hold at once, so that one follows the other without a gap.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Connection, Row, insert, select, update

from event_schema.struct_base import Milliseconds
from server import audit
from server.people.roles import Role
from server.store.tables import service_tokens

DAY_MS: Final = 86_400_000
DAYS_MAX: Final = 730
ENDING_MS: Final = 14 * DAY_MS
NAME_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
TOKEN_CHARACTERS_MAX: Final = 128
_PREFIX: Final = "leaver_"
_NOTED_MS: Final = 3_600_000


class TokenRole(StrEnum):
    HR_IMPORT = "hr-import"
    SCIM = "scim"
    HR = "hr"
    ANALYST = "analyst"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"

    @property
    def console(self) -> Role | None:
        """In whose place it asks for the console's data; None: it may not."""
        return None if self in (TokenRole.HR_IMPORT, TokenRole.SCIM) else Role(str(self))


class Scope(StrEnum):
    READ = "read"
    WRITE = "write"


class TokenRefused(Exception):
    """The message says why."""


class BadTokenName(TokenRefused):
    """That is no name."""


class ServiceToken(msgspec.Struct, frozen=True):
    """As stored, without its digest. `used_at`: to the hour."""

    id: int
    name: str
    role: TokenRole
    created_at: Milliseconds
    created_by: str
    expires_at: Milliseconds
    used_at: Milliseconds | None
    revoked_at: Milliseconds | None
    scope: Scope = Scope.WRITE

    def is_use_worth_noting(self, now: int) -> bool:
        return self.used_at is None or now - self.used_at >= _NOTED_MS

    def state_at(self, now: int) -> str:
        if self.revoked_at is not None:
            return "revoked"
        return "ended" if self.expires_at <= now else "holds"


def create_token(
    connection: Connection,
    name: str,
    role: TokenRole,
    *,
    days: int,
    now: int,
    actor: str,
    scope: Scope | None = None,
) -> str:
    """The token, which cannot be read again. `scope`: of the console's roles, else READ; the others write.
    Raises TokenRefused: a name that holds, or that is none; a scope that has no meaning; too many days."""
    if role.console is None and scope is Scope.READ:
        raise TokenRefused(f"a token of the role {role} brings data, so its scope is write")
    if not 1 <= days <= DAYS_MAX:
        raise TokenRefused(f"a token ends after 1 to {DAYS_MAX} days")
    held = scope or (Scope.WRITE if role.console is None else Scope.READ)
    if NAME_PATTERN.fullmatch(name) is None:
        raise BadTokenName(
            "a name has small letters, digits, dots and dashes, and begins with one of the first"
        )
    if any(token.name == name and token.state_at(now) == "holds" for token in list_tokens(connection)):
        raise TokenRefused(f"{name} has a token that holds: revoke it, or give the next one another name")
    token = _PREFIX + secrets.token_urlsafe(32)
    row = {"name": name, "role": str(role), "token_sha256": _digest(token), "created_at": now}
    row |= {"created_by": actor, "expires_at": now + days * DAY_MS, "scope": str(held)}
    connection.execute(insert(service_tokens).values(row))
    detail = {"role": str(role), "days": days, "scope": str(held)}
    audit.append(
        connection, at=now, actor=actor, action="token.create", object=f"token:{name}", detail=detail
    )
    return token


def list_tokens(connection: Connection) -> list[ServiceToken]:
    """All that ever were, the latest first."""
    query = select(*_columns()).order_by(service_tokens.c.id.desc())
    return [_token(row) for row in connection.execute(query)]


def ending_tokens(connection: Connection, *, now: int) -> tuple[ServiceToken, ...]:
    """Those in use that end within ENDING_MS or did so lately: what they bring stops then."""
    return tuple(
        token
        for token in list_tokens(connection)
        if token.revoked_at is None and token.used_at is not None and abs(token.expires_at - now) < ENDING_MS
    )


def revoke_token(connection: Connection, name: str, *, now: int, actor: str, reason: str) -> None:
    """Holds at once. Raises TokenRefused where no token of this name holds."""
    holding = [t.id for t in list_tokens(connection) if t.name == name and t.state_at(now) == "holds"]
    if not holding:
        raise TokenRefused(f"no token of the name {name} holds: leaver token list")
    connection.execute(update(service_tokens).where(service_tokens.c.id.in_(holding)).values(revoked_at=now))
    audit.append(
        connection, at=now, actor=actor, action="token.revoke", object=f"token:{name}", reason=reason
    )


def find_token(connection: Connection, presented: str) -> ServiceToken | None:
    """The one that was shown, unless it was revoked; it may have ended."""
    if not presented.startswith(_PREFIX) or len(presented) > TOKEN_CHARACTERS_MAX:
        return None
    is_it = (service_tokens.c.token_sha256 == _digest(presented)) & service_tokens.c.revoked_at.is_(None)
    row = connection.execute(select(*_columns()).where(is_it)).first()
    return None if row is None else _token(row)


def note_use(connection: Connection, token: ServiceToken, *, now: int) -> None:
    connection.execute(update(service_tokens).where(service_tokens.c.id == token.id).values(used_at=now))


def _columns() -> list[Column[Any]]:
    return [service_tokens.c[name] for name in ServiceToken.__struct_fields__]


def _token(row: Row[Any]) -> ServiceToken:
    values = {field: getattr(row, field) for field in ServiceToken.__struct_fields__}
    return ServiceToken(**{**values, "role": TokenRole(row.role), "scope": Scope(row.scope)})


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
