"""A door with quick hashes, and users behind it."""

from __future__ import annotations

from argon2 import PasswordHasher

from server.accounts.invitations import accept_invitation, invite
from server.accounts.passwords import Passwords
from server.accounts.signing_in import Door, SignedIn
from server.accounts.users import User, add_user, required_user
from server.config import SignInConfig
from server.people.roles import Role
from server.store.database import Database

NOW = 1_795_305_600_000
PASSWORD = "a heron in the reeds"
ADDRESS = "192.0.2.7"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def door(settings: SignInConfig | None = None, *, per_minute: int = 1000) -> Door:
    return Door(settings or SignInConfig(), per_minute=per_minute, passwords=Passwords(QUICK))


def user(
    database: Database, name: str, role: Role = Role.ANALYST, *, password: str = PASSWORD, now: int = NOW
) -> User:
    """One who can sign in."""
    with database.begin() as connection:
        add_user(connection, name, role, now=now, actor="cli:root")
        token = invite(connection, name, now=now, actor="cli:root")
    accept_invitation(database, Passwords(QUICK), token, name="", password=password, now=now)
    with database.read() as connection:
        return required_user(connection, name)


def sign_in(
    database: Database, name: str, at: Door | None = None, *, address: str = ADDRESS, now: int = NOW
) -> SignedIn:
    return (at or door()).sign_in(database, name, PASSWORD, address=address, now=now)
