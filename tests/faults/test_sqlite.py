"""The server's SQLite files: locked by others for long, and with a write-ahead log that is torn or cut."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from server.log.embedded import BUSY_SECONDS, EmbeddedLog
from server.store.database import BUSY_TIMEOUT_SECONDS
from tests.faults.chain import Chain, now, until
from tests.faults.conftest import MakeChain
from tests.server.log.log_contract import record

SEED = 20


def _started(chain: Chain) -> Chain:
    chain.start_server()
    chain.enrol()
    chain.start_agent()
    chain.allow(60)
    chain.wait_for_all(60)
    return chain


@pytest.mark.long
def test_files_that_another_process_locks_for_longer_than_anybody_waits_cost_nothing(
    tmp_path: Path, make_chain: MakeChain
) -> None:
    chain = _started(make_chain(tmp_path))
    with (
        closing(sqlite3.connect(chain.data / "leaver.db", isolation_level=None)) as database,
        closing(sqlite3.connect(chain.data / "log.db", isolation_level=None)) as log,
    ):
        database.execute("BEGIN IMMEDIATE")
        log.execute("BEGIN IMMEDIATE")
        chain.allow(200)
        # The agent gives up on an answer after 3 s, the server on the log after BUSY_SECONDS.
        until("the agent tells it", lambda: chain.problem().startswith("nothing is sent"), 30)
        time.sleep(BUSY_SECONDS)
        log.execute("ROLLBACK")
        told = "database is locked"
        until(
            "the server tells it",
            lambda: any(told in words for kind, words in chain.findings() if kind == "database_unavailable"),
            BUSY_TIMEOUT_SECONDS + 30,
        )
        assert "not_running" not in {kind for kind, _ in chain.findings()}
        database.execute("ROLLBACK")
    chain.wait_for_all(200)
    assert all(part["restarts"] == 0 for part in chain.status()["process"]["parts"].values())
    until("it is well again", lambda: "database_unavailable" not in {kind for kind, _ in chain.findings()})


def _torn(path: Path, dice: Random) -> None:
    """The last commit was being written: part of a frame is there, or what was there before."""
    with path.open("ab") as wal:
        wal.write(dice.randbytes(dice.randint(1, 4200)))


def _cut(path: Path, dice: Random) -> None:
    """The disk lost what it had promised."""
    size = path.stat().st_size
    with path.open("r+b") as wal:
        wal.truncate(max(32, size - dice.randint(1, 30_000)))


def _changed(path: Path, dice: Random) -> None:
    size = path.stat().st_size
    with path.open("r+b") as wal:
        wal.seek(max(32, size - dice.randint(1, 20_000)))
        wal.write(dice.randbytes(100))


def _whole(data: Path) -> bool:
    for name in ("leaver.db", "log.db"):
        with closing(sqlite3.connect(data / name)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                return False
    return True


@pytest.mark.long
def test_a_server_killed_in_mid_commit_with_torn_write_ahead_logs_goes_on_with_every_event(
    tmp_path: Path, make_chain: MakeChain
) -> None:
    dice = Random(SEED)
    chain = _started(make_chain(tmp_path))
    chain.allow(100_000)
    for _ in range(2):
        time.sleep(dice.uniform(0.3, 1))
        assert chain.up is not None
        chain.up.kill()
        chain.up.close()
        for name in ("leaver.db-wal", "log.db-wal"):
            _torn(chain.data / name, dice)
        chain.start_server()
    assert _whole(chain.data)
    chain.allow(0)
    until(
        "all is sent", lambda: bool((status := chain.agent_status()) and not status.heartbeat.backlog_events)
    )
    chain.stop_agent()
    status = chain.agent_status()
    assert status is not None
    chain.wait_for_all(status.heartbeat.next_seq)


@pytest.mark.long
@pytest.mark.parametrize(("file", "damage"), [("leaver.db", _cut), ("log.db", _cut), ("log.db", _changed)])
def test_what_a_damaged_write_ahead_log_lost_is_read_again_or_told_and_nothing_new_is_lost(
    tmp_path: Path, make_chain: MakeChain, file: str, damage: object
) -> None:
    dice = Random(SEED)
    chain = _started(make_chain(tmp_path))
    assert chain.up is not None
    # Killed with everything stored, so that only the damage can have lost anything.
    chain.up.kill()
    chain.up.close()
    kept = tmp_path / "kept"
    shutil.copytree(chain.data, kept)
    assert callable(damage)
    damage(chain.data / f"{file}-wal", dice)
    chain.start_server()
    assert _whole(chain.data)
    chain.allow(120)
    until("what is new is stored", lambda: chain.stored().copies.keys() >= set(range(60, 120)))
    copies = chain.stored().copies
    assert set(copies.values()) == {1}
    missing = set(range(120)) - copies.keys()
    if file == "log.db":
        # The database had it all.
        assert missing == set()
    gaps = [words for kind, words in chain.findings() if kind == "gap"]
    assert bool(gaps) == bool(missing)


def test_a_log_that_ends_before_what_was_read_gives_no_offset_twice(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = EmbeddedLog(path, now)
    log.append([record("a", number) for number in range(10)])
    assert log.begin_behind(7) == 0
    assert log.begin_behind(15) == 5
    log.append([record("a", 15)])
    assert (log.first_offsets(), log.end_offsets()) == ({0: 15}, {0: 16})
    assert [each.offset for each in log.read({0: 15}, max_records=9, timeout=0)] == [15]
    log.close()
