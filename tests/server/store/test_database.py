"""The database: migrations, durability, transactions, and what is said when it is away."""

from __future__ import annotations

import multiprocessing
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from server.pipeline.state_versions import raise_versions
from server.store.database import (
    Database,
    DatabaseTooNew,
    MetAnother,
    StoreUnavailable,
    known_revisions,
    open_database,
    upgrade,
)
from server.store.tables import agent_findings, installation, metadata, person_names, state_versions
from server.store.upsert import insert_new


def _clock() -> int:
    return 0


def _add_one_many_times(url: str, times: int) -> None:
    database = open_database(url, clock=_clock)
    for _ in range(times):
        with database.begin() as connection:
            value = connection.execute(
                select(installation.c.value).where(installation.c.key == "n")
            ).scalar_one()
            connection.execute(
                update(installation).where(installation.c.key == "n").values(value=str(int(value) + 1))
            )
    database.close()


def test_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        found = set(sqlalchemy.inspect(connection).get_table_names())
    assert found == {*metadata.tables, "alembic_version"}


def _sqlite_schema(database: Database) -> set[str]:
    with database.read() as connection:
        texts = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'"
        ).scalars()
        return {f"{text.split('(')[0].strip()}: {part}" for text in texts for part in _parts(text)}


def _parts(text: str) -> Iterator[str]:
    """Columns and constraints of a table; a column that was added later stands on no line of its own."""
    depth, part = 0, ""
    for character in text[text.index("(") + 1 : text.rindex(")")]:
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            yield " ".join(part.split())
            part = ""
        else:
            part += character
    yield " ".join(part.split())
    yield text[text.rindex(")") :]


def _postgresql_schema(database: Database) -> set[str]:
    columns = (
        "SELECT table_name || '.' || column_name, data_type, character_maximum_length, is_nullable,"
        " column_default, collation_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name != 'alembic_version'"
    )
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename != 'alembic_version'"
    constraints = (
        "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND conrelid != 'alembic_version'::regclass"
    )
    with database.read() as connection:
        return {
            str(tuple(row))
            for query in (columns, indexes, constraints)
            for row in connection.exec_driver_sql(query)
        }


def test_migrations_write_the_same_ddl_as_the_code(database: Database) -> None:
    # compare_metadata does not see partial indexes, collations, defaults and autoincrement.
    schema = _sqlite_schema if database.dialect == "sqlite" else _postgresql_schema
    migrated = schema(database)
    with database.begin() as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)
    assert schema(database) == migrated
    assert len(migrated) > 150


def test_a_number_is_never_given_twice_also_when_its_row_is_gone(database: Database) -> None:
    numbered = [table for table in metadata.sorted_tables if table.autoincrement_column is not None]
    assert {"alerts", "erasures", "dead_letters", "agent_findings"} <= {table.name for table in numbered}
    finding = {"agent": "a", "kind": "gap", "detail": "", "first_at": 0, "last_at": 0, "count": 1}
    given: list[int] = []
    for _ in range(2):
        with database.begin() as connection:
            row = insert(agent_findings).values(finding).returning(agent_findings.c.id)
            given += connection.execute(row).scalars()
            connection.execute(delete(agent_findings))
    assert given == [1, 2]
    if database.dialect == "sqlite":
        with database.read() as connection:
            counting = connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'"
            ).scalars()
            assert set(counting) == {table.name for table in numbered}


def test_upgrade_again_changes_nothing_and_needs_no_write_lock(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(insert(installation).values(key="k", value="v"))
        upgrade(database)  # would wait for the lock, and fail, if it wrote
    with database.read() as connection:
        assert connection.execute(select(installation.c.value)).scalar_one() == "v"


def test_files_of_migrations_are_named_by_what_they_bring() -> None:
    config = Config()
    config.set_main_option("script_location", "server/store/migrations")
    script = ScriptDirectory.from_config(config)
    assert known_revisions() == [each.revision for each in script.walk_revisions()][::-1]


def test_database_of_a_newer_program_is_refused_and_left_alone(database: Database) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseTooNew, match=r"leaver\S* has version 9999, newer than this program's"):
        upgrade(database)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "9999"


def test_failed_upgrade_leaves_no_half_made_tables(database: Database) -> None:
    with database.begin() as connection:
        metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
        connection.exec_driver_sql("CREATE TABLE channel_days (other INTEGER)")
    with pytest.raises(DBAPIError, match="already exists"):
        upgrade(database)
    with database.read() as connection:
        tables = sqlalchemy.inspect(connection).get_table_names()
    assert tables == ["channel_days"]


@pytest.mark.databases("sqlite")
def test_settings_make_commits_durable_and_keys_checked(database: Database) -> None:
    with database.begin() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_foreign_key_to_nobody_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(insert(person_names).values(person_id="nobody", name="Alice"))


def test_an_error_holds_nothing_of_what_is_in_rows(database: Database) -> None:
    row = {"key": "account:xanthippe@desk-4", "version": 1}
    with database.begin() as connection:
        insert_new(connection, state_versions, [row])
    for many in (False, True):
        with pytest.raises(DBAPIError) as caught, database.begin() as connection:
            if many:
                insert_new(connection, state_versions, [row])
            else:
                connection.execute(insert(state_versions).values(row))
        assert "xanthippe" not in f"{caught.value} {caught.value.orig} {caught.value.args}"
        assert "UNIQUE" in str(caught.value) or "23505" in str(caught.value)


@pytest.mark.databases("postgresql")
def test_a_value_that_does_not_fit_is_not_in_the_error(database: Database) -> None:
    query = sqlalchemy.text("SELECT CAST(:value AS integer)")
    with pytest.raises(DBAPIError, match="22P02") as caught, database.read() as connection:
        connection.execute(query, {"value": "xanthippe"})
    assert "xanthippe" not in str(caught.value)


@pytest.mark.databases("postgresql")
def test_who_met_another_is_told_the_kind_of_error_and_no_names(database: Database) -> None:
    keys = {"person:E77031": 0, "account:xanthippe@desk-4": 0}
    told: list[str] = []

    def second() -> None:
        try:
            with database.begin(alone=False) as connection:
                raise_versions(connection, keys)
        except MetAnother as error:
            told.append(str(error))

    with database.begin(alone=False) as connection:
        raise_versions(connection, keys)
        other = threading.Thread(target=second)
        other.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while connection.exec_driver_sql(waiting).scalar_one() == 0:
            time.sleep(0.01)
    other.join()
    assert told == ["UniqueViolation, SQLSTATE 23505"]


def test_database_file_is_private(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path}/x.db", clock=_clock).close()
    assert stat.S_IMODE((tmp_path / "x.db").stat().st_mode) == 0o600


def test_error_in_the_block_rolls_everything_back(database: Database) -> None:
    with pytest.raises(RuntimeError), database.begin() as connection:
        connection.execute(insert(installation).values(key="k", value="v"))
        raise RuntimeError("power cut")
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(installation)).scalar_one() == 0


def test_read_connection_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"), database.read() as connection:
        connection.execute(insert(installation).values(key="k", value="v"))
    with database.begin() as connection:
        connection.execute(insert(installation).values(key="k", value="v"))


def test_reader_keeps_its_snapshot_while_a_writer_commits(database: Database) -> None:
    count = select(func.count()).select_from(installation)
    with database.read() as reader:
        assert reader.execute(count).scalar_one() == 0
        with database.begin() as writer:
            writer.execute(insert(installation).values(key="k", value="v"))
        assert reader.execute(count).scalar_one() == 0
    with database.read() as reader:
        assert reader.execute(count).scalar_one() == 1


def test_two_processes_that_read_and_then_write_lose_no_update(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(insert(installation).values(key="n", value="0"))
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_one_many_times, args=(database.url, 100)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    with database.read() as connection:
        assert connection.execute(select(installation.c.value)).scalar_one() == "200"


def test_writer_that_waits_too_long_is_told_that_the_database_is_locked(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.store.database.BUSY_TIMEOUT_SECONDS", 0.1)
    impatient = open_database(database.url, clock=_clock)
    with database.begin():
        with pytest.raises(StoreUnavailable, match=r"leaver\S*: .*lock"), impatient.begin():
            raise AssertionError("two writers at once")
        with impatient.read() as connection:
            assert connection.execute(select(func.count()).select_from(installation)).scalar_one() == 0
    with impatient.begin() as connection:
        connection.execute(insert(installation).values(key="k", value="v"))
    impatient.close()


def test_threads_share_databases(database: Database) -> None:
    def add(number: int) -> None:
        for part in range(10):
            with database.begin() as connection:
                connection.execute(insert(installation).values(key=f"{number}-{part}", value="v"))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(installation)).scalar_one() == 80


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:////nowhere/at/all/leaver.db", "No such file"),
        ("sqlite://", "in memory"),
        ("mysql://user:secret@db/leaver", "not supported"),
    ],
)
def test_unusable_database_is_named_without_its_password(url: str, words: str) -> None:
    with pytest.raises(StoreUnavailable, match=words) as caught:
        open_database(url, clock=_clock)
    assert "secret" not in str(caught.value)


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "leaver.db"
    path.write_bytes(b"not a database at all, but long enough to look at" * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        upgrade(open_database(f"sqlite:///{path}", clock=_clock))


@pytest.mark.databases("sqlite")
def test_database_without_tables_is_no_surprise_to_sqlite_itself(database: Database, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "leaver.db") as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
