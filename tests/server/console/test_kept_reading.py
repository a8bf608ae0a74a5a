"""What is slow to read keeps no page waiting for long."""

from __future__ import annotations

import threading
import time

from server.console.kept_reading import WAIT_SECONDS, KeptReading
from server.store.database import StoreUnavailable


def test_a_reading_that_hangs_is_waited_for_once() -> None:
    end, now, read = threading.Event(), [0], [0]

    def slow() -> int:
        read[0] += 1
        if read[0] == 2:
            end.wait(60)
        if read[0] == 4:
            raise StoreUnavailable("away")
        return read[0]

    reading = KeptReading(slow, lambda: now[0], kept_ms=3_000)
    assert [reading.now(), reading.now()] == [1, 1]
    now[0] = 5_000
    begun = time.monotonic()
    assert [reading.now() for _ in range(20)] == [1] * 20
    assert time.monotonic() - begun < 3 * WAIT_SECONDS
    end.set()
    for _ in range(200):
        if reading.now() == 2:
            break
        time.sleep(0.05)
    assert (reading.now(), read[0]) == (2, 2)
    now[0] = 10_000
    assert reading.now() == 3
    now[0] = 20_000
    assert reading.now() is None


def test_the_last_one_is_given_at_once_while_the_next_is_read() -> None:
    begun, end, now, people, read = threading.Event(), threading.Event(), [0], [1], [0]

    def slow() -> int:
        read[0] += 1
        if read[0] == 2:
            begun.set()
            end.wait(60)
        return read[0]

    reading = KeptReading(
        slow, lambda: now[0], kept_ms=1_000, old_ms=60_000, wait_seconds=20, version=lambda: people[0]
    )
    assert reading.now() == 1
    now[0] = 2_000
    before = time.monotonic()
    assert [reading.now() for _ in range(5)] == [1] * 5
    assert time.monotonic() - before < WAIT_SECONDS / 2
    assert begun.wait(20)
    # Of people as they were before: neither the last one nor what is being read of them.
    people[0] = 2
    assert reading.now() == 3
    end.set()
    assert [reading.now() for _ in range(5)] == [3] * 5
    # Too old to be given.
    now[0] = 100_000
    assert reading.now() == 4
    reading.forget()
    assert reading.now() == 5


def test_what_is_quickly_read_is_never_old() -> None:
    now, read = [0], [0]

    def quick() -> int:
        read[0] += 1
        return read[0]

    reading = KeptReading(quick, lambda: now[0], kept_ms=1_000, old_ms=10**9)
    for wanted in range(1, 6):
        now[0] += 2_000
        assert reading.now() in (wanted, wanted - 1)
        for _ in range(200):
            if read[0] == wanted:
                break
            time.sleep(0.01)
    assert reading.now() == 5
