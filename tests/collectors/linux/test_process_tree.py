"""What is known of processes that have ended, from the kernel's own events."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.linux.process_tree import ProcessFacts, ProcessTree
from event_schema.catalogue import load_catalogue
from tests.collectors.linux.real_mounts import needs_root

pytestmark = [pytest.mark.root, needs_root]


@pytest.fixture
def tree() -> Iterator[ProcessTree]:
    made = ProcessTree(load_catalogue(), lambda: time.monotonic_ns() // 1_000_000)
    made.follow()
    yield made
    made.close()


def pump_until_ended(tree: ProcessTree, pid: int) -> None:
    limit = time.monotonic() + 10
    while not tree.has_ended(pid):
        assert time.monotonic() < limit
        tree.pump()
        time.sleep(0.01)


def test_a_program_that_ended_before_it_was_looked_at_is_not_taken_for_its_parent(tree: ProcessTree) -> None:
    child = subprocess.Popen(["/bin/true"])
    child.wait()
    pump_until_ended(tree, child.pid)
    known = tree.of(child.pid)
    assert known is not None
    assert known.executable is None
    assert known.application is None
    assert known.uid == 0


def test_a_child_that_starts_no_program_is_what_its_parent_is(tree: ProcessTree) -> None:
    program = "import os; p = os.fork(); p or os._exit(0); os.waitpid(p, 0); print(p, flush=True); input()"
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        tree.pump()
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        pump_until_ended(tree, pid)
        known, above = tree.of(pid), tree.of(parent.pid)
        assert known is not None
        assert above is not None
        assert (known.executable, known.parent) == (above.executable, parent.pid)
    finally:
        parent.communicate(b"\n", timeout=10)


def test_what_is_told_of_a_process_that_has_become_another_program_gives_way_to_what_it_is(
    tree: ProcessTree,
) -> None:
    child = subprocess.Popen(["/bin/sleep", "60"])
    try:
        tree.pump()
        tree.learn(child.pid, 0, 0, 0, "/bin/bash")
        known = tree.of(child.pid)
        assert known is not None
        assert Path(known.executable or "").name == "sleep"
    finally:
        child.kill()
        child.wait()


def test_each_program_that_starts_is_told_at_once_and_those_that_run_already_at_the_beginning() -> None:
    tree = ProcessTree(load_catalogue(), lambda: 0)
    started: list[ProcessFacts] = []
    tree.started = started.append
    before = subprocess.Popen(["/bin/sleep", "60"])
    try:
        tree.follow()
        assert before.pid in {each.pid for each in started}
        after = subprocess.Popen(["/bin/sleep", "60"])
        try:
            limit = time.monotonic() + 10
            while after.pid not in {each.pid for each in started}:
                assert time.monotonic() < limit
                tree.pump()
            assert after.pid in {each.pid for each in tree.beside(before_parent(started, before.pid))}
        finally:
            after.kill()
            after.wait()
    finally:
        before.kill()
        before.wait()
        tree.close()


def before_parent(started: list[ProcessFacts], pid: int) -> int:
    return next(each.parent for each in started if each.pid == pid)
