"""A back-test that is stopped ends at once, says so, and leaves nothing: no rows, no files, no processes."""

from __future__ import annotations

import multiprocessing
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, insert, select

from policies.rule_file import RuleText
from server.backtest.backtesting import Trial, backtest
from server.backtest.processes import BacktestFailed
from server.backtest.share_work import Cancelled
from server.store.tables import event_blocks, metadata
from tests.server.backtest.test_what_would_differ import LARGE, _larger
from tests.server.backtest.trials import saved
from tests.server.pipeline.conftest import NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

pytestmark = pytest.mark.databases("sqlite")
BLOCKS = 6_000


@pytest.fixture
def history(server: Server) -> Server:
    """One block many times: enough to be stopped in the middle of it."""
    saved(server, LARGE)
    server.employ()
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    server.take(endpoint.record([copied_file(NOW - 1000 * n, size=10 * n) for n in range(200)]))
    with server.database.begin() as connection:
        (row,) = connection.execute(select(event_blocks)).all()
        copies = [
            row._asdict() | {"id": number, "first_seq": 200 * number} for number in range(2, BLOCKS + 1)
        ]
        connection.execute(insert(event_blocks), copies)
    return server


@pytest.mark.parametrize("processes", [1, 2])
def test_whoever_calls_it_can_stop_it(history: Server, processes: int) -> None:
    stop, done = threading.Event(), []

    def progress(blocks: int, of: int) -> None:
        done.append(blocks)
        if blocks > 0:
            stop.set()
        assert of == BLOCKS

    trial = Trial(given=(RuleText("x.yml", _larger(2_000)),))
    with pytest.raises(Cancelled):
        backtest(history.database, trial, now=NOW, processes=processes, progress=progress, stop=stop)
    assert done[-1] < BLOCKS / 2
    assert multiprocessing.active_children() == []


@pytest.mark.long
def test_a_process_that_dies_is_told(history: Server) -> None:
    def progress(blocks: int, of: int) -> None:
        if 0 < blocks < of:
            for each in multiprocessing.active_children()[:1]:
                each.kill()

    trial = Trial(given=(RuleText("x.yml", _larger(2_000)),))
    with pytest.raises(BacktestFailed, match="ended with code -9"):
        backtest(history.database, trial, now=NOW, processes=2, progress=progress)


def test_ctrl_c_ends_it_with_a_word_and_leaves_nothing(history: Server, tmp_path: Path) -> None:
    rule, temporary = tmp_path / "mine.yml", tmp_path / "tmp"
    rule.write_text(_larger(2_000))
    temporary.mkdir()
    before = _counts(history)
    terminal, its_end = pty.openpty()
    command = [sys.executable, "-m", "server", "policy", "backtest", str(rule), "--days", "366"]
    with subprocess.Popen(
        [*command, "--processes", "2", "--data", str(history.folder)],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        env=os.environ | {"TMPDIR": str(temporary), "TERM": "xterm"},
        start_new_session=True,
    ) as process:
        os.close(its_end)
        said = _until(terminal, b"of 6,000 blocks", b"50 of")
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        # As a terminal does it: to all that run in it.
        os.killpg(process.pid, signal.SIGINT)
        said += _rest(terminal)
        assert process.wait(20) == 1, said
    os.close(terminal)
    assert "cancelled: nothing was written" in said
    assert "Traceback" not in said
    psutil.wait_procs(children, timeout=10)
    assert not any(each.is_running() for each in children)
    assert _counts(history) == before
    assert list(temporary.iterdir()) == []


def _counts(server: Server) -> dict[str, int]:
    with server.database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def _until(terminal: int, *wanted: bytes) -> str:
    """What it said until all of these were there."""
    said, until = b"", time.monotonic() + 60
    while not all(each in said for each in wanted):
        assert time.monotonic() < until, said
        said += os.read(terminal, 65_536)
    return said.decode(errors="replace")


def _rest(terminal: int) -> str:
    said = b""
    try:
        while more := os.read(terminal, 65_536):
            said += more
    except OSError:
        # So Linux tells the end of a terminal.
        pass
    return said.decode(errors="replace")
