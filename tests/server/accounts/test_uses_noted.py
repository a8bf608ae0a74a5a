"""Stamps of use: written while nobody waits for another writer."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import Connection

from server.accounts.uses_noted import WAIT_SECONDS, UsesNoted
from server.store.database import Database

pytestmark = pytest.mark.databases("sqlite")


class Owner:
    def __init__(self, database: Database) -> None:
        self.database = database


def test_another_writer_keeps_no_use_waiting(database: Database) -> None:
    uses = UsesNoted(Owner(database))
    written: list[str] = []
    both = threading.Event()

    def stamp(whose: str) -> None:
        def write(_connection: Connection) -> None:
            written.append(whose)
            if len(written) == 3:
                both.set()

        uses.note(whose, write)

    stamp("session:1")
    assert written == ["session:1"]
    with database.begin():
        begun = time.monotonic()
        for whose in ("session:1", "session:2", "session:1", "session:2"):
            stamp(whose)
        assert time.monotonic() - begun < 2 * WAIT_SECONDS + 5
        assert written == ["session:1"]
    assert both.wait(20)
    assert sorted(written) == ["session:1", "session:1", "session:2"]
