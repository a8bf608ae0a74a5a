"""Group commit: batches are synced together, and a spool that cannot take more makes collectors wait."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.clock_steps import ClockSteps
from agent.spool import Spool
from agent.spool_reader import SpooledEvent
from agent.spool_segment import NewEntry
from agent.spool_writer import BATCH_ENTRIES, QUEUE_ENTRIES, SpoolWriter
from event_schema.control_records import ClockStep

SPOOL_BYTES = 4 << 20


def entry(number: int, size: int = 100) -> NewEntry:
    noise = hashlib.shake_256(str(number).encode()).hexdigest(size // 2)
    return NewEntry("scripted", number, f"{number} {noise}".encode(), str(number))


def number_of(event: SpooledEvent) -> int:
    return int(event.data.split()[0])


def numbers(spool: Spool) -> list[int]:
    found: list[int] = []
    after = -1
    while items := spool.read(after):
        for item in items:
            assert isinstance(item, SpooledEvent)
            found.append(number_of(item))
            after = item.seq
    return found


def fill_with_what_is_being_sent(spool: Spool) -> int:
    """So that nothing can be dropped to make room. Returns the next number."""
    number = 0
    while spool.stats().backlog_bytes < SPOOL_BYTES - 25_000:
        spool.append([entry(number, size=20_000)])
        spool.read(number - 1)
        number += 1
    return number


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool", max_bytes=SPOOL_BYTES, segment_bytes=64 << 10)
    yield opened
    opened.close()


def test_everything_handed_on_by_many_threads_is_on_disk_when_finish_returns(spool: Spool) -> None:
    writer = SpoolWriter(spool)
    writer.start()

    def hand_on(first: int) -> None:
        for number in range(first, first + 300):
            writer.hand_on(entry(number, size=20))

    threads = [threading.Thread(target=hand_on, args=(first,)) for first in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.finish(5)
    found = numbers(spool)
    assert sorted(found) == [*range(300), *range(1000, 1300), *range(2000, 2300)]
    for first in (0, 1000, 2000):
        assert [n for n in found if first <= n < first + 300] == list(range(first, first + 300))
    assert spool.cursor("scripted") == str(found[-1])


def test_a_spool_that_takes_no_more_makes_the_collector_wait_until_there_is_room(spool: Spool) -> None:
    writer = SpoolWriter(spool, retry_seconds=0.05)
    first = fill_with_what_is_being_sent(spool)
    writer.start()
    handed_on: list[int] = []

    def collector() -> None:
        for number in range(first, first + QUEUE_ENTRIES + 400):
            writer.hand_on(entry(number, size=1000))
            handed_on.append(number)

    thread = threading.Thread(target=collector)
    thread.start()
    until(lambda: writer.fault() is not None)
    time.sleep(0.3)
    waiting = len(handed_on)
    assert waiting < QUEUE_ENTRIES + 400
    assert "the spool is full" in (writer.fault() or "")
    time.sleep(0.3)
    assert len(handed_on) == waiting
    spool.acknowledge(first - 1)
    received: list[int] = []
    while thread.is_alive() or spool.stats().next_seq < first + QUEUE_ENTRIES + 400:
        items = spool.read(-1)
        received += [number_of(item) for item in items if isinstance(item, SpooledEvent)]
        assert all(isinstance(item, SpooledEvent) for item in items)
        if items:
            last = items[-1]
            assert isinstance(last, SpooledEvent)
            spool.acknowledge(last.seq)
    assert writer.finish(5)
    received += numbers(spool)
    assert received == list(range(first, first + QUEUE_ENTRIES + 400))
    assert writer.fault() is None


def test_at_the_end_a_spool_that_takes_nothing_is_given_up_in_time(spool: Spool) -> None:
    fill_with_what_is_being_sent(spool)
    writer = SpoolWriter(spool, retry_seconds=0.05)
    writer.start()
    for number in range(50):
        writer.hand_on(entry(number, size=1000))
    began = time.monotonic()
    assert not writer.finish(1.0)
    assert time.monotonic() - began < 3
    writer.hand_on(entry(0))


def test_a_clock_that_is_set_while_batches_wait_for_the_spool_is_told_behind_them(spool: Spool) -> None:
    hours, wall = 5 * 3_600_000, 1_795_305_600_000
    first = fill_with_what_is_being_sent(spool)
    leap = 0
    steps = ClockSteps(lambda: wall + leap, first, lambda: 0)
    writer = SpoolWriter(spool, steps, retry_seconds=0.05)
    writer.start()
    noise = hashlib.shake_256(b"noise").hexdigest(500).encode()
    waiting = BATCH_ENTRIES + 100
    for _ in range(waiting):
        writer.hand_on(NewEntry("scripted", wall, noise))
    until(lambda: writer.fault() is not None)
    leap = hours
    # A heartbeat.
    steps.look()
    spool.acknowledge(first - 1)
    writer.hand_on(NewEntry("scripted", wall + hours, noise))
    assert writer.finish(5)
    (step,) = steps.recent()
    assert step == ClockStep(first + waiting, hours)
    items = spool.read(-1)
    times = {item.seq: item.time for item in items if isinstance(item, SpooledEvent)}
    assert len(times) == waiting + 1
    assert {seq for seq, time in times.items() if time == wall + hours} == {step.first_seq}
