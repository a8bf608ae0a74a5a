"""Databases as older versions of the program left them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from server.store.database import open_database
from tests.postgres_server.server import PostgresServer
from tests.server.pipeline.conftest import NOW

MIGRATIONS = Path("server/store/migrations").resolve()


@contextmanager
def database_of(
    version: str,
    fill: Callable[[Connection], None],
    request: pytest.FixtureRequest,
    dialect: str,
    tmp_path: Path,
) -> Iterator[str]:
    """Its URL, with the tables of that version and the rows that `fill` writes."""
    url, name = f"sqlite:///{tmp_path}/leaver.db", None
    if dialect == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = server.new_database(migrated=False)
        url = server.url(name)
    database = open_database(url, clock=lambda: NOW)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        fill(connection)
    database.close()
    yield url
    if name is not None:
        server.drop_database(name)
