"""The administrator's bearer token: 32 random bytes, shown once, stored as its SHA-256 only."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import Connection, delete, insert, select

from server import audit
from server.store.tables import installation

TOKEN_CHARACTERS_MAX = 128
_KEY = "admin_token_sha256"


def has_token(connection: Connection) -> bool:
    return _stored(connection) is not None


def rotate_token(connection: Connection, *, now: int, actor: str) -> str:
    """A new token; the one before holds no longer. It cannot be read again."""
    token = secrets.token_urlsafe(32)
    connection.execute(delete(installation).where(installation.c.key == _KEY))
    connection.execute(insert(installation).values(key=_KEY, value=_digest(token)))
    audit.append(connection, at=now, actor=actor, action="admin_token.rotate", object="admin_token")
    return token


def is_admin_token(connection: Connection, token: str) -> bool:
    stored = _stored(connection)
    if stored is None or len(token) > TOKEN_CHARACTERS_MAX:
        return False
    return hmac.compare_digest(stored, _digest(token))


def _stored(connection: Connection) -> str | None:
    return connection.execute(
        select(installation.c.value).where(installation.c.key == _KEY)
    ).scalar_one_or_none()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
