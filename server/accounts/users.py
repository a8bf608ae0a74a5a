"""Users of the console: added, given a role, disabled, enabled; each change with its audit row.

There is always an administrator who can sign in, once there was one: the last one is neither disabled nor
given another role, also where two do it at once (there is one writer at a time).
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal, get_args
from zoneinfo import available_timezones

import msgspec
from sqlalchemy import Connection, Row, func, insert, or_, select, update

from event_schema.struct_base import Milliseconds
from server import audit
from server.accounts.session_types import Language, Theme
from server.accounts.sessions import end_sessions
from server.people.roles import Role
from server.store.tables import console_invitations, console_users

NAME_CHARACTERS: Final = 64
USERS_MAX: Final = 10_000
NAME_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
State = Literal["active", "invited", "disabled"]


class AccountRefused(Exception):
    """The message says why; `phrase` and `values` are what it is made of, for other languages."""

    def __init__(self, phrase: str, **values: object) -> None:
        super().__init__(phrase.format(**values))
        self.phrase = phrase
        self.values = values


class UnknownUser(AccountRefused):
    """Nobody has this name."""


class LastAdministrator(AccountRefused):
    """Nobody would be left who may manage users."""

    def __init__(self) -> None:
        super().__init__("this is the last administrator who can sign in: make another one first")


class User(msgspec.Struct, frozen=True):
    """As stored, without the password. `by_provider`: signs in by OIDC."""

    id: int
    name: str
    role: Role
    has_password: bool
    by_provider: bool
    created_at: Milliseconds
    created_by: str
    signed_in_at: Milliseconds | None
    disabled_at: Milliseconds | None
    language: Language
    theme: Theme
    time_zone: str
    single_keys: bool

    @property
    def can_sign_in(self) -> bool:
        return self.disabled_at is None and (self.has_password or self.by_provider)

    @property
    def state(self) -> State:
        if self.disabled_at is not None:
            return "disabled"
        return "active" if self.has_password or self.by_provider else "invited"


def checked_name(name: str) -> str:
    """Raises AccountRefused."""
    if NAME_PATTERN.fullmatch(name) is None:
        raise AccountRefused(
            "a name has up to 64 small letters, digits and . _ - @, and begins with a letter or digit"
        )
    return name


def add_user(connection: Connection, name: str, role: Role, *, now: int, actor: str) -> User:
    """Without a password: an invitation lets them set one. Raises AccountRefused."""
    checked_name(name)
    if find_user(connection, name) is not None:
        raise AccountRefused("there is a user {name} already", name=name)
    if connection.execute(select(func.count()).select_from(console_users)).scalar_one() >= USERS_MAX:
        raise AccountRefused("there are {most} users, which is the most", most=USERS_MAX)
    row = {"name": name, "role": str(role), "created_at": now, "created_by": actor}
    connection.execute(insert(console_users).values(row))
    _record(connection, "user.add", name, now=now, actor=actor, detail={"role": str(role)})
    return required_user(connection, name)


def find_user(connection: Connection, name: str) -> User | None:
    if len(name) > NAME_CHARACTERS:
        return None
    row = connection.execute(_query().where(console_users.c.name == name)).first()
    return None if row is None else _user(row)


def required_user(connection: Connection, name: str) -> User:
    """Raises UnknownUser."""
    found = find_user(connection, name)
    if found is None:
        raise UnknownUser("there is no user {name}", name=name[:NAME_CHARACTERS])
    return found


def list_users(connection: Connection, *, after: str = "", limit: int = USERS_MAX) -> list[User]:
    """By name, behind `after`."""
    query = _query().where(console_users.c.name > after).order_by(console_users.c.name).limit(limit)
    return [_user(row) for row in connection.execute(query)]


def has_administrator(connection: Connection) -> bool:
    """Whether somebody can sign in who may manage users."""
    return bool(_administrators(connection))


def set_role(connection: Connection, name: str, role: Role, *, now: int, actor: str) -> None:
    """Ends the user's sessions. Raises UnknownUser, LastAdministrator."""
    user = required_user(connection, name)
    if user.role is role:
        return
    _keep_an_administrator(connection, user)
    _change(connection, user, role=str(role))
    detail = {"before": str(user.role), "role": str(role), "sessions": end_sessions(connection, user.id)}
    _record(connection, "user.role", name, now=now, actor=actor, detail=detail)


def disable(connection: Connection, name: str, *, now: int, actor: str, reason: str | None = None) -> None:
    """Ends the user's sessions and invitations. Raises UnknownUser, LastAdministrator."""
    user = required_user(connection, name)
    if user.disabled_at is not None:
        return
    _keep_an_administrator(connection, user)
    _change(connection, user, disabled_at=now)
    connection.execute(console_invitations.delete().where(console_invitations.c.user_id == user.id))
    ended = {"sessions": end_sessions(connection, user.id)}
    _record(connection, "user.disable", name, now=now, actor=actor, detail=ended, reason=reason)


def enable(connection: Connection, name: str, *, now: int, actor: str) -> None:
    """Raises UnknownUser."""
    user = required_user(connection, name)
    if user.disabled_at is not None:
        _change(connection, user, disabled_at=None)
        _record(connection, "user.enable", name, now=now, actor=actor)


def end_all_sessions(connection: Connection, name: str, *, now: int, actor: str) -> int:
    """How many there were. Raises UnknownUser."""
    user = required_user(connection, name)
    ended = end_sessions(connection, user.id)
    _record(connection, "session.end_all", name, now=now, actor=actor, detail={"sessions": ended})
    return ended


def set_look(
    connection: Connection, name: str, *, language: str, theme: str, time_zone: str, single_keys: bool
) -> None:
    """How the user sees the console; without an audit row. Raises UnknownUser; AccountRefused
    for a language, theme or zone that there is not."""
    known = language in get_args(Language) and theme in get_args(Theme)
    if not known or time_zone not in available_timezones():
        raise AccountRefused("there is no such language, theme or time zone")
    user = required_user(connection, name)
    values = {"language": language, "theme": theme, "time_zone": time_zone, "single_keys": single_keys}
    _change(connection, user, **values)


def _administrators(connection: Connection) -> list[int]:
    can = or_(console_users.c.password.is_not(None), console_users.c.oidc_subject.is_not(None))
    is_one = (console_users.c.role == str(Role.ADMINISTRATOR)) & console_users.c.disabled_at.is_(None)
    return list(connection.execute(select(console_users.c.id).where(is_one & can).limit(2)).scalars())


def _keep_an_administrator(connection: Connection, user: User) -> None:
    if _administrators(connection) == [user.id]:
        raise LastAdministrator


def _change(connection: Connection, user: User, **values: Any) -> None:
    connection.execute(update(console_users).where(console_users.c.id == user.id).values(values))


def _record(
    connection: Connection,
    action: str,
    name: str,
    *,
    now: int,
    actor: str,
    detail: dict[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    audit.append(
        connection, at=now, actor=actor, action=action, object=f"user:{name}", detail=detail, reason=reason
    )


def _query() -> Any:
    names = set(User.__struct_fields__) - {"has_password", "by_provider"}
    return select(
        *(console_users.c[name] for name in sorted(names)),
        console_users.c.password.is_not(None).label("has_password"),
        console_users.c.oidc_subject.is_not(None).label("by_provider"),
    )


def _user(row: Row[Any]) -> User:
    values = {field: getattr(row, field) for field in User.__struct_fields__}
    flags = {name: bool(values[name]) for name in ("has_password", "by_provider", "single_keys")}
    return User(**{**values, **flags, "role": Role(row.role)})
