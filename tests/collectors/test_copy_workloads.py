"""The thirteen ways of copying, each file reported exactly once: by every watcher, as far as it can see."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from benchmarks.copy_workloads import WORKLOADS, Acts, Size, make_source, prepare, run_as
from collectors.removable_storage import RemovableStorageCollector, RemovableStorageConfig
from event_schema.ocsf_events import FileActivity, FileSystemActivity
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.drives import Drive, FileSystem, missing_programs, needs_root, open_folder
from tests.collectors.observing import Observing, acts_of

pytestmark = [pytest.mark.root, pytest.mark.quiet, needs_root]

ALICE = 61_501
SIZE = Size(files=200, big_bytes=4 << 20)
KINDS: tuple[FileSystem, ...] = ("ext4", "exfat", "ntfs")


class Watched(msgspec.Struct):
    """What one watcher said about all workloads, run one after the other."""

    detail: str
    expected: dict[str, Acts]
    events: list[FileSystemActivity]
    hashes: dict[str, str]

    def of(self, workload: str) -> list[FileSystemActivity]:
        """The events of this workload, which is alone in its folders."""
        paths = {act[1] for act in self.expected[workload]}
        folders = {_folder(path) for path in paths} - {_folder(self.expected["bigcp"][0][1])}
        return [
            event
            for event in self.events
            if event.file.path in paths or _folder(str(event.file.path)) in folders
        ]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


@pytest.fixture(scope="module")
def watched() -> Iterator[dict[str, Watched]]:
    """One collector on four places: ext4, a folder on it, exFAT and NTFS over FUSE."""
    with ExitStack() as stack:
        source = stack.enter_context(open_folder()) / "files"
        make_source(source, SIZE)
        targets: dict[str, Path] = {}
        for kind in KINDS:
            if missing_programs(kind) and os.environ.get("CI") != "true":
                continue
            place = stack.enter_context(open_folder())
            targets[kind] = Path(stack.enter_context(Drive(place, kind, user=ALICE)).target)
        folder = stack.enter_context(open_folder()) / "folder"
        folder.mkdir()
        folder.chmod(0o1777)
        targets["folder"] = folder
        for name, target in targets.items():
            prepare("mvdir", target, source, ALICE if name in ("ext4", "folder") else None)
        config = RemovableStorageConfig(extra_mounts=tuple(map(str, targets.values())), settle_s=0.6)
        host = Host(hostname="laptop-1", type_id=HostType.LAPTOP)
        expected: dict[str, dict[str, Acts]] = {}
        with Observing(RemovableStorageCollector(config, host, "0")) as observing:
            details = str(observing.collector.detail()).split("; ")
            for name, target in targets.items():
                expected[name] = {
                    workload: run_as(workload, target, source, SIZE, ALICE)
                    for workload in WORKLOADS
                    if (workload, name) != ("link", "exfat")
                }
            observing.settle(2.5)
        yield {
            name: Watched(
                next(detail for detail in details if detail.endswith(f"on {target}")),
                expected[name],
                [event for event in observing.files() if str(event.file.path).startswith(f"{target}/")],
                {str(path): _sha256(path) for path in target.rglob("*") if path.is_file()},
            )
            for name, target in targets.items()
        }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _of(watched: dict[str, Watched], kind: str) -> Watched:
    if kind not in watched and os.environ.get("CI") != "true":
        pytest.skip(f"not installed: {missing_programs(kind)}")  # type: ignore[arg-type]
    return watched[kind]


@pytest.mark.parametrize("name", WORKLOADS)
def test_fid_reports_each_file_exactly_once_with_user_and_hash(
    watched: dict[str, Watched], name: str
) -> None:
    by_fid = _of(watched, "ext4")
    events = by_fid.of(name)
    assert acts_of(events) == sorted(by_fid.expected[name])
    for event in events:
        assert event.unmapped.evidence.observed_by == "fanotify_fid"
        assert event.actor.user is not None
        assert event.actor.user.uid == str(ALICE)
        assert event.actor.process is not None
        assert event.actor.process.file is not None
        if event.activity_id is FileActivity.CREATE and not event.file.is_deleted:
            assert event.file.hashes is not None
            assert event.file.hashes[0].value == by_fid.hashes[str(event.file.path)]


def test_fid_reports_nothing_else(watched: dict[str, Watched]) -> None:
    by_fid = _of(watched, "ext4")
    assert "fanotify FID" in by_fid.detail
    assert acts_of(by_fid.events) == sorted(act for acts in by_fid.expected.values() for act in acts)


@pytest.mark.parametrize("name", WORKLOADS)
def test_watchdog_misses_only_what_is_deleted_at_once(watched: dict[str, Watched], name: str) -> None:
    by_watchdog = _of(watched, "folder")
    assert "watchdog" in by_watchdog.detail
    got, expected = Counter(acts_of(by_watchdog.of(name))), Counter(by_watchdog.expected[name])
    if name in ("wdel", "deepdel"):
        assert {act[-1] for act in got} <= {act[-1] for act in expected}
    else:
        # A file that is renamed before its new folder is watched may count as renamed and updated.
        assert {act[-1] for act in got} == {act[-1] for act in expected}
        assert (got - expected).total() <= 2 + expected.total() // 50


@pytest.mark.parametrize(
    ("kind", "name"),
    # exFAT has no hard links.
    [(kind, name) for kind in ("exfat", "ntfs") for name in WORKLOADS if (kind, name) != ("exfat", "link")],
)
def test_descriptors_miss_only_renames_links_and_what_is_deleted_at_once(
    watched: dict[str, Watched], name: str, kind: str
) -> None:
    by_descriptor = _of(watched, kind)
    assert "fanotify fd" in by_descriptor.detail
    got, expected = Counter(acts_of(by_descriptor.of(name))), Counter(by_descriptor.expected[name])
    if name == "mvdir":
        # A rescan may have found the new names.
        assert {act[1] for act in got} <= {act[-1] for act in expected}
    elif name in ("wdel", "deepdel", "link"):
        assert got - expected == Counter()
    else:
        assert got == expected
