"""Hashing of real files."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchdog.events import FileClosedNoWriteEvent, FileOpenedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from collectors.file_changes import FileFacts, facts_of
from collectors.file_hashing import CHANGED, GONE, OFF, TOO_LARGE, TOO_MANY, FileHasher, HashJob
from collectors.linux.beneath import Root

pytestmark = pytest.mark.quiet


def facts(path: Path) -> FileFacts:
    return facts_of(path.lstat())


def job_of(path: Path) -> HashJob:
    return HashJob(Root(str(path.parent)), str(path), facts(path))


class Opened(FileSystemEventHandler):
    def __init__(self, tell: Callable[[FileSystemEvent], None]) -> None:
        self._tell = tell

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._tell(event)


def finished(hasher: FileHasher, count: int = 1, seconds: float = 20) -> list[HashJob]:
    jobs: list[HashJob] = []
    limit = time.monotonic() + seconds
    while len(jobs) < count:
        jobs += hasher.done()
        assert time.monotonic() < limit
        time.sleep(0.01)
    return jobs


@pytest.fixture
def hasher() -> Iterator[FileHasher]:
    made = FileHasher(1.0, 1 << 30)
    yield made
    made.close()
    made.close()


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000])
def test_hash_and_size_are_those_of_the_file(hasher: FileHasher, tmp_path: Path, size: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(os.urandom(size))
    assert hasher.submit(job_of(path))
    (job,) = finished(hasher)
    assert job.result is not None
    assert job.result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert job.result.facts is not None
    assert job.result.facts.size == size


def test_hashing_leaves_the_access_time_as_it_is(hasher: FileHasher, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    os.utime(path, (1_000, 2_000))
    hasher.submit(job_of(path))
    finished(hasher)
    assert path.stat().st_atime == 1_000


def test_the_cpu_share_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(60 << 20))
    hasher = FileHasher(0.2, 1 << 30)
    try:
        began = time.monotonic()
        hasher.submit(job_of(path))
        finished(hasher, seconds=60)
        wall = time.monotonic() - began
        assert 0 < hasher.cpu_seconds <= 0.2 * wall + 0.05
    finally:
        hasher.close()


def test_the_file_is_not_kept_open_between_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(100 << 20))
    hasher = FileHasher(0.3, 1 << 30)
    try:
        hasher.submit(job_of(path))
        held = looks = 0
        while not hasher.done():
            looks += 1
            for fd in Path("/proc/self/fd").iterdir():
                try:
                    held += fd.readlink() == path
                except OSError:
                    continue
            time.sleep(0.001)
        assert looks > 20
        assert held < looks / 4
    finally:
        hasher.close()


def test_a_file_renamed_meanwhile_is_read_under_its_new_name(hasher: FileHasher, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    job = job_of(path)
    path.rename(tmp_path / "b")
    job.path = str(tmp_path / "b")
    hasher.submit(job)
    (done,) = finished(hasher)
    assert done.result is not None
    assert done.result.sha256 is not None


@pytest.mark.parametrize("what", ["deleted", "fifo", "link", "other file"])
def test_what_took_the_place_of_the_file_is_not_hashed(hasher: FileHasher, tmp_path: Path, what: str) -> None:
    path, other = tmp_path / "a", tmp_path / "other"
    path.write_bytes(b"x")
    other.write_bytes(b"secret")
    job = job_of(path)
    path.rename(tmp_path / "kept")
    if what == "fifo":
        os.mkfifo(path)
    elif what == "link":
        path.symlink_to(other)
    elif what == "other file":
        other.rename(path)
    hasher.submit(job)
    (done,) = finished(hasher)
    assert done.result is not None
    assert done.result.sha256 is None
    assert done.result.gap == GONE


@pytest.mark.parametrize("what", ["fifo", "file"])
def test_a_link_in_the_folder_s_place_leads_nowhere_while_a_file_is_read(tmp_path: Path, what: str) -> None:
    place, outside = tmp_path / "place", tmp_path / "outside"
    (place / "d").mkdir(parents=True)
    outside.mkdir()
    path = place / "d" / "big"
    path.write_bytes(bytes(80 << 20))
    if what == "fifo":
        os.mkfifo(outside / "big")
    else:
        (outside / "big").write_bytes(b"secret")
    opened: list[FileSystemEvent] = []
    observer = Observer()
    observer.schedule(
        Opened(opened.append), str(outside), event_filter=[FileOpenedEvent, FileClosedNoWriteEvent]
    )
    observer.start()
    hasher = FileHasher(0.1, 1 << 30)
    try:
        hasher.submit(HashJob(Root(str(place)), str(path), facts(path)))
        time.sleep(0.3)
        (place / "d").rename(place / "d2")
        (place / "d").symlink_to(outside)
        (job,) = finished(hasher)
        assert job.result is not None
        assert job.result.gap == GONE
        time.sleep(0.3)
        assert [event for event in opened if not event.is_directory] == []
    finally:
        hasher.close()
        observer.stop()
        observer.join()


def test_a_file_that_changes_while_it_is_read_gets_no_hash(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(80 << 20))
    hasher = FileHasher(0.1, 1 << 30)
    try:
        hasher.submit(job_of(path))
        time.sleep(0.3)
        with path.open("ab") as file:
            file.write(b"more")
        (job,) = finished(hasher)
        assert job.result is not None
        assert job.result.gap == CHANGED
        assert hasher.dropped() == {CHANGED: 1}
    finally:
        hasher.close()


def test_bounds_are_kept_told_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(20 << 20))
    large = FileHasher(0.01, 100)
    job = job_of(path)
    assert not large.submit(job)
    assert job.result is not None
    assert job.result.gap == TOO_LARGE
    large.close()
    off = FileHasher(0.01, 0)
    job = job_of(path)
    assert not off.submit(job)
    assert job.result is not None
    assert job.result.gap == OFF
    assert off.dropped() == {}
    off.close()
    busy = FileHasher(0.01, 1 << 30, most_waiting=2)
    jobs = [job_of(path) for _ in range(5)]
    taken = [busy.submit(job) for job in jobs]
    assert taken[:2] == [True, True]
    assert not taken[-1]
    assert jobs[-1].result is not None
    assert jobs[-1].result.gap == TOO_MANY
    assert busy.dropped()[TOO_MANY] >= 2
    began = time.monotonic()
    busy.close()
    assert time.monotonic() - began < 1
