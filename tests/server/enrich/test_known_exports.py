"""What workers know of exports that others stored."""

from __future__ import annotations

from sqlalchemy import insert

from event_schema.ocsf_endpoint_events import FileSystemActivity
from server.enrich.known_exports import KnownExports
from server.store.database import Database
from server.store.tables import known_exports
from server.store.upsert import insert_new
from tests.event_schema.sample_events import sample_events
from tests.server.conftest import NOW

DAY = 86_400_000
SAMPLE = next(e for e in sample_events() if isinstance(e, FileSystemActivity))
COPY = type(SAMPLE)(
    **{name: getattr(SAMPLE, name) for name in SAMPLE.__struct_fields__ if name != "unmapped"},
    unmapped=type(SAMPLE.unmapped)(evidence=SAMPLE.unmapped.evidence),
)
SHA256 = "ab" * 32


def _refreshed(exports: KnownExports, database: Database) -> bool:
    with database.read() as connection:
        exports.refresh(connection, NOW // DAY - 90)
    return exports.look_at(COPY, NOW)[0] is not None


def test_a_row_that_another_worker_committed_late_under_a_lower_number_is_taken_in(
    database: Database,
) -> None:
    row = {"origin": "database_export", "seen_at": NOW}
    exports = KnownExports()
    with database.begin() as connection:
        connection.execute(insert(known_exports).values(row | {"id": 9, "sha256": "00" * 32}))
    assert not _refreshed(exports, database)
    with database.begin() as connection:
        connection.execute(insert(known_exports).values(row | {"id": 7, "sha256": SHA256}))
    assert _refreshed(exports, database)


def test_what_a_batch_found_is_forgotten_unless_it_was_committed(database: Database) -> None:
    exports = KnownExports()
    assert not _refreshed(exports, database)
    _, made = exports.look_at(SAMPLE, NOW)
    assert made is not None
    assert exports.look_at(SAMPLE, NOW)[1] is None
    assert exports.look_at(COPY, NOW)[0] is not None
    # The transaction failed, and the batch is worked out again.
    assert not _refreshed(exports, database)
    assert exports.look_at(SAMPLE, NOW)[1] == made


def test_rows_past_their_end_are_not_taken_in_and_many_are(database: Database) -> None:
    rows = [
        {"sha256": f"{n:064x}", "origin": "file_server", "seen_at": NOW - (n % 2) * 91 * DAY}
        for n in range(40)
    ]
    with database.begin() as connection:
        insert_new(connection, known_exports, rows)
    exports = KnownExports()
    _refreshed(exports, database)
    assert set(exports._stored) == {row["sha256"] for row in rows[::2]}
