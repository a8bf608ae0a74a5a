"""What the server said it has is there after a power cut at any moment, whole, and it goes on from there."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from agent.spool_progress import ProgressFile
from server.commands.opening import open_installation
from server.log.contract import LoggedRecord
from server.log.embedded import EmbeddedLog
from server.pipeline.worker import PipelineWorker
from tests.faults.chain import Chain, now, until
from tests.power_loss.conftest import told
from tests.power_loss.disk import Disk, needs_fuse
from tests.power_loss.log_forever import BEHIND
from tests.power_loss.said import Said
from tests.server.up.up_process import leaver

pytestmark = [needs_fuse, pytest.mark.root, pytest.mark.long]
CUTS = 60


def _assert_log_kept(path: Path, appended: int) -> None:
    if appended < 0:
        return
    log = EmbeddedLog(path, now)
    try:
        first, end = log.first_offsets()[0], log.end_offsets()[0]
        assert end > appended
        assert end % 3 == 0, "an append of three is there whole or not at all"
        assert first <= max(0, end - BEHIND)
        found: list[LoggedRecord] = []
        while first + len(found) < end:
            found += log.read({0: first + len(found)}, max_records=1000, timeout=0)
        assert [each.record.first_seq for each in found if each.record] == list(range(first, end))
    finally:
        log.close()


def test_what_the_embedded_log_took_outlives_a_power_cut_at_any_moment(disk: Disk, seed: int) -> None:
    dice = Random(seed)
    with Said("tests.power_loss.log_forever", str(disk.path / "log.db")) as program:
        for number in range(CUTS):
            time.sleep(dice.uniform(0, 0.003) if number > 20 else dice.uniform(0, 0.02))
            appended = program.last("appended")
            left = disk.cut(seed + number)
            with told(seed, number):
                _assert_log_kept(left / "log.db", appended)
            shutil.rmtree(left)
        program.wait_for("trimmed", 200)


def test_after_a_sync_that_failed_the_embedded_log_promises_nothing_that_is_not_on_disk(
    disk: Disk, seed: int
) -> None:
    dice = Random(seed)
    path = disk.path / "log.db"
    for _killed in range(2):
        disk.fail_syncs("*", times=0)
        with Said("tests.power_loss.log_forever", str(path)) as program:
            program.wait_for("appended", 30)
            for number in range(20):
                disk.fail_syncs(dice.choice(["*-wal", "*-wal", "*.db"]))
                time.sleep(dice.uniform(0, 0.005))
                appended = program.last("appended")
                left = disk.cut(seed + number)
                with told(seed, number):
                    _assert_log_kept(left / "log.db", appended)
                shutil.rmtree(left)
            assert program.last("refused") > 3
    assert disk.failed_syncs > 10


def _assert_chain_kept(left: Path) -> None:
    """What the agent has let go of is on the server, which works it off from where it was."""
    register = ProgressFile(left / "agent" / "spool" / "progress")
    progress = register.read()
    register.close()
    assert progress is not None
    data = left / "data"
    with open_installation(data) as installation:
        log = installation.open_log()
        worker = PipelineWorker(installation.database, log, clock=now)
        while worker.step(0).records:
            pass
        log.close()
    for name in ("leaver.db", "log.db"):
        with closing(sqlite3.connect(data / name)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert leaver("audit", "verify", data=data).returncode == 0
    copies = Chain.stored_in(data).copies
    assert set(copies.values()) <= {1}
    assert copies.keys() >= set(range(progress.acknowledged)), progress


@pytest.mark.long
def test_a_power_cut_of_server_and_agent_loses_nothing_that_either_of_them_promised(
    disk: Disk, seed: int, tmp_path: Path
) -> None:
    dice = Random(seed)
    chain = Chain(tmp_path / "chain", data=disk.path / "data", state=disk.path / "agent")
    try:
        chain.start_server()
        chain.enrol()
        chain.start_agent()
        chain.allow(100_000)
        until("files are stored", lambda: len(chain.stored().copies) > 20)
        for number in range(6):
            time.sleep(dice.uniform(0, 0.5))
            left = disk.cut(seed + number)
            with told(seed, number):
                _assert_chain_kept(left)
        chain.allow(0)
        last = disk.cut(seed)
        chain.close()
        # The same two programs on what is left: the agent sees again what it had not on disk.
        chain.move(last / "data", last / "agent")
        chain.start_server()
        chain.start_agent()
        chain.allow(1500)
        chain.wait_for_all(1500)
    finally:
        chain.close()


@pytest.mark.long
def test_while_the_servers_syncs_fail_agents_keep_their_events_and_a_power_cut_loses_none(
    disk: Disk, seed: int, tmp_path: Path
) -> None:
    dice = Random(seed)
    chain = Chain(tmp_path / "chain", data=disk.path / "data", state=disk.path / "agent")
    try:
        chain.start_server()
        chain.enrol()
        chain.start_agent()
        chain.allow(800)
        until("files are stored", lambda: len(chain.stored().copies) > 20)
        for number in range(5):
            file = dice.choice(["*/log.db-wal", "*/leaver.db-wal", "*/*.db*"])
            disk.fail_syncs(file, times=dice.randint(1, 3))
            time.sleep(dice.uniform(0.2, 0.6))
            left = disk.cut(seed + number)
            with told(seed, number):
                _assert_chain_kept(left)
        assert disk.failed_syncs > 0
        disk.fail_syncs("*", times=0)
        chain.wait_for_all(800)
    finally:
        chain.close()
