"""One-time tokens that set a password: of the first administrator, of who was added, of who forgot theirs.

32 random bytes, shown once, kept as their SHA-256 only, good for a day and for one use.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, insert, select

from server import audit
from server.accounts.passwords import Passwords, checked_password
from server.accounts.signing_in import set_password
from server.accounts.users import AccountRefused, add_user, checked_name, has_administrator, required_user
from server.people.roles import Role
from server.store.database import Database
from server.store.tables import console_invitations, console_users

LASTS_MS: Final = 86_400_000
TOKEN_CHARACTERS_MAX: Final = 128


class InvitationEnded(AccountRefused):
    """Unknown, used or over: which of them is not said."""

    def __init__(self) -> None:
        super().__init__("this link was used already, or has ended: ask for another one")


class Invitation(msgspec.Struct, frozen=True):
    """`user`: whose password it sets; None: the first administrator's, who chooses a name."""

    user: str | None
    expires_at: int


def invite_first_administrator(connection: Connection, *, now: int, actor: str) -> str | None:
    """The token; the ones before hold no longer. None: there is an administrator who can sign in."""
    connection.execute(delete(console_invitations).where(console_invitations.c.user_id.is_(None)))
    if has_administrator(connection):
        return None
    return _token(connection, None, now=now, actor=actor)


def invite(connection: Connection, name: str, *, now: int, actor: str) -> str:
    """The token for a user; the ones before hold no longer. Raises UnknownUser, AccountRefused."""
    user = required_user(connection, name)
    if user.disabled_at is not None:
        raise AccountRefused("{name} is disabled: enable them first", name=name)
    if user.by_provider:
        raise AccountRefused("{name} signs in by the company's provider, and has no password here", name=name)
    connection.execute(delete(console_invitations).where(console_invitations.c.user_id == user.id))
    token = _token(connection, user.id, now=now, actor=actor)
    audit.append(connection, at=now, actor=actor, action="user.invite", object=f"user:{name}")
    return token


def find_invitation(connection: Connection, token: str, now: int) -> Invitation | None:
    if not token or len(token) > TOKEN_CHARACTERS_MAX:
        return None
    row = connection.execute(
        select(console_users.c.name, console_invitations.c.expires_at)
        .select_from(console_invitations.outerjoin(console_users))
        .where(console_invitations.c.token_sha256 == _digest(token), console_invitations.c.expires_at > now)
    ).first()
    return None if row is None else Invitation(row.name, row.expires_at)


def accept_invitation(
    database: Database, passwords: Passwords, token: str, *, name: str, password: str, now: int
) -> str:
    """The user's name; the token is used up. `name`: the first administrator's choice, else not looked at.

    Raises InvitationEnded, AccountRefused, PasswordRefused, Busy.
    """
    with database.read() as connection:
        found = find_invitation(connection, token, now)
    if found is None:
        raise InvitationEnded
    name = found.user or checked_name(name.strip().casefold())
    hashed = passwords.hash(checked_password(password, name))
    with database.begin() as connection:
        # It may have been used, or ended, since.
        current = find_invitation(connection, token, now)
        if current is None or current.user != found.user:
            raise InvitationEnded
        actor = f"user:{name}"
        if current.user is None:
            if has_administrator(connection):
                raise InvitationEnded
            add_user(connection, name, Role.ADMINISTRATOR, now=now, actor="invitation")
        user = required_user(connection, name)
        if user.disabled_at is not None:
            raise InvitationEnded
        connection.execute(
            delete(console_invitations).where(console_invitations.c.token_sha256 == _digest(token))
        )
        set_password(connection, user.id, name, hashed, now=now, actor=actor)
    return name


def _token(connection: Connection, user_id: int | None, *, now: int, actor: str) -> str:
    connection.execute(delete(console_invitations).where(console_invitations.c.expires_at <= now))
    token = secrets.token_urlsafe(32)
    row = {"token_sha256": _digest(token), "user_id": user_id, "created_at": now, "created_by": actor}
    connection.execute(insert(console_invitations).values({**row, "expires_at": now + LASTS_MS}))
    return token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
