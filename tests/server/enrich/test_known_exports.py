"""What a batch knows of exports that others stored."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import insert

from event_schema.ocsf_endpoint_events import FileSystemActivity
from server.enrich import known_exports as module
from server.enrich.known_exports import KnownExports
from server.store.database import Database
from server.store.tables import known_exports
from tests.event_schema.sample_events import sample_events
from tests.server.conftest import NOW

DAY = 86_400_000
SAMPLE = next(e for e in sample_events() if isinstance(e, FileSystemActivity))
COPY = msgspec.structs.replace(SAMPLE, unmapped=msgspec.structs.replace(SAMPLE.unmapped, origin=None))
SHA256 = "ab" * 32


def store(database: Database, *rows: dict[str, Any]) -> None:
    with database.begin() as connection:
        connection.execute(insert(known_exports), [{"origin": "database_export"} | row for row in rows])


def load(exports: KnownExports, database: Database, *events: FileSystemActivity) -> None:
    with database.read() as connection:
        exports.load(connection, events or (COPY,), NOW // DAY - 90)


def exported_at(exports: KnownExports) -> int | None:
    fields, new = exports.look_at(COPY, NOW)
    assert new is None
    return None if fields is None else fields.exported_at


def test_what_a_batch_found_is_forgotten_unless_it_was_committed(database: Database) -> None:
    exports = KnownExports()
    load(exports, database)
    _, made = exports.look_at(SAMPLE, NOW)
    assert made is not None
    assert exports.look_at(SAMPLE, NOW)[1] is None
    assert exported_at(exports) == NOW
    # The transaction failed, and the batch is worked out again.
    load(exports, database)
    assert exported_at(exports) is None
    assert exports.look_at(SAMPLE, NOW)[1] == made


def test_each_batch_knows_what_was_committed_by_then_and_the_last_day_counts(database: Database) -> None:
    exports = KnownExports()
    store(database, {"sha256": "00" * 32, "seen_at": NOW})
    load(exports, database)
    assert exported_at(exports) is None
    store(database, *({"sha256": SHA256, "seen_at": NOW - days * DAY} for days in (5, 2, 3)))
    load(exports, database)
    assert exported_at(exports) == NOW - 2 * DAY
    with database.begin() as connection:
        connection.execute(known_exports.delete().where(known_exports.c.seen_at == NOW - 2 * DAY))
    load(exports, database)
    assert exported_at(exports) == NOW - 3 * DAY


def test_rows_past_their_end_are_not_known(database: Database) -> None:
    exports = KnownExports()
    store(database, {"sha256": SHA256, "seen_at": NOW - 92 * DAY})
    load(exports, database)
    assert exported_at(exports) is None


def test_a_batch_with_more_hashes_than_are_asked_for_at_once_knows_all(database: Database) -> None:
    hashes = [f"{number:064x}" for number in range(2 * module._HASHES_A_QUERY + 1)]
    store(database, *({"sha256": sha256, "seen_at": NOW} for sha256 in hashes))
    (fingerprint,) = COPY.file.hashes or ()
    events = [
        msgspec.structs.replace(
            COPY,
            file=msgspec.structs.replace(
                COPY.file, hashes=(msgspec.structs.replace(fingerprint, value=sha256),)
            ),
        )
        for sha256 in hashes
    ]
    exports = KnownExports()
    load(exports, database, *events)
    assert all(exports.look_at(event, NOW)[0] is not None for event in events)
