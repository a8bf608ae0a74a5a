"""One contract for the watchers, on real file systems; and what only one of them can do."""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collectors.file_changes import Change, ChangeKind, Watcher
from collectors.linux import fanotify
from collectors.linux.fanotify_fd import FanotifyFdWatcher
from collectors.linux.fanotify_fid import FanotifyFidWatcher
from collectors.linux.watchdog_watch import WatchdogWatcher
from tests.collectors.drives import Drive, missing_programs, needs_root, open_folder

MAKERS: dict[str, Callable[[str], Watcher]] = {
    "fid": FanotifyFidWatcher,
    "fd": FanotifyFdWatcher,
    "watchdog": WatchdogWatcher,
}
pytestmark = [pytest.mark.root, needs_root]


@pytest.fixture(scope="module")
def drive() -> Iterator[Drive]:
    with open_folder() as folder, Drive(folder, "ext4", megabytes=64) as made:
        yield made


@pytest.fixture(params=MAKERS)
def watcher(request: pytest.FixtureRequest, drive: Drive) -> Iterator[Watcher]:
    made = MAKERS[request.param](drive.target)
    yield made
    made.close()


@pytest.fixture
def fid(drive: Drive) -> Iterator[FanotifyFidWatcher]:
    made = FanotifyFidWatcher(drive.target)
    yield made
    made.close()


@pytest.fixture
def folder(drive: Drive, request: pytest.FixtureRequest) -> Path:
    """A folder of the test's own, which was there before the watcher."""
    made = Path(drive.target) / f"{request.node.name.replace('/', '-')}-{time.monotonic_ns()}"
    made.mkdir()
    return made


def read(watcher: Watcher, until: Callable[[list[Change]], bool] | None = None) -> list[Change]:
    """What comes until the condition holds, and until nothing has come for a moment."""
    quiet_s = 1.0 if watcher.observed_by == "watchdog" else 0.3
    limit = time.monotonic() + 30
    changes: list[Change] = []
    quiet_since = time.monotonic()
    while time.monotonic() < quiet_since + quiet_s or (until is not None and not until(changes)):
        assert time.monotonic() < limit, changes
        new = watcher.read(time.time_ns() // 1_000_000)
        if new:
            quiet_since = time.monotonic()
        changes += new
        time.sleep(0.02)
    return changes


def told(kind: ChangeKind, count: int = 1) -> Callable[[list[Change]], bool]:
    """So many of these changes have come."""
    return lambda changes: len(of(changes, kind)) >= count


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def of(changes: list[Change], kind: ChangeKind) -> list[str]:
    return [change.path for change in changes if change.kind is kind and not change.is_folder]


class TestWatcherContract:
    """Holds for each of them."""

    def test_a_written_file_is_told_with_its_path_and_facts(self, folder: Path, watcher: Watcher) -> None:
        read(watcher)
        (folder / "a b\n\u00fc").write_bytes(b"12345")
        changes = read(watcher, told(ChangeKind.WRITTEN))
        (written,) = (change for change in changes if change.kind is ChangeKind.WRITTEN)
        assert written.path == str(folder / "a b\n\u00fc")
        assert written.facts is not None
        assert written.facts.size == 5
        kinds = [change.kind for change in changes if change.path == written.path]
        assert kinds[0] in (ChangeKind.CREATED, ChangeKind.FOUND)
        assert kinds[-1] is ChangeKind.WRITTEN

    def test_what_others_do_is_told_in_order_and_none_is_missing(
        self, folder: Path, watcher: Watcher
    ) -> None:
        read(watcher)
        for number in range(300):
            (folder / f"{number:03d}").write_bytes(b"x")
        assert of(read(watcher, told(ChangeKind.WRITTEN, 300)), ChangeKind.WRITTEN) == [
            str(folder / f"{number:03d}") for number in range(300)
        ]

    def test_its_own_reading_is_no_change(self, folder: Path, watcher: Watcher) -> None:
        (folder / "a").write_bytes(b"x")
        read(watcher, told(ChangeKind.WRITTEN))
        assert (folder / "a").read_bytes() == b"x"
        assert list(folder.iterdir()) == [folder / "a"]
        assert read(watcher) == []

    def test_the_descriptor_wakes_when_there_is_something(self, folder: Path, watcher: Watcher) -> None:
        import select  # noqa: PLC0415 - beside its only use

        read(watcher)
        poll = select.poll()
        poll.register(watcher.fileno(), select.POLLIN)
        assert poll.poll(50) == []
        (folder / "a").write_bytes(b"x")
        assert poll.poll(2000)

    def test_the_drive_can_be_unmounted_while_it_is_watched(
        self, folder: Path, watcher: Watcher, drive: Drive
    ) -> None:
        (folder / "a").write_bytes(b"x")
        assert read(watcher, told(ChangeKind.WRITTEN))
        drive.unmount()
        drive.mount()

    def test_closing_twice_leaves_nothing_open(self, drive: Drive, watcher: Watcher) -> None:
        watcher.close()
        before = open_files()
        threads = threading.active_count()
        second = type(watcher)(drive.target)  # type: ignore[call-arg]
        second.close()
        second.close()
        assert open_files() == before
        assert threading.active_count() == threads

    def test_a_place_that_is_not_there_is_refused(self, watcher: Watcher) -> None:
        before = open_files()
        with pytest.raises(OSError):
            type(watcher)("/nowhere/at/all")  # type: ignore[call-arg]
        assert open_files() <= before


@pytest.mark.parametrize("name", ["fid", "watchdog"])
def test_renames_and_deletions_are_told(name: str, folder: Path, drive: Drive) -> None:
    (folder / "a").write_bytes(b"x")
    (folder / "d" / "e").mkdir(parents=True)
    watcher = MAKERS[name](drive.target)
    try:
        (folder / "a").rename(folder / "b")
        (folder / "d").rename(folder / "f")
        (folder / "f" / "e" / "late").write_bytes(b"x")
        (folder / "b").unlink()
        changes = read(watcher, told(ChangeKind.DELETED))
    finally:
        watcher.close()
    renames = [(change.path, change.new_path) for change in changes if change.kind is ChangeKind.RENAMED]
    assert (str(folder / "a"), str(folder / "b")) in renames
    assert (str(folder / "d"), str(folder / "f")) in renames
    assert of(changes, ChangeKind.WRITTEN) == [str(folder / "f" / "e" / "late")]
    assert of(changes, ChangeKind.DELETED) == [str(folder / "b")]


def test_fid_names_files_in_trees_that_are_gone_when_it_reads(folder: Path, fid: FanotifyFidWatcher) -> None:
    expected = []
    for tree in range(20):
        path = folder / f"t{tree}" / "a" / "b"
        path.mkdir(parents=True)
        (path / "f").write_bytes(b"x")
        expected.append(str(path / "f"))
        shutil.rmtree(folder / f"t{tree}")
    assert of(read(fid, told(ChangeKind.CREATED, 20)), ChangeKind.CREATED) == expected


def test_fid_names_files_in_old_trees_that_are_gone_when_it_reads(drive: Drive, folder: Path) -> None:
    paths = [folder / f"t{tree}" / "a" / "f" for tree in range(20)]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    watcher = FanotifyFidWatcher(drive.target)
    try:
        shutil.rmtree(folder)
        assert sorted(of(read(watcher, told(ChangeKind.DELETED, 20)), ChangeKind.DELETED)) == sorted(
            map(str, paths)
        )
        assert watcher.dropped() == {}
    finally:
        watcher.close()


def test_fid_tells_where_a_file_was_when_the_folder_moves_before_it_reads(
    folder: Path, fid: FanotifyFidWatcher
) -> None:
    (folder / "new").mkdir()
    (folder / "new" / "a").write_bytes(b"x")
    (folder / "new").rename(folder / "moved")
    (folder / "moved" / "b").write_bytes(b"x")
    changes = read(fid, told(ChangeKind.CREATED, 2))
    assert of(changes, ChangeKind.CREATED) == [str(folder / "new" / "a"), str(folder / "moved" / "b")]


def test_fid_tells_a_name_that_was_given_back_to_its_file_as_made_last(
    folder: Path, fid: FanotifyFidWatcher
) -> None:
    (folder / "first").write_bytes(b"12345")
    (folder / "second").hardlink_to(folder / "first")
    read(fid)
    # The kernel merges what waits: one event that says both made and deleted, without the order.
    (folder / "second").unlink()
    (folder / "second").hardlink_to(folder / "first")
    (folder / "other").write_bytes(b"x")
    (folder / "other").unlink()
    (folder / "other").write_bytes(b"another file")
    changes = fid.read(1)
    kinds = {name: [c.kind for c in changes if c.path == str(folder / name)] for name in ("second", "other")}
    created, written, deleted = ChangeKind.CREATED, ChangeKind.WRITTEN, ChangeKind.DELETED
    assert kinds["second"] == [deleted, created]
    assert kinds["other"] == [created, written, deleted, created, written]


def test_fid_knows_the_process(folder: Path, fid: FanotifyFidWatcher) -> None:
    (folder / "a").write_bytes(b"x")
    assert {change.pid for change in read(fid, told(ChangeKind.WRITTEN))} == {os.getpid()}


def test_fid_works_where_handles_cannot_be_opened(
    folder: Path, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """exFAT and other file systems of recent kernels give handles, but take none back."""

    def refuse(mount_fd: int, handle: bytes) -> int:
        raise OSError(95, "Operation not supported")

    (folder / "old" / "deep").mkdir(parents=True)
    monkeypatch.setattr(fanotify, "open_handle", refuse)
    watcher = FanotifyFidWatcher(drive.target)
    try:
        (folder / "old" / "deep" / "a").write_bytes(b"x")
        (folder / "new").mkdir()
        (folder / "new" / "b").write_bytes(b"x")
        assert of(read(watcher, told(ChangeKind.WRITTEN, 2)), ChangeKind.WRITTEN) == [
            str(folder / "old" / "deep" / "a"),
            str(folder / "new" / "b"),
        ]
    finally:
        watcher.close()


def test_fid_sees_other_mounts_of_the_same_drive_and_other_namespaces(
    folder: Path, fid: FanotifyFidWatcher, drive: Drive
) -> None:
    beside = Path(drive.target).parent / "beside"
    beside.mkdir()
    subprocess.run(["mount", "--bind", drive.target, beside], check=True)
    try:
        inside = folder.relative_to(drive.target)
        (beside / inside / "a").write_bytes(b"x")
        subprocess.run(["unshare", "-m", "touch", folder / "b"], check=True)
        assert of(read(fid, told(ChangeKind.CREATED, 2)), ChangeKind.CREATED) == [
            str(folder / "a"),
            str(folder / "b"),
        ]
    finally:
        subprocess.run(["umount", beside], check=True)
        beside.rmdir()


@pytest.mark.parametrize("kind", ["exfat", "ntfs"])
def test_fuse_drives_refuse_fid_and_are_watched_by_descriptor(kind: str) -> None:
    missing = missing_programs(kind)  # type: ignore[arg-type]
    if missing and os.environ.get("CI") != "true":
        pytest.skip(f"not installed: {missing}")
    with open_folder() as place, Drive(place, kind) as drive:  # type: ignore[arg-type]
        with pytest.raises(OSError, match="No such device"):
            FanotifyFidWatcher(drive.target)
        watcher = FanotifyFdWatcher(drive.target)
        try:
            for number in range(50):
                (Path(drive.target) / f"f{number}").write_bytes(b"x")
            written = of(read(watcher, told(ChangeKind.WRITTEN, 50)), ChangeKind.WRITTEN)
            assert written == [f"{drive.target}/f{number}" for number in range(50)]
        finally:
            watcher.close()


@pytest.mark.parametrize("kind", ["exfat", "ntfs"])
def test_a_file_that_is_named_like_the_kernel_s_mark_for_deleted_ones_keeps_its_name_and_is_not_deleted(
    kind: str,
) -> None:
    missing = missing_programs(kind)  # type: ignore[arg-type]
    if missing and os.environ.get("CI") != "true":
        pytest.skip(f"not installed: {missing}")
    with open_folder() as place, Drive(place, kind) as drive:  # type: ignore[arg-type]
        watcher = FanotifyFdWatcher(drive.target)
        try:
            named = Path(drive.target, "customers.csv (deleted)")
            named.write_bytes(b"12345")
            Path(drive.target, "customers.csv").write_bytes(b"1")
            changes = read(watcher, told(ChangeKind.WRITTEN, 2))
            assert of(changes, ChangeKind.WRITTEN) == [str(named), f"{drive.target}/customers.csv"]
            assert of(changes, ChangeKind.DELETED) == []
            with Path(drive.target, "really").open("wb") as gone:
                gone.write(b"x")
                Path(drive.target, "really").unlink()
            with named.open("ab") as gone:
                named.unlink()
            after = read(watcher)
            # The kernel may be refused the file for us, as it is gone: then that is counted.
            deleted = {change.path for change in after if change.kind is ChangeKind.DELETED}
            assert deleted <= {f"{drive.target}/really", str(named)}
            assert len(deleted) + sum(watcher.dropped().values()) == 2
        finally:
            watcher.close()


def test_watchdog_finds_files_that_were_written_before_it_watched_their_folder(
    folder: Path, drive: Drive
) -> None:
    watcher = WatchdogWatcher(drive.target)
    try:
        paths = [folder / f"t{tree}" / "a" / "b" / "c" / "f" for tree in range(30)]
        for path in paths:
            path.parent.mkdir(parents=True)
            path.write_bytes(b"x")
        expected = set(map(str, paths))
        read(watcher, lambda changes: expected <= {change.path for change in changes})
    finally:
        watcher.close()


def _touch_all_before_another_thread_runs(folder: Path, count: int) -> None:
    """PyDLL keeps the interpreter's lock during its calls, and the switch interval between them."""
    libc = ctypes.PyDLL(None, use_errno=True)
    names = [os.fsencode(folder / str(number)) for number in range(count)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        for name in names:
            descriptor = libc.creat(name, 0o600)
            assert descriptor >= 0, os.strerror(ctypes.get_errno())
            libc.close(descriptor)
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("log_level", [logging.WARNING, logging.ERROR])
def test_watchdog_tells_that_it_lost_changes(
    folder: Path, drive: Drive, log_level: int, caplog: pytest.LogCaptureFixture
) -> None:
    # watchdog tells of it in its log only, and the agent's log shows no library's warnings.
    caplog.set_level(log_level)
    limit = Path("/proc/sys/fs/inotify/max_queued_events")
    before = limit.read_text()
    limit.write_text("16")
    try:
        watcher = WatchdogWatcher(drive.target)
        try:
            _touch_all_before_another_thread_runs(folder, 500)
            kinds: set[ChangeKind] = set()
            end = time.monotonic() + 30
            while ChangeKind.LOST not in kinds and time.monotonic() < end:
                kinds |= {change.kind for change in watcher.read(1)}
                time.sleep(0.02)
        finally:
            watcher.close()
    finally:
        limit.write_text(before)
    assert ChangeKind.LOST in kinds
    assert watcher.dropped()
