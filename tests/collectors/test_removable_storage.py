"""The whole collector on real mounts: each act once, with the right names, hash, user and program."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from collectors import watched_place
from collectors.contract import Collector
from collectors.file_changes import Watcher
from collectors.finished_files import NEWNESS_UNKNOWN
from collectors.linux.who import Source, WhoSource
from collectors.removable_storage import RemovableStorageCollector, RemovableStorageConfig
from event_schema.codec import decode_event, encode_event
from event_schema.ocsf_events import FileActivity, PeripheralActivityKind
from event_schema.ocsf_objects import DriveType, Host, HostType
from tests.collectors.collector_contract import CollectorContract
from tests.collectors.drives import Drive, FileSystem, missing_programs, needs_root, open_folder
from tests.collectors.linux.real_mounts import LoopMount
from tests.collectors.observing import Observing, acts_of

pytestmark = pytest.mark.quiet
HOST = Host(hostname="laptop-1", type_id=HostType.LAPTOP)
ALICE = 61_501
ONLY_AUDIT: tuple[Source, ...] = ("audit",)


def collector_of(*places: str, **settings: object) -> RemovableStorageCollector:
    settings = {"settle_s": 0.4, **settings}
    config = RemovableStorageConfig(extra_mounts=places, **settings)  # type: ignore[arg-type]
    return RemovableStorageCollector(config, HOST, "0.1.0")


@pytest.fixture(scope="module")
def drive() -> Iterator[Drive]:
    with open_folder() as folder, Drive(folder, "ext4") as made:
        yield made


class TestFolderContract(CollectorContract):
    """On a plain folder, as without root."""

    @pytest.fixture
    def collector(self, tmp_path: Path) -> Iterator[Collector]:
        self._folder = tmp_path
        made = collector_of(str(tmp_path))
        yield made
        made.close()

    def act(self, number: int) -> None:
        (self._folder / f"taken-{number}.txt").write_text("customers")


@pytest.mark.root
@needs_root
class TestMountContract(CollectorContract):
    """On a mounted drive."""

    @pytest.fixture
    def collector(self, drive: Drive) -> Iterator[Collector]:
        self._target = Path(drive.target)
        made = collector_of(drive.target)
        yield made
        made.close()

    def act(self, number: int) -> None:
        (self._target / f"taken-{number}-{time.monotonic_ns()}.txt").write_text("customers")


@pytest.mark.root
@needs_root
def test_the_event_names_file_volume_device_user_and_program(drive: Drive) -> None:
    path = f"{drive.target}/Kunden Liste \u5ba2\u6237.XLSX"
    with Observing(collector_of(drive.target)) as observing:
        subprocess.run(
            ["setpriv", f"--reuid={ALICE}", f"--regid={ALICE}", "--clear-groups", "cp", "/etc/passwd", path],
            check=True,
        )
        event = observing.file(path)
    assert event.activity_id is FileActivity.CREATE
    assert event.file.name == "Kunden Liste \u5ba2\u6237.XLSX"
    assert event.file.ext == "xlsx"
    assert event.file.drive_type_id is DriveType.REMOVABLE
    assert event.file.size == Path(path).stat().st_size
    assert event.actor.process is not None
    assert event.actor.process.file is not None
    assert event.actor.process.file.name == "cp"
    assert event.unmapped.evidence.fidelity in ("exact", "likely")
    assert event.unmapped.peripheral_device is not None
    assert event.unmapped.peripheral_device.name == drive.target
    assert abs(event.time - time.time() * 1000) < 10_000


@pytest.mark.root
@needs_root
def test_a_name_that_is_not_unicode_is_reported_readably(drive: Drive) -> None:
    raw = os.fsencode(drive.target) + b"/caf\xe9\n.txt"
    with Observing(collector_of(drive.target)) as observing:
        Path(os.fsdecode(raw)).write_bytes(b"x")
        assert observing.file(f"{drive.target}/caf\\xe9\\n.txt").file.size == 1


@pytest.mark.root
@needs_root
def test_places_whose_names_are_not_unicode_are_watched_and_told_of_in_valid_unicode() -> None:
    with open_folder() as above, LoopMount(above, os.fsdecode(b"caf\xe9")) as stick:
        folder = Path(stick.target, os.fsdecode("\u5ba2\u6237".encode("gbk")))
        gone = f"{stick.target}/not yet there"
        collector = collector_of(stick.target, str(folder), gone)
        folder.mkdir()
        with Observing(collector) as observing:
            (folder / "list.csv").write_text("x")
            observing.wait_for(lambda: len(observing.files()) >= 2, 10, "two events")
            who = WhoSource(sources=ONLY_AUDIT)
            who.start()
            who.watch(gone)
            said = [str(collector.detail()), who.describe()]
            who.close()
        assert "fanotify FID on " in said[0]
        assert said[0].count("caf\\xe9") == 2
        assert "no audit rule on" in said[1]
        assert "caf\\xe9/not yet there" in said[1]
        for text in said:
            assert text.encode("utf-8")
            assert msgspec.json.decode(msgspec.json.encode(text)) == text
        for observation in observing.observations:
            assert decode_event(encode_event(observation.event)) == observation.event
        assert {event.file.path for event in observing.files()} == {
            f"{above}/caf\\xe9/\\xbf\u037b\\xa7/list.csv"
        }


def test_a_place_that_cannot_be_watched_is_told_of_in_valid_unicode_and_logged_without_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(target: str, *, whole_file_system: bool) -> Watcher:
        raise OSError(errno.ENOSPC, "inotify watch limit reached", target)

    folder = tmp_path / "alice" / os.fsdecode(b"caf\xe9")
    folder.mkdir(parents=True)
    # The kernel's limit is the whole machine's: not to be used up by a test.
    monkeypatch.setattr(watched_place, "open_watcher", refuse)
    with Observing(collector_of(str(folder))) as observing:
        said = str(observing.collector.detail())
    assert "caf\\xe9: not watched" in said
    assert said.encode("utf-8")
    (record,) = (each for each in caplog.records if each.name.startswith("collectors."))
    assert record.getMessage() == "a place cannot be watched"
    assert vars(record)["facts"] == {"errno": errno.ENOSPC, "is_mount": False}
    assert record.exc_info is None
    assert "alice" not in caplog.text


@pytest.mark.root
@needs_root
def test_unmount_works_while_watching_at_rest_and_right_after_a_copy(drive: Drive) -> None:
    with Observing(collector_of(drive.target)) as observing:
        time.sleep(0.3)
        drive.unmount()
        _wait_gone(observing, 1)
        drive.mount()
        _wait_watched(observing, drive)
        for number in range(3):
            (Path(drive.target) / f"before-eject-{number}").write_bytes(os.urandom(3 << 20))
            time.sleep(1.2)
            # The hash of the first ones is being taken just now. A program that ejects tries twice.
            if subprocess.run(["umount", drive.target], check=False, capture_output=True).returncode:
                time.sleep(0.02)
                drive.unmount()
            _wait_gone(observing, number + 2)
            drive.mount()
            _wait_watched(observing, drive)
        kinds = [device.activity_id for device in observing.devices()]
    assert kinds.count(PeripheralActivityKind.DISCONNECT) == 4
    names = [event.file.name for event in observing.files()]
    assert sorted(names) == ["before-eject-0", "before-eject-1", "before-eject-2"]


@pytest.mark.root
@needs_root
def test_a_copy_right_after_the_mount_is_not_missed_and_not_doubled(drive: Drive) -> None:
    old = Path(drive.target) / "was-there-before"
    old.write_text("old")
    os.utime(old, (time.time() - 3600,) * 2)
    drive.unmount()
    with Observing(collector_of(drive.target)) as observing:
        time.sleep(4)
        drive.mount()
        new = [Path(drive.target) / f"at-once-{number}" for number in range(50)]
        for path in new:
            path.write_text("new")
        observing.settle()
    assert acts_of(observing.files()) == sorted(("create", str(path)) for path in new)


@pytest.mark.root
@needs_root
def test_what_was_on_the_drive_before_is_not_reported(drive: Drive) -> None:
    (Path(drive.target) / "early").write_text("x")
    with Observing(collector_of(drive.target)) as observing:
        observing.settle(1.5)
    assert observing.files() == []


@pytest.mark.root
@needs_root
def test_a_file_that_is_still_being_written_is_reported_when_the_drive_goes(drive: Drive) -> None:
    path = Path(drive.target) / "half"
    with Observing(collector_of(drive.target)) as observing, path.open("wb") as half:
        half.write(b"x" * 10_000)
        half.flush()
        time.sleep(1.5)
        assert observing.files() == []
        subprocess.run(["umount", "--lazy", drive.target], check=True)
        event = observing.file(str(path))
        assert event.file.is_deleted is None
        assert "still being written" in str(event.unmapped.evidence.gap)
    drive.mount()


@pytest.mark.root
@needs_root
def test_user_and_program_of_99_in_100_short_copies_stand_in_their_events(drive: Drive) -> None:
    folder = Path(drive.target) / "five hundred"
    folder.mkdir()
    folder.chmod(0o777)
    copying = 'for i in $(seq 500); do /bin/cp /etc/hostname "$1/$i"; done'
    with Observing(collector_of(drive.target)) as observing:
        subprocess.run(["bash", "-c", copying, "bash", str(folder)], check=True, user=ALICE)
        observing.wait_for(lambda: len(observing.files()) >= 500, 60, "500 events")
        events = observing.files()
    found = Counter(
        (event.actor.user and event.actor.user.uid, event.actor.process and event.actor.process.name)
        for event in events
    )
    assert len(events) == 500
    assert found[str(ALICE), "cp"] >= 495, found
    assert {event.unmapped.evidence.actor_from for event in events} == {"audit"}


@pytest.mark.root
@needs_root
def test_files_larger_than_the_bound_go_without_hash_and_say_so(drive: Drive) -> None:
    path = Path(drive.target) / "large"
    with Observing(collector_of(drive.target, hash_max_bytes=1000)) as observing:
        path.write_bytes(b"x" * 1001)
        event = observing.file(str(path))
        assert event.file.hashes is None
        assert event.file.size == 1001
        assert "larger than" in str(event.unmapped.evidence.gap)
        assert observing.collector.dropped()


@pytest.mark.root
@needs_root
def test_quick_rewrites_are_one_event_and_an_endless_log_still_reports(drive: Drive) -> None:
    path = Path(drive.target) / "log"
    with Observing(collector_of(drive.target, settle_s=0.5, longest_s=2)) as observing:
        for _ in range(14):
            with path.open("a") as log:
                log.write("line\n")
            time.sleep(0.2)
        observing.settle()
    acts = acts_of(observing.files())
    assert acts[0] == ("create", str(path))
    assert 2 <= len(acts) <= 3


@pytest.mark.root
@needs_root
def test_a_trusted_device_is_left_alone(drive: Drive) -> None:
    with Observing(collector_of(drive.target, trusted_devices=(f"mount:{drive.target}",))) as observing:
        (Path(drive.target) / "private").write_text("x")
        observing.settle(1.5)
        assert observing.files() == []
        assert "no removable storage" in str(observing.collector.detail())


def test_a_folder_is_watched_without_its_surroundings(tmp_path: Path) -> None:
    watched = tmp_path / "out"
    watched.mkdir()
    with Observing(collector_of(str(watched))) as observing:
        assert "watchdog" in str(observing.collector.detail())
        (tmp_path / "beside.txt").write_text("x")
        (watched / "taken.txt").write_text("customers")
        event = observing.file(str(watched / "taken.txt"))
        observing.settle(1.2)
    assert len(observing.files()) == 1
    assert event.file.hashes is not None
    assert event.actor.user is not None
    assert event.actor.user.uid == str(os.getuid())


@pytest.mark.root
@needs_root
@pytest.mark.parametrize("kind", ["exfat", "ntfs"])
def test_appending_to_an_old_file_is_not_called_a_new_file_for_certain_where_nothing_tells(
    kind: FileSystem,
) -> None:
    if missing_programs(kind) and os.environ.get("CI") != "true":
        pytest.skip(f"not installed: {missing_programs(kind)}")
    with open_folder() as folder, Drive(folder, kind) as made:
        old = Path(made.target) / "old"
        old.write_text("x")
        with Observing(collector_of(made.target)) as observing:
            with old.open("a") as again:
                again.write("more")
            first = observing.file(str(old))
            with old.open("a") as again:
                again.write("and more")
            observing.wait_for(lambda: len(observing.files()) == 2, 10, "second event")
            second = observing.files()[1]
    assert first.activity_id is FileActivity.CREATE
    assert first.unmapped.evidence.fidelity != "exact"
    assert first.unmapped.evidence.gap == NEWNESS_UNKNOWN
    assert first.file.size == 5
    # This one is known: it was reported.
    assert second.activity_id is FileActivity.UPDATE
    assert second.unmapped.evidence.gap is None


@pytest.mark.root
@needs_root
@pytest.mark.parametrize("step_ms", [-3_600_000, 3_600_000])
def test_a_step_of_the_wall_clock_holds_nothing_up(drive: Drive, step_ms: int) -> None:
    ahead = [0]
    config = RemovableStorageConfig(extra_mounts=(drive.target,), settle_s=0.4)
    collector = RemovableStorageCollector(
        config, HOST, "0.1.0", clock=lambda: time.time_ns() // 1_000_000 + ahead[0]
    )
    folder = Path(drive.target) / f"step{step_ms}"
    folder.mkdir()
    with Observing(collector) as observing:
        (folder / "before").write_text("x")
        observing.file(str(folder / "before"))
        (folder / "pending").write_text("x")
        ahead[0] = step_ms
        (folder / "after").write_text("x")
        observing.file(str(folder / "pending"))
        (folder / "after").unlink()
        observing.wait_for(
            lambda: ("delete", f"{folder}/after") in acts_of(observing.files()), 10, "deletion"
        )
        times = {str(event.file.name): event.time for event in observing.files()}
    assert abs(times["before"] - time.time() * 1000) < 60_000
    assert abs(times["after"] - time.time() * 1000 - step_ms) < 60_000


def test_a_link_in_a_folder_s_place_does_not_make_other_files_look_taken(tmp_path: Path) -> None:
    watched, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for folder in (watched, elsewhere / "deep"):
        folder.mkdir(parents=True)
    for path in (elsewhere / "salaries.csv", elsewhere / "deep" / "plans.dwg"):
        path.write_text("secret")
    with Observing(collector_of(str(watched))) as observing:
        for number in range(20):
            at = watched / f"d{number}"
            at.mkdir()
            at.rmdir()
            at.symlink_to(elsewhere)
        (watched / "last").write_text("x")
        observing.file(str(watched / "last"))
        # A new folder is looked at once more after a moment.
        observing.settle(2.5)
    names = {str(event.file.path).removeprefix(f"{watched}/") for event in observing.files()}
    assert names <= {"last", *(f"d{number}" for number in range(20))}


def test_a_folder_that_appears_later_is_watched_then(tmp_path: Path) -> None:
    with Observing(collector_of(str(tmp_path / "later"))) as observing:
        (tmp_path / "later").mkdir()
        observing.wait_for(lambda: "watchdog" in str(observing.collector.detail()), 10, "watch")
        (tmp_path / "later" / "a").write_text("x")
        assert observing.file(str(tmp_path / "later" / "a")).file.size == 1


def _wait_gone(observing: Observing, times: int) -> None:
    """A busy machine would mount it again before the collector has looked."""

    def gone() -> int:
        kinds = [device.activity_id for device in observing.devices()]
        return kinds.count(PeripheralActivityKind.DISCONNECT)

    observing.wait_for(lambda: gone() == times, 60, "disconnection")


def _wait_watched(observing: Observing, drive: Drive) -> None:
    observing.wait_for(lambda: drive.target in str(observing.collector.detail()), 5, "watch")
