"""Who copied: five hundred short-lived programs of another user, by each source, on a real mount."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from collectors.linux.audit_control import AuditControl, key_of
from collectors.linux.who import Source, Who, WhoSource
from tests.collectors.linux.close_write import CloseWrite
from tests.collectors.linux.real_mounts import LoopMount, needs_root

pytestmark = [pytest.mark.root, needs_root]

ALICE = "leaver-test-alice"
COPIES = 500
ONLY_AUDIT: tuple[Source, ...] = ("audit",)


@pytest.fixture(scope="module")
def alice() -> Iterator[int]:
    subprocess.run(["userdel", ALICE], check=False, capture_output=True)
    subprocess.run(["useradd", "--no-create-home", ALICE], check=True)
    uid = subprocess.run(["id", "-u", ALICE], check=True, capture_output=True, text=True).stdout
    yield int(uid)
    subprocess.run(["userdel", ALICE], check=True)


@pytest.fixture
def stick() -> Iterator[LoopMount]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with LoopMount(Path(folder), "Stick für Émile") as mount:
            yield mount


def as_user(uid: int, script: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Runs a shell script as the user."""
    return subprocess.Popen(
        ["setpriv", f"--reuid={uid}", "--clear-groups", "bash", "-c", script, "bash", *arguments],
        start_new_session=True,
    )


def who_copied(stick: LoopMount, uid: int, sources: Collection[Source]) -> tuple[list[Who], WhoSource]:
    source = WhoSource(sources=sources)
    source.start()
    source.watch(stick.target)
    events = CloseWrite(stick.target)
    copier = as_user(uid, f'for i in $(seq {COPIES}); do /bin/cp /etc/hostname "$1/$i"; done', stick.target)
    found = [source.lookup(each.pid, each.path, each.inode, each.at_ms, 0.5) for each in events.take(COPIES)]
    copier.wait()
    events.close()
    return found, source


@pytest.mark.parametrize("sources", [("proc_events",), ()])
def test_fallbacks_know_the_user_and_name_no_wrong_program(
    stick: LoopMount, alice: int, sources: Collection[Source]
) -> None:
    found, source = who_copied(stick, alice, sources)
    said = source.describe()
    source.close()
    assert len(found) == COPIES
    assert {each.uid for each in found} <= {alice, None}
    assert len([each for each in found if each.uid == alice]) >= COPIES // 20
    assert {each.exe for each in found} <= {"/usr/bin/cp", None}
    assert any(each.exe for each in found)
    assert said.startswith("process events, then /proc" if sources else "/proc")


def test_program_behind_a_shell_s_redirection_is_named(stick: LoopMount, alice: int) -> None:
    source = WhoSource()
    source.start()
    source.watch(stick.target)
    running = as_user(alice, 'tail -f /dev/null > "$1/dump"', stick.target)
    try:
        time.sleep(0.5)
        now = time.time_ns() // 1_000_000
        who = source.lookup(0, f"{stick.target}/dump", None, now, 1.0)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        source.close()
    assert (who.uid, who.exe, who.source) == (alice, "/usr/bin/tail", "audit")


def test_lookup_waits_for_the_record_no_longer_than_asked_and_once_per_process(stick: LoopMount) -> None:
    source = WhoSource(sources=ONLY_AUDIT)
    source.start()
    source.watch(stick.target)
    now = time.time_ns() // 1_000_000
    sleeper = subprocess.Popen(["sleep", "30"])
    begun = time.monotonic()
    first = source.lookup(sleeper.pid, f"{stick.target}/x", None, now + 100, 0.3)
    waited = time.monotonic() - begun
    begun = time.monotonic()
    for _ in range(20):
        source.lookup(sleeper.pid, f"{stick.target}/x", None, now + 100, 0.3)
    again = time.monotonic() - begun
    sleeper.kill()
    sleeper.wait()
    source.close()
    assert (first.source, first.exe, first.uid) == ("proc", "/usr/bin/sleep", 0)
    assert 0.3 <= waited < 2
    assert again < 0.3


def test_number_of_a_younger_process_is_not_mistaken_for_the_one_that_acted(stick: LoopMount) -> None:
    source = WhoSource(sources=())
    source.start()
    now = time.time_ns() // 1_000_000
    sleeper = subprocess.Popen(["sleep", "30"])
    alive = source.lookup(sleeper.pid, f"{stick.target}/x", None, now)
    younger = source.lookup(sleeper.pid, f"{stick.target}/x", None, now - 3_600_000)
    sleeper.kill()
    sleeper.wait()
    reaped = source.lookup(sleeper.pid, f"{stick.target}/x", None, now)
    source.close()
    assert (alive.source, alive.uid) == ("proc", 0)
    assert (younger.source, younger.uid, younger.user_name, younger.exe) == ("unknown", None, None, None)
    assert reaped.source == "unknown"


def test_folder_that_audit_cannot_watch_is_covered_by_process_events_and_says_why(stick: LoopMount) -> None:
    source = WhoSource()
    source.start()
    source.watch(stick.target)
    covered = source.describe()
    source.watch(f"{stick.target}/missing")
    uncovered = source.describe()
    source.close()
    assert covered == "kernel audit, then /proc"
    assert uncovered.startswith("kernel audit, then process events, then /proc (no audit rule on ")
    assert "missing" in uncovered


def test_close_ends_the_thread_and_the_rules_and_lookups_still_answer(stick: LoopMount) -> None:
    threads = threading.active_count()
    source = WhoSource()
    source.start()
    source.start()
    source.watch(stick.target)
    source.close()
    source.close()
    control = AuditControl()
    ours = f"leaver-removable-{os.getpid()}-"
    assert not [rule for rule in control.list_rules() if (key_of(rule) or "").startswith(ours)]
    control.close()
    assert threading.active_count() <= threads
    assert source.lookup(os.getpid(), "/", None, time.time_ns() // 1_000_000).source == "proc"
