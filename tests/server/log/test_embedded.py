"""The embedded log: the contract, and what only a file can suffer."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from server.log.contract import EventLog, LogUnavailable
from server.log.embedded import EmbeddedLog
from tests.server.log.log_contract import LogContract, LogHarness, read_all, record, sequence_by_agent

REPOSITORY = Path(__file__).parents[3]


def now() -> int:
    return time.time_ns() // 1_000_000


class EmbeddedHarness:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: list[EmbeddedLog] = []

    def open(self) -> EventLog:
        self._opened.append(EmbeddedLog(self.path, now))
        return self._opened[-1]

    def put_garbage(self) -> Sequence[str]:
        rows = [
            b"",
            b"\xc1 no MessagePack",
            msgspec.msgpack.encode(["only", "two"]),
            b"\x98" + bytes(2_000_000),
        ]
        with sqlite3.connect(self.path) as database:
            for data in rows:
                database.execute("INSERT INTO records SELECT next_offset, 0, ? FROM bounds", (data,))
                database.execute("UPDATE bounds SET next_offset = next_offset + 1")
        database.close()
        return [
            "no record: Input data was truncated",
            "no record: .*invalid",
            "no record: .*length",
            "no record",
        ]

    def restart(self) -> None:
        """There is no broker; another process that dies while it appends comes nearest."""
        code = (
            "import os, sys; from pathlib import Path; from server.log.embedded import EmbeddedLog; "
            "log = EmbeddedLog(Path(sys.argv[1]), lambda: 0); "
            "log._writer.execute('BEGIN IMMEDIATE'); log._writer.execute('DELETE FROM records'); os._exit(9)"
        )
        done = subprocess.run([sys.executable, "-c", code, str(self.path)], cwd=REPOSITORY, check=False)
        assert done.returncode == 9

    def close(self) -> None:
        for log in self._opened:
            log.close()


class TestEmbeddedLogContract(LogContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[LogHarness]:
        harness = EmbeddedHarness(tmp_path / "log.sqlite3")
        yield harness
        harness.close()


def test_a_full_log_refuses_and_takes_again_after_trimming(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log", now, max_bytes=1 << 20)
    number = 0
    with pytest.raises(LogUnavailable, match=r"log full: .*1048576"):
        while True:
            log.append([record("a", number, size=50_000)])
            number += 1
    assert 12 <= number <= 20
    with pytest.raises(LogUnavailable, match="log full"):
        log.append([record("a", number, size=50_000)])
    assert sequence_by_agent(read_all(log, number)) == {"a": list(range(number))}
    log.trim(log.end_offsets())
    log.append([record("a", number, size=50_000)])
    log.close()


def test_an_append_that_does_not_fit_is_refused_whole(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log", now, max_bytes=1 << 20)
    with pytest.raises(LogUnavailable, match="log full"):
        log.append([record("a", number, size=50_000) for number in range(40)])
    assert log.end_offsets() == {0: 0}
    log.append([record("a", 0)])
    assert sequence_by_agent(read_all(log, 1)) == {"a": [0]}
    log.close()


@pytest.mark.root
def test_a_full_disk_refuses_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    if os.geteuid() != 0 and os.environ.get("CI") != "true":
        pytest.skip("needs root to mount a small file system")
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mount)], check=True)
    try:
        log = EmbeddedLog(mount / "log", now)
        number = 0
        with pytest.raises(LogUnavailable, match=r"cannot be written: .*(full|I/O)"):
            while number < 100:
                log.append([record("a", number, size=40_000), record("a", number + 1, size=40_000)])
                number += 2
        assert number >= 4
        assert sequence_by_agent(read_all(log, number)) == {"a": list(range(number))}
        log.close()
        log = EmbeddedLog(mount / "log", now)
        assert sequence_by_agent(read_all(log, number)) == {"a": list(range(number))}
        log.close()
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_kill_9_in_mid_append_loses_nothing_acknowledged_and_tears_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    acknowledged = -1
    for _ in range(10):
        command = [sys.executable, "-m", "tests.server.log.append_forever", str(path), str(acknowledged + 1)]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(30):
            acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split("\n")[:-1]
        process.wait()
        process.stdout.close()
        acknowledged = int(rest[-1]) if rest else acknowledged
        log = EmbeddedLog(path, now)
        found = read_all(log, acknowledged + 1)
        while more := log.read({0: found[-1].offset + 1}, max_records=1000, timeout=0):
            found += more
        log.close()
        numbers = sequence_by_agent(found)["a"]
        assert numbers == list(range(len(numbers))), "whole appends, in order, none twice"
        assert len(numbers) > acknowledged
        assert len(numbers) % 3 == 0, "an append of three records is there whole or not at all"
        acknowledged = len(numbers) - 1


def test_another_process_sees_appends_and_both_may_append(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = EmbeddedLog(path, now)
    command = [sys.executable, "-m", "tests.server.log.append_forever", str(path), "0"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    try:
        mine = 0
        deadline = time.monotonic() + 30
        while log.end_offsets()[0] - mine < 60 and time.monotonic() < deadline:
            log.append([record("mine", mine)])
            mine += 1
    finally:
        process.kill()
        process.wait()
    found = read_all(log, log.end_offsets()[0])
    numbers = sequence_by_agent(found)
    assert numbers["mine"] == list(range(mine))
    assert numbers["a"] == list(range(len(numbers["a"])))
    assert len(numbers["a"]) >= 60
    log.close()


def test_appends_that_wait_together_share_one_transaction(tmp_path: Path) -> None:
    path = tmp_path / "log"
    ticks = iter(range(1_000_000))
    log = EmbeddedLog(path, lambda: next(ticks))
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    threads = [threading.Thread(target=log.append, args=([record(f"a{n}", 0)],)) for n in range(12)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    blocker.execute("COMMIT")
    blocker.close()
    for thread in threads:
        thread.join()
    transactions = {logged.appended_at for logged in read_all(log, 12)}
    assert len(transactions) == 2, "the one that was blocked, and all that queued up behind it"
    log.close()


def test_a_closing_log_ends_a_waiting_read(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log", now)
    timer = threading.Timer(0.3, log.close)
    timer.start()
    started = time.monotonic()
    with pytest.raises(LogUnavailable, match="closed"):
        log.read({0: 0}, max_records=1, timeout=30)
    assert time.monotonic() - started < 5
    timer.join()


def test_only_the_owner_may_read_the_file_and_trimmed_content_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = EmbeddedLog(path, now)
    log.append([record("secret-agent", number, size=9000) for number in range(20)])
    assert path.stat().st_mode & 0o777 == 0o600
    log.trim(log.end_offsets())
    for file in tmp_path.iterdir():
        assert b"secret-agent" not in file.read_bytes(), f"{file.name}, while the log is in use"
    log.close()
    assert b"secret-agent" not in path.read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no database at all" * 100, "cannot be opened"), (None, "has log format 9, not 1")],
)
def test_a_file_of_another_kind_is_refused_and_left_alone(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "log"
    if content is None:
        database = sqlite3.connect(path)
        database.execute("PRAGMA user_version = 9")
        database.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(LogUnavailable, match=message):
        EmbeddedLog(path, now)
    assert path.read_bytes() == before
