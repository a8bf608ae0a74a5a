"""What every collector must keep. A test class of a channel inherits CollectorContract and says how to make
the collector and how to make it see something."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from collectors.contract import Collector, Observation, Unsupported
from event_schema.codec import decode_event, encode_event
from tests.collectors.observing import Observing

_IDLE_S = 0.5
_TOLERANCE_S = 0.3
_LONG_S = 10.0
"""The machine may be busy with other tests: one late turn is no fault, the usual one tells."""


def _open_files() -> set[str]:
    return {f"{fd.name} {_link(fd)}" for fd in Path("/proc/self/fd").iterdir()}


def _link(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:
        return ""


class CollectorContract(ABC):
    """Inherit, and implement `collector` (a fixture) and `act`."""

    @pytest.fixture
    @abstractmethod
    def collector(self) -> Iterator[Collector]:
        """A collector that can see what `act` does."""

    @abstractmethod
    def act(self, number: int) -> None:
        """Does something that the collector must report with at least one event."""

    @contextmanager
    def _observing(self, collector: Collector) -> Iterator[Observing]:
        with Observing(collector) as observing:
            yield observing

    def test_check_supported_leaves_nothing_open(self, collector: Collector) -> None:
        before, threads = _open_files(), threading.active_count()
        try:
            collector.check_supported()
        except Unsupported as reason:
            assert str(reason)
        assert len(_open_files()) <= len(before)
        assert threading.active_count() <= threads

    def test_events_are_of_the_declared_types_and_survive_the_wire(self, collector: Collector) -> None:
        with self._observing(collector) as observing:
            before = len(observing.events)
            self.act(1)
            observing.wait_for(lambda: len(observing.events) > before, 20, "event")
        for event in observing.events:
            assert isinstance(event, collector.emits)
            assert decode_event(encode_event(event)) == event
            assert event.metadata.log_name == collector.name

    def test_gives_control_back_twice_a_second_while_nothing_happens(self, collector: Collector) -> None:
        stop = threading.Event()
        turns = collector.observe(None, stop)
        began = time.monotonic()
        while next(turns) is not None or time.monotonic() < began + 1:
            pass
        took: list[float] = []
        for _ in range(9):
            began = time.monotonic()
            next(turns)
            took.append(time.monotonic() - began)
        assert median(took) < _IDLE_S + _TOLERANCE_S, took
        assert max(took) < _LONG_S
        stop.set()
        list(turns)

    def test_ends_within_a_second_and_yields_what_it_has_seen(self, collector: Collector) -> None:
        took: list[float] = []
        for number in (20, 21, 22):
            with self._observing(collector) as observing:
                observing.settle(0.5)
                before = len(observing.events)
                self.act(number)
                # The act is on its way now; what was seen of it must be yielded even without its rest.
                time.sleep(0.5)
                took.append(observing.stop())
                assert len(observing.events) > before
            if took[-1] < 1.0:
                break
        assert min(took) < 1.0, took

    def test_can_be_observed_again_after_it_ended(self, collector: Collector) -> None:
        for number in (3, 4):
            with self._observing(collector) as observing:
                observing.settle(0.5)
                before = len(observing.events)
                self.act(number)
                observing.wait_for(lambda: len(observing.events) > before, 20, "event")  # noqa: B023 - at once

    def test_close_gives_everything_back_twice_and_without_observe(self, collector: Collector) -> None:
        collector.close()
        collector.close()
        files, threads = len(_open_files()), threading.active_count()
        turns = collector.observe(None, threading.Event())
        for _ in range(3):
            next(turns)
        collector.close()
        assert len([*turns]) < 100
        collector.close()
        limit = time.monotonic() + 5
        while len(_open_files()) > files or threading.active_count() > threads:
            assert time.monotonic() < limit, (_open_files(), threading.enumerate())
            time.sleep(0.05)

    def test_tells_what_it_uses_and_what_it_lost_at_any_time(self, collector: Collector) -> None:
        def ask() -> None:
            assert all(count >= 0 for count in collector.dropped().values())
            assert collector.detail() != ""

        ask()
        with self._observing(collector) as observing:
            ask()
            assert collector.detail()
            observing.settle(0.3)
        ask()
        collector.close()
        ask()

    def test_a_cursor_can_be_given_back(self, collector: Collector) -> None:
        with self._observing(collector) as observing:
            before = len(observing.events)
            self.act(5)
            observing.wait_for(lambda: len(observing.events) > before, 20, "event")
            observing.settle(1.2)
        last: Observation = observing.observations[-1]
        known = set(map(encode_event, observing.events))
        if last.cursor is not None:
            with Observing(collector, last.cursor) as again:
                again.settle(1.5)
            assert known.isdisjoint(map(encode_event, again.events))
