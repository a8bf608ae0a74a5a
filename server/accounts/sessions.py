"""Sessions: 32 random bytes in a cookie, kept as their SHA-256 only.

One ends by itself (absolutely, and when it is not used), when its user signs out or ends it from elsewhere,
with every change of password or role, and with the user's disabling.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from server import audit
from server.accounts.session_types import Session
from server.people.roles import Role
from server.store.tables import console_sessions, console_users

TOKEN_CHARACTERS_MAX: Final = 128
ADDRESS_CHARACTERS: Final = 64
PER_USER_MAX: Final = 50
"""The one that was not used for longest ends for a new one."""
_KEPT_MS: Final = 86_400_000


def begin_session(
    connection: Connection,
    user_id: int,
    *,
    address: str,
    now: int,
    lasts_ms: int,
    idle_ms: int,
    by_provider: bool = False,
) -> str:
    """The cookie's value, which cannot be read again. Within a write transaction."""
    _make_room(connection, user_id, now)
    value = secrets.token_urlsafe(32)
    row = {"token_sha256": _digest(value), "user_id": user_id, "address": address[:ADDRESS_CHARACTERS]}
    times = {"created_at": now, "used_at": now, "ends_at": now + lasts_ms, "idle_ms": idle_ms}
    connection.execute(insert(console_sessions).values({**row, **times, "by_provider": by_provider}))
    return value


def find_session(connection: Connection, cookie_value: str, now: int) -> Session | None:
    """The session of a cookie that holds now, of a user who may sign in."""
    if not cookie_value or len(cookie_value) > TOKEN_CHARACTERS_MAX:
        return None
    query = _query().where(console_sessions.c.token_sha256 == _digest(cookie_value))
    row = connection.execute(query).first()
    if row is None:
        return None
    found = _session(row)
    return found if found.holds_at(now) else None


def session_holds(connection: Connection, session_id: int, now: int) -> bool:
    """Whether a session that was found before still holds, for what goes on for long."""
    row = connection.execute(_query().where(console_sessions.c.id == session_id)).first()
    return row is not None and _session(row).holds_at(now)


def list_sessions(connection: Connection, user_id: int, now: int) -> list[Session]:
    """Those of a user that hold, the one used last first."""
    query = _query().where(console_sessions.c.user_id == user_id)
    rows = connection.execute(query.order_by(console_sessions.c.used_at.desc(), console_sessions.c.id.desc()))
    return [each for each in map(_session, rows) if each.holds_at(now)]


def note_use(connection: Connection, session: Session, now: int) -> None:
    """Within a write transaction; once a minute is enough (`is_use_worth_noting`)."""
    is_it = (console_sessions.c.id == session.session_id) & (console_sessions.c.used_at < now)
    connection.execute(update(console_sessions).where(is_it).values(used_at=now))


def end_session(connection: Connection, session_id: int, user_id: int, *, now: int, actor: str) -> bool:
    """One of a user's own; False: they have no such session."""
    is_it = (console_sessions.c.id == session_id) & (console_sessions.c.user_id == user_id)
    gone = connection.execute(delete(console_sessions).where(is_it)).rowcount
    if gone:
        name = connection.execute(
            select(console_users.c.name).where(console_users.c.id == user_id)
        ).scalar_one()
        audit.append(connection, at=now, actor=actor, action="session.end", object=f"user:{name}")
    return bool(gone)


def end_sessions(connection: Connection, user_id: int, *, but: int | None = None) -> int:
    """All of a user's, but one; the number that went. Whoever calls it writes the audit row."""
    of_user = console_sessions.c.user_id == user_id
    others = of_user if but is None else of_user & (console_sessions.c.id != but)
    return connection.execute(delete(console_sessions).where(others)).rowcount


def _make_room(connection: Connection, user_id: int, now: int) -> None:
    over = (console_sessions.c.ends_at < now - _KEPT_MS) | (
        console_sessions.c.used_at + console_sessions.c.idle_ms < now - _KEPT_MS
    )
    connection.execute(delete(console_sessions).where(over))
    of_user = select(console_sessions.c.id).where(console_sessions.c.user_id == user_id)
    latest = of_user.order_by(console_sessions.c.used_at.desc(), console_sessions.c.id.desc())
    surplus = connection.execute(latest.offset(PER_USER_MAX - 1).limit(1000)).scalars().all()
    if surplus:
        connection.execute(delete(console_sessions).where(console_sessions.c.id.in_(surplus)))


def _query() -> Any:
    own = [
        console_sessions.c[name]
        for name in ("user_id", "created_at", "used_at", "ends_at", "idle_ms", "by_provider", "address")
    ]
    theirs = [console_users.c[name] for name in ("role", "language", "theme", "time_zone", "single_keys")]
    columns = (console_sessions.c.id.label("session_id"), console_users.c.name.label("user"), *own, *theirs)
    joined = console_sessions.join(console_users, console_users.c.id == console_sessions.c.user_id)
    return select(*columns).select_from(joined).where(console_users.c.disabled_at.is_(None))


def _session(row: Row[Any]) -> Session:
    values = {field: getattr(row, field) for field in Session.__struct_fields__}
    return Session(**{**values, "role": Role(row.role)})


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
