"""What SQLite finds with the queries of pysigma-backend-sqlite: an engine that shares nothing with ours.

It knows no lists and no nested fields, folds case of ASCII alone, and compares a column by its declared type,
so tests ask it only about what both can say.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sigma.backends.sqlite.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

_COLUMNS = {
    "f": "TEXT COLLATE NOCASE",
    "g": "TEXT COLLATE NOCASE",
    "n": "INTEGER",
    "kind": "TEXT",
    "v": "REAL",
}


def _database(events: Sequence[dict[str, Any]]) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.create_function("regexp", 2, lambda want, text: text is not None and bool(re.search(want, text)))
    columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    database.execute(f"CREATE TABLE logs ({columns}, timestamp TEXT)")
    rows = [[*(event.get(name) for name in _COLUMNS), _iso(event.get("time", 0))] for event in events]
    database.executemany(f"INSERT INTO logs VALUES ({', '.join('?' * (len(_COLUMNS) + 1))})", rows)
    return database


def _iso(seconds: int) -> str:
    return (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")


def _converted(documents: list[Any]) -> list[str]:
    backend = sqliteBackend()  # type: ignore[no-untyped-call]
    queries: list[str] = backend.convert(SigmaCollection.from_dicts(documents))
    return queries


def fired_events(detection: dict[str, Any], events: Sequence[dict[str, Any]]) -> list[int]:
    """The places of the events that fulfil the detection."""
    rule: Any = {"title": "t", "logsource": {"category": "test"}, "detection": detection}
    (query,) = _converted([rule])
    found = _database(events).execute(query.replace("SELECT *", "SELECT rowid - 1", 1))
    return sorted(row[0] for row in found)


def completed(documents: Sequence[Any], events: Sequence[dict[str, Any]]) -> list[tuple[int, float]]:
    """(time, value) of the alerts of the last document, a correlation."""
    queries = _converted(list(documents))
    start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    rows = _database(events).execute(queries[-1]).fetchall()
    return sorted((round(row[2] - start), float(row[6])) for row in rows)
