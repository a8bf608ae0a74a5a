"""A real SQLite database with all tables, for every test of the server's store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.store.database import Database, open_database, upgrade

NOW = 1_795_305_600_000  # 2026-11-22T00:00:00Z


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path}/leaver.db", clock=lambda: NOW)
    upgrade(opened)
    yield opened
    opened.close()
