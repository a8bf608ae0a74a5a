"""Passwords: which are refused, how they are kept (Argon2id), and how many are worked on at once.

The parameters are OWASP's (19 MiB, two passes, one lane); a hash made with others is made anew at the next
sign-in. There are no rules of composition: length is what helps, and not being one of those tried first.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

CHARACTERS_MIN: Final = 12
CHARACTERS_MAX: Final = 512
AT_ONCE: Final = 2
WAITING_MAX: Final = 4
WAIT_SECONDS: Final = 0.5
_NAME_MIN: Final = 3
_TRIED_FIRST: Final = """
1234567890123 1234567890ab 123456789abc 123456789012 1234567891011 12345678910 111111111111
000000000000 121212121212 123123123123 112233445566 password1234 password12345 password123456
passwordpassword mypassword123 p@ssw0rd1234 p@ssword1234 passw0rd1234 iloveyou1234 iloveyouforever
qwertyuiop12 qwertyuiop123 qwertyuiop1234 qwertyuiopasdf qwertyuiop[] qwerty123456 qwerty1234567
qwertyqwerty qazwsxedcrfv 1qaz2wsx3edc 1q2w3e4r5t6y zaq12wsxcde3 asdfghjkl123 asdfghjkl1234
zxcvbnm12345 abcdefghijkl abcdefgh1234 abcd12345678 abc123456789 a123456789012 woaini123456
woaini1314520 5201314520131 changemenow1 changeme1234 changemeplease letmein12345 letmeinplease
welcome12345 welcome123456 administrator administrator1 adminadminadmin admin1234567 admin12345678
monkeymonkey dragondragon superman1234 trustno1trustno1 football1234 baseball1234 princess1234
sunshine1234 correcthorsebatterystaple leaverleaver leaver123456
"""


class PasswordRefused(Exception):
    """The message says why, for whoever chose it."""


class Busy(Exception):
    """Too many passwords are being worked on: again in a moment."""


def checked_password(password: str, name: str) -> str:
    """The password as it is hashed: the same characters however a keyboard composed them. Raises
    PasswordRefused."""
    composed = _composed(password)
    if len(composed) < CHARACTERS_MIN:
        raise PasswordRefused("a password has at least 12 characters")
    if len(composed) > CHARACTERS_MAX:
        raise PasswordRefused("a password has at most 512 characters")
    plain = composed.casefold()
    if len(name) >= _NAME_MIN and name.casefold() in plain:
        raise PasswordRefused("the password holds the user's name")
    if plain in _TRIED_FIRST.split() or len(set(plain)) < 4 or _runs(plain):
        raise PasswordRefused("this password is one of the first that are tried")
    return composed


class Passwords:
    """Makes and checks hashes, few at once: each takes 19 MiB and a core for some 20 ms."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(
            time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
        )
        self._places = threading.BoundedSemaphore(AT_ONCE + WAITING_MAX)
        self._working = threading.BoundedSemaphore(AT_ONCE)
        # Checked in place of the password that an unknown user does not have.
        self._nobodys = self._hasher.hash("nobody's password")

    def hash(self, password: str) -> str:
        """Raises Busy."""
        with self._place():
            return self._hasher.hash(_composed(password))

    def fits(self, stored: str | None, password: str) -> bool:
        """Takes as long where nothing is stored. Raises Busy."""
        composed = _composed(password)
        with self._place():
            try:
                self._hasher.verify(stored or self._nobodys, composed[: CHARACTERS_MAX + 1])
            except (VerificationError, InvalidHashError):
                return False
        return stored is not None and len(composed) <= CHARACTERS_MAX

    def is_outdated(self, stored: str) -> bool:
        return self._hasher.check_needs_rehash(stored)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            if not self._working.acquire(timeout=WAIT_SECONDS):
                raise Busy
            try:
                yield
            finally:
                self._working.release()
        finally:
            self._places.release()


def _composed(password: str) -> str:
    """NFC; what no keyboard writes (half of a surrogate pair) is replaced."""
    whole = password[: 4 * CHARACTERS_MAX].encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFC", whole)


def _runs(text: str) -> bool:
    """Whether each character follows the one before (abcdef, 987654)."""
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return steps in ({1}, {-1}, {0})
