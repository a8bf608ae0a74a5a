"""A part that fails starts again, ever more slowly; it says so, and it stops when told."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

from server.supervision import SupervisedThread


def _until(reached: threading.Event) -> None:
    assert reached.wait(10)


def test_work_that_fails_starts_again_and_the_failures_are_counted() -> None:
    recovered = threading.Event()
    runs: list[int] = []

    def work(stop: threading.Event) -> None:
        runs.append(len(runs))
        if len(runs) <= 3:
            raise OSError("no disk")
        recovered.set()
        stop.wait()

    part = SupervisedThread("part", work, first_pause=0.01)
    assert part.state.state == "starting"
    part.start()
    _until(recovered)
    assert part.alive
    assert (part.state.state, part.state.restarts, part.state.last_error) == ("running", 3, "OSError")
    part.stop()
    assert part.join(5)
    assert part.state.state == "stopped"
    assert not part.alive


def test_work_that_ends_by_itself_is_a_failure_too() -> None:
    second = threading.Event()
    runs: list[int] = []

    def work(_stop: threading.Event) -> None:
        runs.append(0)
        if len(runs) == 2:
            second.set()

    part = SupervisedThread("part", work, first_pause=0.01)
    part.start()
    _until(second)
    part.stop()
    assert part.join(5)
    assert part.state.last_error == "it ended by itself"


def test_pauses_grow_and_a_pause_does_not_delay_the_stop() -> None:
    times: list[float] = []
    fourth = threading.Event()

    def work(_stop: threading.Event) -> None:
        times.append(time.monotonic())
        if len(times) == 4:
            fourth.set()
        raise ValueError

    part = SupervisedThread("part", work, first_pause=0.05)
    part.start()
    _until(fourth)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] >= 0.05
    assert gaps[1] >= 0.1
    assert gaps[2] >= 0.2
    time.sleep(0.05)
    assert part.state.state == "waiting"
    begun = time.monotonic()
    part.stop()
    assert part.join(5)
    assert time.monotonic() - begun < 0.3


def test_work_that_does_not_stop_is_left_behind_in_time() -> None:
    release = threading.Event()
    part = SupervisedThread("part", lambda _stop: _until(release))
    part.start()
    part.stop()
    assert not part.join(0.1)
    release.set()
    assert part.join(5)
