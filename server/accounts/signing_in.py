"""Signing in by a password.

What was wrong is never said: unknown names, wrong passwords and disabled accounts look alike, also in time.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from server import audit
from server.accounts.lock_out import Failures, Waits
from server.accounts.passwords import Busy, Passwords
from server.accounts.sessions import begin_session, end_sessions
from server.accounts.users import NAME_CHARACTERS
from server.api.failure_limit import network_of
from server.config import SignInConfig
from server.store.database import Database, StoreUnavailable
from server.store.tables import console_addresses, console_users

ADDRESSES_MAX: Final = 20
RECORDS_MAX: Final = 100
HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
_logger = logging.getLogger("leaver.accounts")


class SignInRefused(Exception):
    """`wait_seconds`: so long nothing is tried at all; 0: name or password are wrong."""

    def __init__(self, wait_seconds: int = 0) -> None:
        super().__init__("too many wrong passwords" if wait_seconds else "wrong name or password")
        self.wait_seconds = wait_seconds


class SignedIn(msgspec.Struct, frozen=True):
    """`cookie`: the session's value, for the browser only."""

    user: str
    cookie: str
    seconds: int


class Door:
    """All that signing in needs beside the database; one for a listener."""

    def __init__(
        self, settings: SignInConfig, *, per_minute: int, passwords: Passwords | None = None
    ) -> None:
        self.settings = settings
        self.passwords = passwords or Passwords()
        self.waits = Waits(per_minute)
        self._recorder = ThreadPoolExecutor(1, thread_name_prefix="sign-in record")
        self._records = threading.BoundedSemaphore(RECORDS_MAX)

    def sign_in(self, database: Database, name: str, password: str, *, address: str, now: int) -> SignedIn:
        """Raises SignInRefused, Busy, StoreUnavailable."""
        name = name.strip().casefold()[: NAME_CHARACTERS + 1]
        if wait := self.waits.of_address(address, name):
            raise SignInRefused(wait)
        with database.read() as connection:
            row = _find(connection, name)
            known = _signed_in_from(connection, 0 if row is None else row.id, address)
        known_at = address if known else None
        if wait := self.waits.of_name(name, known_at).wait_seconds(now):
            raise SignInRefused(wait)
        stored = row.password if row is not None and row.disabled_at is None else None
        if not self.passwords.fits(stored, password) or row is None:
            self._failed(database, name, address=address, now=now, exists=row is not None, known=known)
            raise SignInRefused
        anew = self._hashed_anew(row.password, password)
        with database.begin() as connection:
            current = _find(connection, name)
            if current is None or current.disabled_at is not None or current.password != row.password:
                raise SignInRefused
            if anew is not None:
                _set(connection, row.id, password=anew)
            return self.let_in(connection, row.id, name, address=address, now=now)

    def let_in(
        self,
        connection: Connection,
        user_id: int,
        name: str,
        *,
        address: str,
        now: int,
        by_provider: bool = False,
    ) -> SignedIn:
        """Begins a session for somebody who showed who they are. Within a write transaction."""
        self.waits.succeeded(name)
        _set(connection, user_id, signed_in_at=now)
        _remember(connection, user_id, address, now)
        lasts_ms = self.settings.session_hours * HOUR_MS
        cookie = begin_session(
            connection,
            user_id,
            address=network_of(address),
            now=now,
            lasts_ms=lasts_ms,
            idle_ms=self.settings.idle_minutes * MINUTE_MS,
            by_provider=by_provider,
        )
        detail = {"by": "provider" if by_provider else "password"}
        actor = f"user:{name}"
        audit.append(connection, at=now, actor=actor, action="session.begin", object=actor, detail=detail)
        return SignedIn(name, cookie, lasts_ms // 1000)

    def change_password(
        self, database: Database, user_id: int, name: str, old: str, new: str, *, but: int, now: int
    ) -> None:
        """One's own; ends all sessions but the one it is done in. `new` is checked already. Raises
        SignInRefused where the old one is wrong, Busy."""
        if wait := self.waits.of_address(f"user:{name}", name):
            raise SignInRefused(wait)
        with database.read() as connection:
            row = _find(connection, name)
        if row is None or not self.passwords.fits(row.password, old):
            self.waits.failed(f"user:{name}", name)
            raise SignInRefused
        hashed = self.passwords.hash(new)
        with database.begin() as connection:
            current = _find(connection, name)
            if current is None or current.password != row.password or current.disabled_at is not None:
                raise SignInRefused
            set_password(connection, user_id, name, hashed, now=now, actor=f"user:{name}", but=but)

    def _hashed_anew(self, stored: str, password: str) -> str | None:
        if not self.passwords.is_outdated(stored):
            return None
        try:
            return self.passwords.hash(password)
        except Busy:
            return None

    def settle(self) -> None:
        """Waits until what is to be recorded is."""
        self._recorder.submit(int).result()

    def _failed(
        self, database: Database, name: str, *, address: str, now: int, exists: bool, known: bool
    ) -> None:
        self.waits.failed(address, name)
        known_at = address if known else None
        failures = self.waits.name_failed(name, now, exists=exists, known_at=known_at)
        if failures.waits_until is None or not self._records.acquire(blocking=False):
            # Single wrong passwords would fill the trail; so would more at once than anybody could read.
            return
        entry = (database, name, network_of(address), failures, now) if exists else None
        # Beside the answer, and as well where there is nothing to record: how long it takes tells nothing.
        self._recorder.submit(self._record, entry)

    def _record(self, entry: tuple[Database, str, str, Failures, int] | None) -> None:
        try:
            if entry is not None:
                _record_lock_out(*entry)
        except StoreUnavailable as error:
            _logger.error("lock_out_not_recorded", extra={"detail": str(error)})
        finally:
            self._records.release()


def _record_lock_out(database: Database, name: str, network: str, failures: Failures, now: int) -> None:
    detail = {"wrong": failures.count, "seconds": failures.wait_seconds(now)}
    _logger.warning("sign_in_lock_out", extra={"user": name, **detail})
    with database.begin() as connection:
        audit.append(
            connection,
            at=now,
            actor=f"address:{network}",
            action="session.lock_out",
            object=f"user:{name}",
            detail=detail,
        )


def set_password(
    connection: Connection,
    user_id: int,
    name: str,
    hashed: str,
    *,
    now: int,
    actor: str,
    but: int | None = None,
) -> None:
    """And ends the user's sessions, but one. Within a write transaction."""
    _set(connection, user_id, password=hashed)
    ended = end_sessions(connection, user_id, but=but)
    audit.append(
        connection,
        at=now,
        actor=actor,
        action="user.password",
        object=f"user:{name}",
        detail={"sessions": ended},
    )


def _find(connection: Connection, name: str) -> Row[Any] | None:
    if len(name) > NAME_CHARACTERS:
        return None
    return connection.execute(select(console_users).where(console_users.c.name == name)).first()


def _set(connection: Connection, user_id: int, **values: Any) -> None:
    connection.execute(update(console_users).where(console_users.c.id == user_id).values(values))


def _signed_in_from(connection: Connection, user_id: int, address: str) -> bool:
    is_it = (console_addresses.c.user_id == user_id) & (console_addresses.c.network == network_of(address))
    return connection.execute(select(console_addresses.c.at).where(is_it)).first() is not None


def _remember(connection: Connection, user_id: int, address: str, now: int) -> None:
    network = network_of(address)
    of_user = console_addresses.c.user_id == user_id
    connection.execute(delete(console_addresses).where(of_user & (console_addresses.c.network == network)))
    connection.execute(insert(console_addresses).values(user_id=user_id, network=network, at=now))
    latest = select(console_addresses.c.network).where(of_user).order_by(console_addresses.c.at.desc())
    surplus = connection.execute(latest.offset(ADDRESSES_MAX).limit(100)).scalars().all()
    if surplus:
        connection.execute(
            delete(console_addresses).where(of_user & console_addresses.c.network.in_(surplus))
        )
