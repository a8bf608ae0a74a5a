"""The directory kept in memory for whoever reads often: taken over anew when what is declared changed."""

from __future__ import annotations

import threading
from typing import Protocol

from sqlalchemy import Connection

from server.people.directory import Directory, load_directory, people_version
from server.people.directory_changes import newer_directory
from server.store.database import Database


class HasDatabase(Protocol):
    @property
    def database(self) -> Database: ...


class KeptDirectory:
    """Safe to share between threads; one for a database."""

    def __init__(self, owner: HasDatabase) -> None:
        self._owner = owner
        self._lock = threading.Lock()
        self._kept: Directory | None = None

    def current(self, connection: Connection) -> Directory:
        """As the connection's snapshot has it, or newer."""
        with self._lock:
            kept = self._kept
            if kept is None:
                self._kept = kept = load_directory(connection)
            # A snapshot begun before the last change does not undo it: two that overlap would read in turn.
            elif people_version(connection) > kept.version:
                self._kept = kept = newer_directory(connection, kept)
            return kept

    def now(self) -> Directory:
        """As it is now, on a connection of its own."""
        with self._owner.database.read() as connection:
            return self.current(connection)
