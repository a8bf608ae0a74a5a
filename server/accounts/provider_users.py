"""Users whom the company's provider vouches for: by issuer and subject, their role from a claim each time."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from server import audit
from server.accounts.oidc import Identity
from server.accounts.sessions import end_sessions
from server.accounts.signing_in import Door, SignedIn
from server.accounts.users import NAME_CHARACTERS, find_user
from server.people.roles import Role
from server.store.column_types import is_storable
from server.store.database import Database
from server.store.tables import console_users

PROVIDER: Final = "provider"
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9._@-]+")
_NAMES_TRIED: Final = 1000


class NotLetIn(Exception):
    """The provider knows who it is, and nothing here lets them in; it is on record."""


def sign_in_by_provider(
    database: Database, door: Door, identity: Identity, *, address: str, now: int
) -> SignedIn:
    """A session, for a user who is made at the first time. Raises NotLetIn."""
    role = role_of(identity, door.settings.oidc_roles)
    if not is_storable(identity.subject):
        raise NotLetIn
    refusal: str | None = None
    with database.begin() as connection:
        row = _find(connection, identity)
        if role is None:
            refusal = "none of its roles is one here"
        elif row is not None and row.disabled_at is not None:
            refusal = "disabled"
        if refusal is None and role is not None:
            user_id, name = _kept(connection, row, identity, role, now)
            return door.let_in(connection, user_id, name, address=address, now=now, by_provider=True)
        _refuse(connection, row, identity, refusal or "", now)
    raise NotLetIn


def role_of(identity: Identity, roles: dict[str, Role]) -> Role | None:
    """The first of the settings' that the identity has."""
    return next((role for value, role in roles.items() if value in identity.values), None)


def _find(connection: Connection, identity: Identity) -> Row[Any] | None:
    is_it = (console_users.c.issuer == identity.issuer) & (console_users.c.oidc_subject == identity.subject)
    return connection.execute(select(console_users).where(is_it)).first()


def _kept(
    connection: Connection, row: Row[Any] | None, identity: Identity, role: Role, now: int
) -> tuple[int, str]:
    if row is None:
        return _added(connection, identity, role, now)
    if row.role != str(role):
        # The provider's word counts, also about the last administrator.
        is_it = console_users.c.id == row.id
        connection.execute(update(console_users).where(is_it).values(role=str(role)))
        detail = {"before": row.role, "role": str(role), "sessions": end_sessions(connection, row.id)}
        _record(connection, "user.role", f"user:{row.name}", now, detail)
    return row.id, row.name


def _added(connection: Connection, identity: Identity, role: Role, now: int) -> tuple[int, str]:
    name = _free_name(connection, identity)
    row = {"name": name, "role": str(role), "issuer": identity.issuer, "oidc_subject": identity.subject}
    made = insert(console_users).values({**row, "created_at": now, "created_by": PROVIDER})
    user_id = connection.execute(made.returning(console_users.c.id)).scalar_one()
    _record(connection, "user.add", f"user:{name}", now, {"role": str(role)})
    return user_id, name


def _free_name(connection: Connection, identity: Identity) -> str:
    """As the provider calls them, where that can be a name here and nobody has it yet."""
    called = _NOT_IN_NAMES.sub("-", identity.name.strip().casefold()).strip("._@-")[: NAME_CHARACTERS - 8]
    base = called or f"user-{_digest(identity)[:8]}"
    for number in range(1, _NAMES_TRIED):
        name = base if number == 1 else f"{base}-{number}"
        if find_user(connection, name) is None:
            return name
    return f"user-{_digest(identity)[:32]}"


def _refuse(connection: Connection, row: Row[Any] | None, identity: Identity, why: str, now: int) -> None:
    ended = 0 if row is None else end_sessions(connection, row.id)
    object = f"user:{row.name}" if row is not None else f"identity:sha256:{_digest(identity)}"
    _record(connection, "session.refused", object, now, {"why": why, "sessions": ended})


def _record(connection: Connection, action: str, object: str, now: int, detail: dict[str, Any]) -> None:
    audit.append(connection, at=now, actor=PROVIDER, action=action, object=object, detail=detail)


def _digest(identity: Identity) -> str:
    return hashlib.sha256(f"{identity.issuer}\n{identity.subject}".encode()).hexdigest()
