"""Hashing of real files."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.file_changes import FileFacts, look
from collectors.file_hashing import CHANGED, GONE, OFF, TOO_LARGE, TOO_MANY, FileHasher, HashJob


def facts(path: Path) -> FileFacts:
    found = look(str(path))
    assert found is not None
    return found


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
    assert hasher.submit(HashJob(str(path), facts(path)))
    (job,) = finished(hasher)
    assert job.result is not None
    assert job.result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert job.result.facts is not None
    assert job.result.facts.size == size


def test_hashing_leaves_the_access_time_as_it_is(hasher: FileHasher, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    os.utime(path, (1_000, 2_000))
    hasher.submit(HashJob(str(path), facts(path)))
    finished(hasher)
    assert path.stat().st_atime == 1_000


def test_the_cpu_share_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(60 << 20))
    hasher = FileHasher(0.2, 1 << 30)
    try:
        began = time.monotonic()
        hasher.submit(HashJob(str(path), facts(path)))
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
        hasher.submit(HashJob(str(path), facts(path)))
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
    job = HashJob(str(path), facts(path))
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
    job = HashJob(str(path), facts(path))
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


def test_a_file_that_changes_while_it_is_read_gets_no_hash(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(80 << 20))
    hasher = FileHasher(0.1, 1 << 30)
    try:
        hasher.submit(HashJob(str(path), facts(path)))
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
    job = HashJob(str(path), facts(path))
    assert not large.submit(job)
    assert job.result is not None
    assert job.result.gap == TOO_LARGE
    large.close()
    off = FileHasher(0.01, 0)
    job = HashJob(str(path), facts(path))
    assert not off.submit(job)
    assert job.result is not None
    assert job.result.gap == OFF
    assert off.dropped() == {}
    off.close()
    busy = FileHasher(0.01, 1 << 30, most_waiting=2)
    jobs = [HashJob(str(path), facts(path)) for _ in range(5)]
    taken = [busy.submit(job) for job in jobs]
    assert taken[:2] == [True, True]
    assert not taken[-1]
    assert jobs[-1].result is not None
    assert jobs[-1].result.gap == TOO_MANY
    assert busy.dropped()[TOO_MANY] >= 2
    began = time.monotonic()
    busy.close()
    assert time.monotonic() - began < 1
