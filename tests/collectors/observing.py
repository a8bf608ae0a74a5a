"""Runs a collector's `observe` in a thread, as the agent does, and keeps what it yields."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from collectors.contract import Collector, Observation
from event_schema.ocsf_events import Event, FileActivity, FileSystemActivity, PeripheralActivity


class Observing:
    """A running collector for the duration of a `with`. What it raises, leaving the `with` raises."""

    def __init__(
        self,
        collector: Collector,
        resume_from: str | None = None,
        saved: Callable[[], str | None] | None = None,
    ) -> None:
        """saved: what the agent would tell a collector that asks what is on disk."""
        self.collector = collector
        self._saved = saved
        self.pauses: list[float] = []
        """Seconds between two turns, the longest ones."""
        self.observations: list[Observation] = []
        self.turns = 0
        self._resume_from = resume_from
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="observing", daemon=True)

    def __enter__(self) -> Observing:
        self._thread.start()
        self.wait_for(lambda: self.turns > 0, 20, "the first turn")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def events(self) -> list[Event]:
        return [observation.event for observation in self.observations]

    def files(self) -> list[FileSystemActivity]:
        return [event for event in self.events if isinstance(event, FileSystemActivity)]

    def devices(self) -> list[PeripheralActivity]:
        return [event for event in self.events if isinstance(event, PeripheralActivity)]

    def file(self, path: str) -> FileSystemActivity:
        """The one event of this path; fails when there are several, or none in time."""
        self.wait_for(lambda: any(event.file.path == path for event in self.files()), 10, path)
        (found,) = (event for event in self.files() if event.file.path == path)
        return found

    def wait_for(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        limit = time.monotonic() + seconds
        while not condition():
            if self._error is not None:
                raise self._error
            assert time.monotonic() < limit, f"no {what} within {seconds} s; acts: {acts_of(self.files())}"
            time.sleep(0.02)

    def settle(self, quiet_s: float = 1.0, seconds: float = 60) -> None:
        """Waits until no event has come for a while."""
        limit = time.monotonic() + seconds
        count, since = len(self.observations), time.monotonic()
        while time.monotonic() < since + quiet_s:
            assert time.monotonic() < limit, "the collector does not come to rest"
            time.sleep(0.05)
            if len(self.observations) != count:
                count, since = len(self.observations), time.monotonic()

    def stop(self) -> float:
        """Asks it to end; how many seconds that took."""
        began = time.monotonic()
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive(), "observe does not end"
        if self._error is not None:
            raise self._error
        return time.monotonic() - began

    def _run(self) -> None:
        try:
            tell, before = getattr(self.collector, "saved", None), time.monotonic()
            for observation in self.collector.observe(self._resume_from, self._stop):
                if observation is not None:
                    self.observations.append(observation)
                elif tell is not None and self._saved is not None:
                    tell(self._saved())
                self.pauses = sorted((*self.pauses, time.monotonic() - before))[-3:]
                before = time.monotonic()
                self.turns += 1
        except BaseException as error:  # noqa: BLE001 - handed to the test's thread
            self._error = error


def acts_of(events: list[FileSystemActivity]) -> list[tuple[str, ...]]:
    """The events as (activity, path[, new path]), sorted."""
    acts: list[tuple[str, ...]] = []
    for event in events:
        act = (FileActivity(event.activity_id).name.lower(), str(event.file.path))
        acts.append(act if event.file_result is None else (*act, str(event.file_result.path)))
    return sorted(acts)
