"""Process events from the real kernel."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from collectors.linux import proc_events
from collectors.linux.proc_events import ProcessEvents
from tests.collectors.linux.real_mounts import needs_root

pytestmark = [pytest.mark.root, needs_root]


@pytest.fixture
def events() -> Iterator[ProcessEvents]:
    opened = ProcessEvents()
    yield opened
    opened.close()


def drain(events: ProcessEvents) -> None:
    while events.pump():
        pass


def wait_until(events: ProcessEvents, pid: int, exe: str) -> None:
    """Until the process is seen to run this program."""
    limit = time.monotonic() + 20
    while True:
        drain(events)
        known = events.find(pid)
        if known is not None and known.exe == exe:
            return
        assert time.monotonic() < limit, known
        time.sleep(0.02)


def test_process_running_before_is_known_and_one_that_ended_still_is(events: ProcessEvents) -> None:
    init = events.find(1)
    assert init is not None
    assert (init.uid, init.source) == (0, "proc_events")
    sleeper = subprocess.Popen(["setpriv", "--reuid=60123", "--clear-groups", "sleep", "30"])
    wait_until(events, sleeper.pid, "/usr/bin/sleep")
    sleeper.kill()
    sleeper.wait()
    drain(events)
    known = events.find(sleeper.pid)
    assert known is not None
    assert (known.uid, known.exe) == (60123, "/usr/bin/sleep")


def test_program_read_too_late_is_unknown_not_the_parent_s_and_the_user_is_right(
    events: ProcessEvents,
) -> None:
    drain(events)
    ended = [subprocess.Popen(["/bin/true"]) for _ in range(20)]
    for process in ended:
        process.wait()
    drain(events)
    known = [events.find(process.pid) for process in ended]
    assert [each.uid for each in known if each is not None] == [0] * 20
    assert {each.exe for each in known if each is not None} == {None}
    assert events.dropped()["process_ended_before_it_was_read"] >= 20


def test_change_of_user_is_followed(events: ProcessEvents) -> None:
    code = "import os, time; os.setuid(60123); print('now', flush=True); time.sleep(30)"
    changed = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert changed.stdout is not None
    changed.stdout.readline()
    drain(events)
    known = events.find(changed.pid)
    changed.kill()
    changed.communicate()
    assert known is not None
    assert known.uid == 60123


def test_ended_processes_are_forgotten_after_their_time_and_the_table_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    events = ProcessEvents(monotonic=lambda: now[0])
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    drain(events)
    assert events.find(ended.pid) is not None
    now[0] = proc_events.KEPT_AFTER_EXIT_S + 1
    drain(events)
    assert events.find(ended.pid) is None
    events.close()

    monkeypatch.setattr(proc_events, "MOST_PROCESSES", 5)
    small = ProcessEvents()
    assert small.dropped()["process_evicted"] >= 1
    small.close()
    small.close()


def test_overflow_is_counted_and_the_table_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc_events, "SOCKET_BYTES", 2048)
    events = ProcessEvents()
    for _ in range(30):
        subprocess.run(["/bin/true"], check=True)
    sleeper = subprocess.Popen(["sleep", "30"])
    wait_until(events, sleeper.pid, "/usr/bin/sleep")
    known = events.find(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert events.dropped()["process_events_overflow"] >= 1
    assert known is not None
    assert known.exe == "/usr/bin/sleep"
    events.close()
