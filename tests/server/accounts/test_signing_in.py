"""Signing in by a password: nothing tells who exists, guessing gets slow, nobody is kept out by others."""

from __future__ import annotations

import threading
from typing import Literal

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from server.accounts import lock_out
from server.accounts.lock_out import ADDRESS_TIMES, KNOWN_FREE_FAILURES, Failures, Waits
from server.accounts.passwords import (
    AT_ONCE,
    WAITING_MAX,
    Busy,
    PasswordRefused,
    Passwords,
    checked_password,
)
from server.accounts.signing_in import Door, SignInRefused
from server.accounts.users import disable, enable
from server.store.database import Database
from server.store.tables import audit, console_users
from tests.server.accounts.doors import ADDRESS, NOW, PASSWORD, QUICK, door, sign_in, user

MINUTE = 60_000
ELSEWHERE = "198.51.100.9"


def _refused(database: Database, at: Door, name: str, password: str, *, address: str, now: int = NOW) -> int:
    with pytest.raises(SignInRefused) as refused:
        at.sign_in(database, name, password, address=address, now=now)
    return refused.value.wait_seconds


def test_a_right_password_signs_in_and_a_wrong_one_looks_like_an_unknown_or_disabled_user(
    database: Database,
) -> None:
    user(database, "anna")
    user(database, "omar")
    with database.begin() as connection:
        disable(connection, "omar", now=NOW, actor="cli:root")
    assert sign_in(database, " Anna ").user == "anna"
    at = door()
    wrong = [
        ("anna", "x" * 20),
        ("nobody", PASSWORD),
        ("omar", PASSWORD),
        ("", ""),
        ("a" * 900, "x" * 99_999),
    ]
    wrong += [("anna", PASSWORD + "x"), ("anna\x00", PASSWORD), ("anna", "\ud800"), ("' or 1=1 --", PASSWORD)]
    for name, password in wrong:
        with pytest.raises(SignInRefused, match=r"^wrong name or password$"):
            at.sign_in(database, name, password, address=ADDRESS, now=NOW)
    with database.begin() as connection:
        enable(connection, "omar", now=NOW, actor="cli:root")
    assert sign_in(database, "omar").user == "omar"


def test_an_unknown_user_costs_as_many_hashes_as_a_known_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    user(database, "anna")
    counted: list[str] = []
    verify = PasswordHasher.verify

    def counting(self: PasswordHasher, stored: str, password: str) -> bool:
        counted.append(stored)
        return verify(self, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", counting)
    at = door()
    for name in ("anna", "nobody"):
        _refused(database, at, name, "wrong password", address=ADDRESS)
    assert len(counted) == 2


@pytest.mark.parametrize("name", ["anna", "nobody"])
def test_the_wait_of_a_name_grows_to_a_quarter_of_an_hour_whether_or_not_it_exists(
    database: Database, name: str
) -> None:
    user(database, "anna")
    at, now = door(), NOW
    waits: list[int] = []
    for _ in range(12):
        assert _refused(database, at, name, "wrong password", address=ELSEWHERE, now=now) == 0
        wait = _refused(database, at, name, PASSWORD, address=ELSEWHERE, now=now) if len(waits) >= 4 else 0
        waits.append(wait)
        now += wait * 1000
    assert waits == [0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900, 900]
    if name == "anna":
        assert at.sign_in(database, name, PASSWORD, address=ELSEWHERE, now=now).user == "anna"
        at.settle()
        with database.read() as connection:
            rows = connection.execute(
                select(audit.c.actor, audit.c.object, audit.c.detail).where(
                    audit.c.action == "session.lock_out"
                )
            ).all()
        assert tuple(rows[0]) == (f"address:{ELSEWHERE}", "user:anna", {"wrong": 5, "seconds": 30})
        assert len(rows) == 8


def test_guessing_from_elsewhere_keeps_nobody_out_of_where_they_signed_in_before(database: Database) -> None:
    user(database, "root")
    at = door()
    sign_in(database, "root", at)
    now = NOW
    for _ in range(40):
        _refused(database, at, "root", "wrong password", address=ELSEWHERE, now=now)
    assert _refused(database, at, "root", PASSWORD, address="203.0.113.5", now=now) > 0
    assert at.sign_in(database, "root", PASSWORD, address=ADDRESS, now=now).user == "root"


def test_an_address_that_fails_too_often_waits(database: Database) -> None:
    user(database, "anna")
    at = door(per_minute=3)
    for number in range(3 * ADDRESS_TIMES):
        assert _refused(database, at, f"name{number}", PASSWORD, address=ELSEWHERE) == 0
    assert 0 < _refused(database, at, "anna", PASSWORD, address=ELSEWHERE) <= 60
    assert at.sign_in(database, "anna", PASSWORD, address=ADDRESS, now=NOW).user == "anna"


def test_one_who_guesses_stops_nobody_else_at_the_same_address(database: Database) -> None:
    user(database, "anna")
    user(database, "omar")
    at = door(per_minute=10)
    sign_in(database, "omar", at)
    for _ in range(10):
        _refused(database, at, "anna", "wrong password", address=ADDRESS)
    assert _refused(database, at, "anna", PASSWORD, address=ADDRESS) > 0
    assert at.sign_in(database, "omar", PASSWORD, address=ADDRESS, now=NOW).user == "omar"


def test_guessing_from_a_known_address_waits_too_only_later(database: Database) -> None:
    user(database, "anna")
    at = door()
    sign_in(database, "anna", at)
    for _ in range(KNOWN_FREE_FAILURES + 1):
        assert _refused(database, at, "anna", "wrong password", address=ADDRESS) == 0
    assert _refused(database, at, "anna", PASSWORD, address=ADDRESS) == 30
    later = NOW + 31_000
    assert at.sign_in(database, "anna", PASSWORD, address=ADDRESS, now=later).user == "anna"
    assert _refused(database, at, "anna", "wrong password", address=ADDRESS, now=later) == 0


def test_wrong_passwords_are_forgotten_after_an_hour() -> None:
    failures = Failures()
    for _ in range(4):
        failures = failures.one_more(NOW)
    assert failures.one_more(NOW + 60 * MINUTE).waits_until is not None
    assert failures.one_more(NOW + 60 * MINUTE + 1) == Failures(1, NOW + 60 * MINUTE + 1, None)


def test_names_that_nobody_has_push_no_users_wait_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_out, "NAMES_MAX", 3)
    waits = Waits(10)
    for _ in range(5):
        waits.name_failed("anna", NOW, exists=True)
    for number in range(50):
        waits.name_failed(f"nobody{number}", NOW, exists=False)
    assert waits.of_name("anna").wait_seconds(NOW) == 30
    assert waits.of_name("nobody1") == Failures()
    waits.succeeded("anna")
    assert waits.of_name("anna") == Failures()


def test_wrong_passwords_write_nothing_that_would_take_time(database: Database) -> None:
    user(database, "anna")
    at = door()
    with database.begin():
        # A writer would wait here for the one that holds the database.
        for name in ("anna", "nobody"):
            for _ in range(6):
                with pytest.raises(SignInRefused):
                    at.sign_in(database, name, "wrong password", address=ELSEWHERE, now=NOW)
    at.settle()


def test_a_hash_with_other_parameters_is_made_anew_at_the_next_sign_in(database: Database) -> None:
    anna = user(database, "anna")
    with database.begin() as connection:
        old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
        connection.execute(update(console_users).where(console_users.c.id == anna.id).values(password=old))
    sign_in(database, "anna")
    with database.read() as connection:
        stored = connection.execute(select(console_users.c.password)).scalar_one()
    assert "m=8,t=1,p=1" in stored
    assert stored.startswith("$argon2id$")
    sign_in(database, "anna")


def test_the_parameters_are_those_that_owasp_recommends() -> None:
    assert Passwords().hash(PASSWORD).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_burst_is_told_to_come_again_and_fills_no_threads() -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()

    class Slow(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            begun.release()
            go_on.wait(20)
            return super().verify(hash, password)

    passwords, busy = Passwords(Slow(time_cost=1, memory_cost=8, parallelism=1)), []

    def check() -> None:
        try:
            passwords.fits(None, PASSWORD)
        except Busy:
            busy.append(1)

    threads = [threading.Thread(target=check) for _ in range(30)]
    for thread in threads:
        thread.start()
    for _ in range(AT_ONCE):
        assert begun.acquire(timeout=10)
    for _ in range(200):
        if len(busy) >= 30 - AT_ONCE:
            break
        threading.Event().wait(0.05)
    # Those that waited for a place gave up too.
    assert len(busy) == 30 - AT_ONCE
    assert not begun.acquire(blocking=False)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert passwords.fits(QUICK.hash(PASSWORD), PASSWORD)
    assert WAITING_MAX < 12


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "at least 12"),
        ("x" * 513, "at most 512"),
        ("Anna-anna-anna", "the user's name"),
        ("passwordpassword", "first that are tried"),
        ("QWERTYuiop123", "first that are tried"),
        ("aaaaaaaaaaaaaa", "first that are tried"),
        ("abcdefghijklmnop", "first that are tried"),
        ("98765432109876"[:10] + "zz", None),
        ("a heron in the reeds", None),
        ("密码很长很长很长很长很长很好", None),
    ],
)
def test_which_passwords_are_refused(password: str, words: str | None) -> None:
    if words is None:
        assert checked_password(password, "anna")
    else:
        with pytest.raises(PasswordRefused, match=words):
            checked_password(password, "anna")


def test_the_same_characters_count_however_they_were_composed(database: Database) -> None:
    user(database, "anna", password="café au lait, s'il vous plaît")
    decomposed = "cafe\u0301 au lait, s'il vous plai\u0302t"
    assert door().sign_in(database, "anna", decomposed, address=ADDRESS, now=NOW).user == "anna"


def test_ones_own_password_changes_only_with_the_old_one(database: Database) -> None:
    anna, at = user(database, "anna"), door(per_minute=2)
    new = "two herons there"

    def change(old: str) -> None:
        at.change_password(database, anna.id, "anna", old, new, but=0, now=NOW)

    for _ in range(2):
        with pytest.raises(SignInRefused) as refused:
            change("wrong password")
        assert refused.value.wait_seconds == 0
    with pytest.raises(SignInRefused) as refused:
        change(PASSWORD)
    assert refused.value.wait_seconds > 0
    at = door()
    change(PASSWORD)
    assert at.sign_in(database, "anna", new, address=ADDRESS, now=NOW).user == "anna"
