"""What /proc tells of living, dead and odd processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collectors.linux import proc
from collectors.linux.proc import executable, process_facts, started_at_ms
from tests.collectors.linux.real_mounts import needs_root


def test_living_process_shows_its_user_and_program() -> None:
    facts = process_facts(os.getpid())
    assert facts is not None
    assert (facts.uid, facts.pid, facts.source) == (os.getuid(), os.getpid(), "proc")
    assert facts.exe == os.path.realpath(sys.executable)
    assert facts.auid is not None
    proc.check()


def test_program_deleted_while_it_runs_keeps_its_plain_path(tmp_path: Path) -> None:
    program = tmp_path / "naps (1)"
    shutil.copy("/bin/sleep", program)
    sleeper = subprocess.Popen([program, "30"])
    program.unlink()
    try:
        assert executable(sleeper.pid) == str(program)
    finally:
        sleeper.kill()
        sleeper.wait()


def test_zombie_has_a_user_but_no_program_and_a_reaped_process_is_unknown() -> None:
    ended = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    zombie = process_facts(ended.pid)
    assert zombie is not None
    assert (zombie.uid, zombie.exe) == (os.getuid(), None)
    ended.wait()
    assert process_facts(ended.pid) is None
    assert started_at_ms(ended.pid) is None


def test_start_time_tells_a_process_from_an_older_one_with_its_number(tmp_path: Path) -> None:
    program = tmp_path / "odd ) name"
    shutil.copy("/bin/sleep", program)
    before = time.time() * 1000
    sleeper = subprocess.Popen([program, "30"])
    try:
        started = started_at_ms(sleeper.pid)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert started == pytest.approx(before, abs=2500)


@needs_root
@pytest.mark.root
def test_service_of_root_that_acts_for_a_user_is_that_user() -> None:
    code = "import os, time; os.seteuid(60123); print('now', flush=True); time.sleep(30)"
    service = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert service.stdout is not None
    service.stdout.readline()
    facts = process_facts(service.pid)
    service.kill()
    service.communicate()
    assert facts is not None
    assert facts.uid == 60123
