"""Files that wait for their hash and labels: told as soon as both are there, with what is there."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from collectors import storage_reports
from collectors.authors import Authors
from collectors.file_changes import facts_of
from collectors.file_hashing import TOO_LATE, FileHasher, HashJob
from collectors.file_labelling import FileLabelling, LabelJob
from collectors.finished_files import FinishedFile
from collectors.labels import LabelSettings
from collectors.steady_clock import SteadyClock
from collectors.storage_config import RemovableStorageConfig
from collectors.storage_events import EventSource, Volume
from collectors.storage_reports import StorageReports
from collectors.watched_place import WatchedPlace
from event_schema.ocsf_events import Event, FileActivity, FileSystemActivity
from event_schema.ocsf_objects import Host, HostType, PeripheralDevice, PeripheralType

SOURCE = EventSource("removable_storage", "0", Host(hostname="h", type_id=HostType.UNKNOWN))
WAIT_S = 60.0


class _Slow(StorageReports):
    """Whose threads are faster than it is: all is read before it writes down whom it waits for."""

    def _read(self, report: storage_reports._Report, jobs: list[HashJob | LabelJob]) -> None:
        _until(lambda: not report.waits)
        super()._read(report, jobs)


class _Reading:
    """Real threads, a real place."""

    def __init__(self, folder: Path, kind: type[StorageReports]) -> None:
        self.clock = SteadyClock(wall=lambda: time.time_ns() // 1_000_000)
        self.hasher = FileHasher(1.0, 1 << 20)
        self.labelling = FileLabelling(LabelSettings())
        self.authors = Authors(self.clock)
        self.place = WatchedPlace(
            str(folder),
            Volume(PeripheralDevice(name="stick", type_id=PeripheralType.EXTERNAL_STORAGE), "STICK"),
            RemovableStorageConfig(),
            whole_file_system=False,
            clock=self.clock,
        )
        self.reports = kind(SOURCE, self.hasher, self.authors, WAIT_S, self.clock, self.labelling)

    def add(self, path: Path) -> None:
        finished = FinishedFile(
            FileActivity.CREATE, str(path), self.clock.now_ms(), os.getpid(), facts=facts_of(path.lstat())
        )
        self.reports.add(finished, self.place, self.clock.now_ms())

    def close(self) -> None:
        for each in (self.hasher, self.labelling, self.authors, self.place):
            each.close()


def _until(is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(params=[StorageReports, _Slow])
def reading(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[_Reading]:
    made = _Reading(tmp_path, request.param)
    yield made
    made.close()


def _is_read(report: storage_reports._Report) -> bool:
    return not report.waits


def _sha256(event: Event) -> str | None:
    assert isinstance(event, FileSystemActivity)
    return event.file.hashes[0].value if event.file.hashes else None


def test_a_file_is_told_when_it_is_read_and_not_when_its_time_is_over(
    reading: _Reading, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_bytes(b"a,b\n" * 100)
    reading.add(tmp_path / "list.csv")
    events: list[Event] = []

    def is_told() -> bool:
        events.extend(reading.reports.ready(reading.clock.now_ms()))
        return bool(events)

    _until(is_told)
    (event,) = events
    assert _sha256(event) == hashlib.sha256(b"a,b\n" * 100).hexdigest()
    assert event.unmapped.evidence.gap is None
    assert len(reading.reports) == 0


def test_what_is_read_when_a_place_goes_or_the_time_is_over_is_told_and_not_counted_as_missing(
    reading: _Reading, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_bytes(b"a,b\n")
    for late in (True, False):
        reading.add(tmp_path / "list.csv")
        report = next(iter(reading.reports._reading.values()))
        # The threads are done, and nobody has heard of it yet.
        _until(partial(_is_read, report))
        if late:
            reading.hasher._done.get_nowait()
            reading.labelling._done.get_nowait()
            (event,) = reading.reports.ready(reading.clock.now_ms() + int(WAIT_S * 1000) + 1)
        else:
            (event,) = reading.reports.give_up("no hash", "no labels")
        assert _sha256(event) == hashlib.sha256(b"a,b\n").hexdigest()
        assert event.unmapped.evidence.gap is None
    assert reading.hasher.dropped() == {}
    assert reading.labelling.dropped() == {}


def test_what_is_not_read_in_time_is_told_without_and_counted_once(tmp_path: Path) -> None:
    reading = _Reading(tmp_path, StorageReports)
    try:
        (tmp_path / "large").write_bytes(bytes(1 << 20))
        # Nobody reads any more.
        reading.hasher._stop.set()
        reading.hasher._worker.thread.join()
        reading.add(tmp_path / "large")
        (event,) = reading.reports.ready(reading.clock.now_ms() + int(WAIT_S * 1000) + 1)
        assert _sha256(event) is None
        assert TOO_LATE in (event.unmapped.evidence.gap or "")
        assert reading.hasher.dropped()[TOO_LATE] == 1
        assert reading.reports.ready(reading.clock.now_ms() + 10**9) == []
    finally:
        reading.close()
