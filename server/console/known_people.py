"""Who is who, kept in memory for all pages of a console, and read anew when the people changed."""

from __future__ import annotations

import threading

from sqlalchemy import Connection

from server.alerts.queue.leaving import leaving_subjects
from server.console.page import Console
from server.people.directory import Directory, people_version
from server.people.kept_directory import KeptDirectory
from server.people.pseudonyms import make_pseudonym_key, pseudonym_key

_LEAVING_MS = 15 * 60_000
"""A last day begins and ends at midnight somewhere, at a quarter of an hour here."""


class KnownPeople:
    """`console.made(KnownPeople)`. Safe to share between threads."""

    def __init__(self, console: Console) -> None:
        self._lock = threading.Lock()
        self._directory = KeptDirectory(console)
        self._key: bytes | None = None
        self._leaving: tuple[int, int, tuple[str, ...]] | None = None
        make_pseudonym_key(console.database)

    def directory(self, connection: Connection) -> Directory:
        """As the connection's snapshot has it, or newer."""
        return self._directory.current(connection)

    def key(self, connection: Connection) -> bytes:
        """Of this installation's pseudonyms."""
        with self._lock:
            if self._key is None:
                self._key = pseudonym_key(connection)
            return self._key

    def leaving(self, connection: Connection, now: int) -> tuple[str, ...]:
        """Subjects of people who are leaving or left; now: ms UTC."""
        directory, quarter = self.directory(connection), now // _LEAVING_MS
        with self._lock:
            if self._leaving is None or self._leaving[:2] != (directory.version, quarter):
                self._leaving = (directory.version, quarter, leaving_subjects(directory, now))
            return self._leaving[2]


def known_version(console: Console) -> int:
    """Another one with each change of the people: what names or counts them is then read anew."""
    with console.database.read() as connection:
        return people_version(connection)
