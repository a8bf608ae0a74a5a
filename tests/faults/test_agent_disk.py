"""The endpoint's disk is full: the agent waits, says so on both sides, and goes on when there is room."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.status_report import STALE_MS
from tests.collectors.linux.real_mounts import needs_root
from tests.faults.chain import now, until
from tests.faults.conftest import MakeChain

pytestmark = pytest.mark.long


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.root
@needs_root
def test_while_the_endpoints_disk_is_full_the_agent_waits_and_both_sides_tell_it(
    tmp_path: Path, make_chain: MakeChain
) -> None:
    with _small_disk(tmp_path) as disk:
        chain = make_chain(tmp_path, state=disk / "agent")
        chain.start_server()
        chain.enrol()
        chain.start_agent()
        chain.allow(30)
        chain.wait_for_all(30)
        until("it says how it is", lambda: chain.agent_status() is not None)
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(4096))
        chain.allow(1000)
        until("the server tells it", lambda: "agent_disk" in {kind for kind, _ in chain.findings()})
        later = now() + STALE_MS + 1000
        assert chain.problem(at=later).startswith("the disk of its state folder is full")
        assert len(chain.stored().copies) < 1000
        ballast.unlink()
        chain.wait_for_all(1000)
        chain.stop_agent()
