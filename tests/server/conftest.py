"""A real database with all tables, SQLite and PostgreSQL in turn, for every test of the server's store.

A file (`pytestmark`) that is about something else, or a test of one of them, is marked `databases("sqlite")`;
a test in such a file that shall run on both, `databases("sqlite", "postgresql")`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.store.database import Database, open_database, upgrade
from tests.postgres_server.server import PostgresServer

NOW = 1_795_305_600_000  # 2026-11-22T00:00:00Z
DIALECTS = ("sqlite", "postgresql")

NewDatabaseUrl = Callable[[Path], str]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "dialect" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("databases")
        metafunc.parametrize("dialect", only.args if only else DIALECTS, indirect=True)


@pytest.fixture
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with all tables, to be copied: making one runs every migration."""
    file = tmp_path_factory.mktemp("empty") / "leaver.db"
    opened = open_database(f"sqlite:///{file}", clock=lambda: NOW)
    upgrade(opened)
    opened.close()
    assert not file.with_name("leaver.db-wal").exists()
    return file


@pytest.fixture
def new_database_url(request: pytest.FixtureRequest, dialect: str) -> Iterator[NewDatabaseUrl]:
    """Makes empty databases with all tables, each for a folder of its own. Commands on that folder as their
    data directory find it."""
    # Only where it is asked for: a run of one file need not start it.
    server: PostgresServer | None = (
        request.getfixturevalue("postgres_server") if dialect == "postgresql" else None
    )
    made: list[str] = []

    def make(folder: Path) -> str:
        if server is None:
            empty: Path = request.getfixturevalue("empty_sqlite")
            return f"sqlite:///{shutil.copy(empty, folder / 'leaver.db')}"
        made.append(server.new_database())
        url = server.url(made[-1])
        (folder / "server.toml").write_text(f'[database]\nurl = "{url}"\n', encoding="utf-8")
        return url

    yield make
    for name in made:
        assert server is not None
        server.drop_database(name)


@pytest.fixture
def database_url(tmp_path: Path, new_database_url: NewDatabaseUrl) -> str:
    return new_database_url(tmp_path)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, clock=lambda: NOW)
    yield opened
    opened.close()
