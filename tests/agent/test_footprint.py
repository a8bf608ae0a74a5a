"""What the agent costs: proportional memory where the kernel tells it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from agent.footprint import own_footprint


@pytest.fixture
def childless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests' servers may be children of this process."""
    monkeypatch.setattr("agent.footprint._children", lambda: iter(()))


def test_memory_is_the_kernels_proportional_share_and_cpu_grows_with_work(childless: None) -> None:
    before = own_footprint()
    found = re.search(r"^Pss:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text("ascii"), re.MULTILINE)
    assert found is not None
    assert before is not None
    assert before.memory_bytes == pytest.approx(int(found[1]) * 1024, rel=0.05)
    until = time.process_time() + 0.2
    while time.process_time() < until:
        os.getpid()
    after = own_footprint()
    assert after is not None
    assert after.cpu_seconds - before.cpu_seconds >= 0.15


def test_memory_is_the_resident_part_where_the_kernel_does_not_tell_the_share(
    monkeypatch: pytest.MonkeyPatch, childless: None
) -> None:
    def refused(_process: psutil.Process) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "memory_full_info", refused)
    found = own_footprint()
    assert found is not None
    assert found.memory_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)


def test_without_proc_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    assert own_footprint() is None


def test_child_processes_count_while_they_run_and_after_they_ended() -> None:
    before = own_footprint()
    work = (
        "import time\nheld = bytearray(64 << 20)\nwhile time.process_time() < 0.3: pass\n"
        "print(1, flush=True)\ninput()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()
    during = own_footprint()
    child.communicate("\n")
    after = own_footprint()
    assert before is not None
    assert during is not None
    assert after is not None
    assert during.memory_bytes - before.memory_bytes > 64 << 20
    assert during.cpu_seconds - before.cpu_seconds >= 0.25
    assert after.cpu_seconds >= during.cpu_seconds - 0.05
    assert during.memory_bytes - after.memory_bytes > 64 << 20
