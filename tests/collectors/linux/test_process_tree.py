"""Which program a process is, whoever tells of it and however late: real processes, the kernel's events."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.linux import process_tree
from collectors.linux.process_tree import ProcessFacts, ProcessTree
from event_schema.catalogue import load_catalogue
from tests.collectors.linux.real_mounts import needs_root

pytestmark = [pytest.mark.root, needs_root]
CURL = "/usr/bin/curl"


def now_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


@pytest.fixture
def tree() -> Iterator[ProcessTree]:
    made = ProcessTree(load_catalogue(trusted=["own.example"]), now_ms)
    made.follow()
    yield made
    made.close()


def short_lived_curl() -> tuple[int, int]:
    """A process that was curl and is over: its number, and when it was."""
    process = subprocess.Popen([CURL, "--version"], stdout=subprocess.DEVNULL)
    at_ms = now_ms()
    process.wait()
    return process.pid, at_ms


def program_of(tree: ProcessTree, pid: int) -> tuple[str | None, str | None, int]:
    facts = tree.of(pid)
    assert facts is not None
    return facts.executable, None if facts.application is None else facts.application.id, facts.parent


def test_one_that_is_told_of_after_its_end_is_what_it_was_and_not_a_copy_of_its_parent(
    tree: ProcessTree,
) -> None:
    pid, at_ms = short_lived_curl()
    tree.pump()
    assert program_of(tree, pid) == (None, None, os.getpid())
    tree.learn(pid, os.getpid(), 1000, 1000, CURL, at_ms)
    tree.pump()
    assert program_of(tree, pid) == (CURL, "curl", os.getpid())
    assert tree.party(pid) == pid
    assert tree.has_ended(pid)


def test_what_was_seen_before_it_became_another_program_changes_nothing(tree: ProcessTree) -> None:
    process = subprocess.Popen(["sh", "-c", "read line; exec sleep 60"], stdin=subprocess.PIPE)
    sleeping = str(Path("/usr/bin/sleep").resolve())
    try:
        assert process.stdin is not None
        opened_ms = now_ms()
        shell = os.readlink(f"/proc/{process.pid}/exe")  # noqa: PTH115 - as the reader does
        process.stdin.write(b"\n")
        process.stdin.close()
        limit = time.monotonic() + 10
        while program_of(tree, process.pid)[0] != sleeping:
            assert time.monotonic() < limit
            time.sleep(0.01)
            tree.pump()
        tree.learn(process.pid, os.getpid(), 0, 0, shell, opened_ms)
        assert program_of(tree, process.pid)[0] == sleeping
    finally:
        process.kill()
        process.wait()
    tree.pump()
    tree.learn(process.pid, os.getpid(), 0, 0, shell, opened_ms)
    assert program_of(tree, process.pid)[0] == sleeping


def test_of_two_that_tell_of_one_that_has_ended_the_later_sight_counts(tree: ProcessTree) -> None:
    pid, at_ms = short_lived_curl()
    tree.pump()
    tree.learn(pid, os.getpid(), 1000, 1000, "/usr/bin/dash", at_ms - 5)
    tree.learn(pid, os.getpid(), 1000, 1000, CURL, at_ms)
    tree.learn(pid, os.getpid(), 1000, 1000, "/usr/bin/dash", at_ms - 5)
    assert program_of(tree, pid)[:2] == (CURL, "curl")


def test_those_that_are_over_are_forgotten_also_when_they_were_learnt_late(
    tree: ProcessTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [short_lived_curl() for _ in range(20)]
    tree.pump()
    for pid, at_ms in told:
        tree.learn(pid, os.getpid(), 1000, 1000, CURL, at_ms)
    assert all(tree.of(pid) is not None for pid, _ in told)
    monkeypatch.setattr(process_tree, "KEPT_AFTER_EXIT_S", 0.0)
    tree.pump()
    assert [pid for pid, _ in told if tree.of(pid) is not None] == []
    assert not any(tree.has_ended(pid) for pid, _ in told)


def test_an_end_that_was_lost_is_noticed_when_all_are_looked_at_again(tree: ProcessTree) -> None:
    process = subprocess.Popen(["sleep", "60"])
    assert tree.of(process.pid) is not None
    process.kill()
    process.wait()
    assert not tree.has_ended(process.pid)
    tree._rescan()
    assert tree.has_ended(process.pid)


def test_of_a_command_line_only_names_of_the_catalogue_and_of_the_company_are_kept(
    tree: ProcessTree, tmp_path: Path
) -> None:
    program = tmp_path / "curl"
    shutil.copy(Path(sys.executable).resolve(), program)
    words = ["customers.zip", "salaries.mov", "https://drive.google.com/x?y=z", "git.own.example:/a", "a.com"]
    script = "import time; print(flush=True); time.sleep(60)"
    environment = {"PYTHONHOME": sys.base_prefix}
    process = subprocess.Popen(
        [program, "-I", "-S", "-c", script, *words], stdout=subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        facts = tree.of(process.pid)
    finally:
        process.kill()
        process.communicate()
    assert facts is not None
    assert facts.application is not None
    assert facts.hosts == ("drive.google.com", "git.own.example")


def test_a_child_that_starts_no_program_is_what_its_parent_is(tree: ProcessTree) -> None:
    program = "import os; p = os.fork(); p or os._exit(0); os.waitpid(p, 0); print(p, flush=True); input()"
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        tree.pump()
        pid = int(parent.stdout.readline())
        limit = time.monotonic() + 10
        while not tree.has_ended(pid):
            assert time.monotonic() < limit
            tree.pump()
            time.sleep(0.01)
        known, above = tree.of(pid), tree.of(parent.pid)
        assert known is not None
        assert above is not None
        assert (known.executable, known.parent) == (above.executable, parent.pid)
    finally:
        parent.communicate(b"\n", timeout=10)


def test_each_program_that_starts_is_told_at_once_and_those_that_run_already_at_the_beginning() -> None:
    tree = ProcessTree(load_catalogue(), now_ms)
    started: list[ProcessFacts] = []
    tree.started = started.append
    before = subprocess.Popen(["/bin/sleep", "60"])
    try:
        tree.follow()
        parent = next(each.parent for each in started if each.pid == before.pid)
        after = subprocess.Popen(["/bin/sleep", "60"])
        try:
            limit = time.monotonic() + 10
            while after.pid not in {each.pid for each in started}:
                assert time.monotonic() < limit
                tree.pump()
            assert after.pid in {each.pid for each in tree.beside(parent)}
        finally:
            after.kill()
            after.wait()
    finally:
        before.kill()
        before.wait()
        tree.close()
