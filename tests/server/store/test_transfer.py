"""Every table goes along into the other database, and back, with all that is in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Float, Integer, LargeBinary, insert, select

from server.store.database import Database, open_database
from server.store.tables import metadata
from server.store.transfer import transfer
from tests.server.conftest import NOW

Tables = dict[str, list[tuple[Any, ...]]]


def _value(column: Column[Any]) -> Any:
    """The same for all of a kind: so whatever refers to another table's row finds it."""
    if isinstance(column.type, LargeBinary):
        return b"\x00\xff"
    if isinstance(column.type, JSON):
        return {"a": [1, "\u738b"]}
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, Float):
        return 0.5
    return 7 if isinstance(column.type, Integer) else "x"


def _fill(database: Database) -> None:
    """A row in each."""
    with database.begin() as connection:
        for table in metadata.sorted_tables:
            row = {column.name: _value(column) for column in table.c}
            connection.execute(insert(table).values(row))


def _contents(database: Database) -> Tables:
    with database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table))]
            for table in metadata.sorted_tables
        }


def _quiet(_table: str, _done: int, _of: int) -> None:
    return


def test_each_table_arrives_and_comes_back(database: Database, empty_sqlite: Path, tmp_path: Path) -> None:
    others = [
        open_database(f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / name)}", clock=lambda: NOW)
        for name in ("first.db", "back.db")
    ]
    first, back = others
    _fill(first)
    before = _contents(first)
    assert {"followed_alerts", "followed_subjects", "removed_people"} <= before.keys()
    assert all(len(rows) == 1 for rows in before.values())
    for source, target in ((first, database), (database, back)):
        done = transfer(source, target, _quiet)
        assert done.rows == dict.fromkeys(before, 1)
        assert _contents(target) == before
    for each in others:
        each.close()
