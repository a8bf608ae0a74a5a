"""`make outage` in small: a spool that filled in an outage goes over each log, every event is looked at."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.soak.busy_outcome import read_stored
from tests.soak.busy_site import AGENT, Plan
from tests.soak.outage import run_outage

pytestmark = [pytest.mark.kafka, pytest.mark.long]

EVENTS = 9000
"""More than a segment holds unpacked, and than one request takes."""
EVERY_MS = 10


@pytest.mark.timeout(600)
def test_a_spool_that_filled_in_an_outage_of_server_and_broker_goes_out_whole_over_each_log(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    result = run_outage(tmp_path, ["kafka", "https"], Plan(EVENTS, EVERY_MS, False, 100_000), said.append)
    assert [replayed.stored.faults(EVENTS) for replayed in result.replayed] == [False, False], said
    for replayed in result.replayed:
        assert (replayed.stored.events, replayed.stored.compared) == (EVENTS, EVENTS)
        # What was sent does not stay in the spool.
        assert replayed.spool_bytes_after < result.written.spool_bytes

    # And it would be told: a block that is gone, and one that is there twice.
    data = tmp_path / "https" / "data"
    with closing(sqlite3.connect(data / "leaver.db")) as connection, connection:
        block = "SELECT max(id) FROM event_blocks WHERE agent = ?"
        connection.execute(f"DELETE FROM event_blocks WHERE id = ({block})", (AGENT,))
        connection.execute(
            "INSERT INTO event_blocks SELECT id + 1, agent, epoch, first_seq, count, received_at, last_day,"
            f" signature, value, leaver FROM event_blocks WHERE id = ({block})",
            (AGENT,),
        )
    # One millisecond off: no event is what it was.
    found = read_stored(data, AGENT, events=EVENTS, first_time=1, every_ms=EVERY_MS)
    assert found.missing > 0
    assert found.twice > 0
    assert found.changed == found.compared > 0
    assert found.faults(EVENTS)
