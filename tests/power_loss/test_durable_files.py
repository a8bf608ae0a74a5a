"""The disk that the other tests rely on forgets what it may forget, and nothing else."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from random import Random

import pytest

from tests.power_loss.disk import Disk, needs_fuse
from tests.power_loss.durable_files import File, Folder, Truncate, Write

REGULAR, FOLDER = stat.S_IFREG | 0o600, stat.S_IFDIR | 0o700


def _after_many_cuts(file: File) -> set[bytes]:
    return {file.after_cut(Random(seed)) for seed in range(300)}


def test_synced_bytes_stay_and_each_sector_that_waits_is_as_old_as_it_likes() -> None:
    file = File(REGULAR)
    file.change(Write(0, b"a" * 1536))
    file.sync()
    file.change(Write(512, b"b" * 1024))
    found = _after_many_cuts(file)
    a, b = b"a" * 512, b"b" * 512
    assert found == {a + a + a, a + b + a, a + a + b, a + b + b}
    file.sync()
    assert _after_many_cuts(file) == {a + b + b}


def test_what_waits_may_be_missing_torn_or_full_of_zeros_and_a_cut_file_is_cut_or_not() -> None:
    file = File(REGULAR)
    file.change(Write(0, b"a" * 1024))
    found = _after_many_cuts(file)
    assert {b"", b"a" * 512, b"a" * 1024, bytes(512) + b"a" * 512} <= found
    file.sync()
    file.change(Truncate(100))
    found = _after_many_cuts(file)
    assert {b"a" * 1024, b"a" * 100} <= found
    # What lies behind the new end may be gone already while the old length still holds, as on real disks.
    assert all(each.strip(b"\0").strip(b"a") in {b"", bytes(412)} for each in found)
    assert all(each.startswith(b"a" * 100) for each in found)


def test_after_a_failed_sync_the_next_one_saves_only_what_was_written_again() -> None:
    file = File(REGULAR)
    file.change(Write(0, b"lost"))
    file.forget()
    assert bytes(file.now) == b"lost"
    file.sync()
    assert _after_many_cuts(file) == {b""}
    file.change(Write(0, b"lost"))
    file.sync()
    assert _after_many_cuts(file) == {b"lost"}


def test_names_are_saved_by_their_folder_alone_and_a_rename_is_one_change() -> None:
    folder, file = Folder(FOLDER), File(REGULAR)
    folder.change({"old": file})
    file.sync()
    folder.sync()
    folder.change({"old": None, "new": file})
    found = [frozenset(folder.after_cut(Random(seed))) for seed in range(50)]
    assert set(found) == {frozenset({"old"}), frozenset({"new"})}
    folder.sync()
    assert folder.after_cut(Random(0)).keys() == {"new"}


@needs_fuse
@pytest.mark.root
def test_programs_see_an_ordinary_disk_until_its_power_is_cut(disk: Disk) -> None:
    kept, lost = disk.path / "folder" / "kept", disk.path / "lost"
    kept.parent.mkdir()
    for path in (kept, lost):
        path.write_bytes(b"x" * 3000)
    for path in (kept, kept.parent, disk.path):
        _sync(path)
    lost.write_bytes(b"y" * 3000)
    assert lost.read_bytes() == b"y" * 3000
    contents = set()
    for seed in range(40):
        left = disk.cut(seed)
        assert (left / "folder" / "kept").read_bytes() == b"x" * 3000
        assert (left / "lost").exists()
        contents.add((left / "lost").read_bytes())
    assert {b"", b"y" * 3000} < contents
    disk.fail_syncs("*/kept")
    with pytest.raises(OSError, match="Input/output error"):
        _sync(kept)
    _sync(kept)
    assert disk.failed_syncs == 1


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
