"""A database that an earlier version filled is brought to this one's tables, and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, func, select, text

from server.enrich.amounts import PLACE_CHARACTERS
from server.pipeline.subject_state import load_subjects
from server.store.database import Database, open_database, upgrade
from server.store.tables import channel_days, metadata, rule_days, subject_places
from tests.postgres_server.server import PostgresServer

MIGRATIONS = Path("server/store/migrations").resolve()
HERS = "person:E77031"
LONG = "v" * PLACE_CHARACTERS
STORAGE_ONLY = "0003"
"""The last version that knew removable storage alone."""


@pytest.fixture
def old(request: pytest.FixtureRequest, dialect: str, tmp_path: Path) -> Iterator[Database]:
    """Empty, with the tables of that version."""
    url, name = f"sqlite:///{tmp_path}/leaver.db", None
    if dialect == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = server.new_database(migrated=False)
        url = server.url(name)
    database = open_database(url, clock=lambda: 0)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, STORAGE_ONLY)
    yield database
    database.close()
    if name is not None:
        server.drop_database(name)


def _fill(connection: Connection) -> None:
    for number in range(300):
        connection.execute(
            text("INSERT INTO storage_days VALUES (:s, :d, 'work', 5000000000, 7, 1, 10, 20, 9, 61.5, 3)"),
            {"s": HERS, "d": 20_000 + number},
        )
        connection.execute(
            text("INSERT INTO rule_days VALUES (:s, 'r1', :d, 'family', 'high', '标题', 4, 10, 20)"),
            {"s": HERS, "d": 20_000 + number},
        )
    for device in ("0781:5591:S1", LONG):
        connection.execute(
            text("INSERT INTO subject_devices VALUES (:s, :d, 10, 20)"), {"s": HERS, "d": device}
        )


def test_days_devices_and_rule_hits_of_removable_storage_are_kept(old: Database) -> None:
    with old.begin() as connection:
        _fill(connection)
    upgrade(old)
    with old.read() as connection:
        (state,) = load_subjects(connection, [HERS]).values()
        for table in (channel_days, rule_days):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 300
        places = connection.execute(select(subject_places.c.channel, subject_places.c.place)).all()
    day = state.days("removable_storage")[20_299]
    assert (day.bytes, day.files, day.items, day.new_places) == (5_000_000_000, 7, 7, 1)
    assert (day.first_time, day.last_time, day.events) == (10, 20, 9)
    strange = state.anomalies[20_299]
    assert (strange.points, strange.uncalmed, strange.model_id) == (61.5, 61.5, 3)
    assert (strange.family, strange.evidence) == ("removable_storage_copy", {})
    hits = state.rules["r1", "removable_storage", 20_000]
    assert (hits.family, hits.level, hits.title, hits.hits) == ("family", "high", "标题", 4)
    assert sorted(map(tuple, places)) == [
        ("removable_storage", "device:0781:5591:S1"),
        ("removable_storage", f"device:{LONG}"),
    ]
    assert state.first_use("device:0781:5591:S1") == 10


def test_what_an_upgrade_makes_is_what_a_new_database_has(old: Database) -> None:
    with old.begin() as connection:
        _fill(connection)
    upgrade(old)
    query = (
        "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        if old.dialect == "sqlite"
        else "SELECT 'index', indexname FROM pg_indexes WHERE schemaname = 'public'"
    )
    with old.begin() as connection:
        upgraded = {tuple(row) for row in connection.exec_driver_sql(query)}
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert {tuple(row) for row in connection.exec_driver_sql(query)} == upgraded


def test_an_upgrade_that_fails_in_the_middle_changes_nothing(old: Database) -> None:
    with old.begin() as connection:
        _fill(connection)
        connection.execute(text("CREATE TABLE known_exports (id INTEGER)"))
    with pytest.raises(Exception, match="already exists"):
        upgrade(old)
    with old.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM storage_days")).scalar_one() == 300
        assert connection.execute(text("SELECT count(*) FROM subject_devices")).scalar_one() == 2
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    assert version == STORAGE_ONLY
