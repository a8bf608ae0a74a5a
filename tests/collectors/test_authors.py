"""Who is behind a finished file: the record that is late, and the one that never comes."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.authors import RECORD_WAIT_S, Authors
from collectors.file_changes import Change, ChangeKind
from collectors.finished_files import FinishedFile
from collectors.steady_clock import SteadyClock
from event_schema.ocsf_events import FileActivity
from tests.collectors.linux.real_mounts import LoopMount, needs_root

pytestmark = [pytest.mark.root, needs_root]
CLOCK = SteadyClock(lambda: time.time_ns() // 1_000_000)


@pytest.fixture
def stick() -> Iterator[LoopMount]:
    # Other users must get there.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with LoopMount(Path(folder)) as mount:
            yield mount


@pytest.fixture
def authors(stick: LoopMount) -> Iterator[Authors]:
    made = Authors(CLOCK)
    made.watch(stick.target)
    yield made
    made.close()


def finished(path: str, pid: int) -> FinishedFile:
    return FinishedFile(activity=FileActivity.CREATE, path=path, at_ms=CLOCK.now_ms(), pid=pid)


def written(path: str, pid: int) -> Change:
    return Change(ChangeKind.WRITTEN, path, CLOCK.now_ms(), pid)


def dead_process() -> int:
    ended = subprocess.Popen(["true"])
    ended.wait()
    return ended.pid


def test_record_that_comes_a_moment_late_is_waited_for(stick: LoopMount, authors: Authors) -> None:
    # The act follows the question, as it seems to do where the kernel hands records over late.
    script = f"echo; read; echo x > {stick.target}/late; read"
    late = subprocess.Popen(["bash", "-c", script], user=60123, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert late.stdin is not None
    assert late.stdout is not None
    late.stdout.readline()
    go = threading.Timer(RECORD_WAIT_S / 10, os.write, (late.stdin.fileno(), b"\n"))
    go.start()
    who = authors.final(finished(f"{stick.target}/late", late.pid))
    go.join()
    late.communicate(b"\n")
    assert (who.source, who.uid, who.pid) == ("audit", 60123, late.pid)


def test_record_that_never_comes_is_waited_for_once_in_a_while(stick: LoopMount, authors: Authors) -> None:
    dead = [dead_process() for _ in range(20)]
    files = [finished(f"{stick.target}/{number}", pid) for number, pid in enumerate(dead)]
    begun = time.monotonic()
    found = [authors.final(each) for each in files]
    took = time.monotonic() - begun
    assert {who.source for who in found} == {"unknown"}
    # Each for itself would be twenty times as long.
    assert RECORD_WAIT_S <= took < 10 * RECORD_WAIT_S


def test_nothing_is_waited_for_where_later_acts_are_recorded_already(
    stick: LoopMount, authors: Authors
) -> None:
    long_ago = CLOCK.now_ms() - 5_000
    Path(stick.target, "later").write_bytes(b"x")
    deadline = time.monotonic() + 2
    recorded = authors.fresh(written(f"{stick.target}/later", os.getpid()), lambda _: None)
    while recorded.source != "audit" and time.monotonic() < deadline:
        recorded = authors.fresh(written(f"{stick.target}/later", 0), lambda _: None)
    asked = FinishedFile(FileActivity.CREATE, f"{stick.target}/earlier", long_ago, dead_process())
    begun = time.monotonic()
    authors.final(asked)
    assert time.monotonic() - begun < RECORD_WAIT_S
    assert recorded.source == "audit"
