"""The directory of people, kept between requests for as long as nothing declared changes."""

from __future__ import annotations

import threading

from sqlalchemy import Connection

from server.console.page import Console
from server.people.directory import Directory, load_directory, people_version


class KnownPeople:
    """One for a console: `console.made(KnownPeople).directory(connection)`."""

    def __init__(self, _console: Console) -> None:
        self._kept: Directory | None = None
        self._loading = threading.Lock()

    def directory(self, connection: Connection) -> Directory:
        """As declared now."""
        version = people_version(connection)
        kept = self._kept
        if kept is not None and kept.version == version:
            return kept
        with self._loading:
            if self._kept is None or self._kept.version != version:
                self._kept = load_directory(connection)
            return self._kept
