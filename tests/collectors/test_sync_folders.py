"""Files in the folders that a cloud drive's client carries away, once the client runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from watchdog.observers.api import BaseObserver

from collectors.contract import Collector
from collectors.labels import LabelSettings
from collectors.sync_folders import SyncFoldersCollector
from collectors.sync_folders_config import SyncFoldersConfig
from event_schema.ocsf_objects import Host, HostType
from event_schema.ocsf_transfer_events import FileHostingActivity
from tests.collectors.collector_contract import CollectorContract
from tests.collectors.observing import Observing


def make(homes: Path, labels: LabelSettings | None = None, **settings: object) -> SyncFoldersCollector:
    config = msgspec.convert({"homes": (str(homes),), "settle_s": 0.2} | settings, SyncFoldersConfig)
    host = Host(hostname="h", type_id=HostType.UNKNOWN)
    return SyncFoldersCollector(config, host, "0", label_settings=labels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "home" / "jo" / "Nutstore Files"
    path.mkdir(parents=True)
    (path.parent / "Documents").mkdir()
    return path


@pytest.fixture
def client(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program with the client's name."""
    path = tmp_path / "nutstore"
    shutil.copy("/usr/bin/sleep", path)
    process = subprocess.Popen([path, "600"])
    yield process
    process.kill()
    process.wait()


def uploads(observing: Observing) -> list[FileHostingActivity]:
    return [event for event in observing.events if isinstance(event, FileHostingActivity)]


class TestContract(CollectorContract):
    @pytest.fixture
    def collector(self, folder: Path, client: subprocess.Popen[bytes]) -> Iterator[Collector]:
        del client
        self.folder = folder
        collector = make(folder.parents[1])
        yield collector
        collector.close()

    def act(self, number: int) -> None:
        (self.folder / f"plan{number}.pdf").write_bytes(b"x" * 1000)


def test_a_finished_file_is_told_once_with_its_drive_and_owner(
    folder: Path, client: subprocess.Popen[bytes]
) -> None:
    with Observing(make(folder.parents[1])) as observing:
        (folder / "plan.pdf").write_bytes(b"x" * 1234)
        (folder.parent / "Documents" / "other.pdf").write_bytes(b"x")
        (folder / "sub").mkdir()
        moved = folder.parent / "Documents" / "moved.doc"
        moved.write_bytes(b"y" * 99)
        observing.settle(1)
        moved.rename(folder / "sub" / "moved.doc")
        os.mkfifo(folder / "fifo")
        (folder / "link").symlink_to("plan.pdf")
        observing.wait_for(lambda: len(observing.events) >= 2, 15, "both files")
        observing.settle(1)
        found = {event.file.name: event for event in uploads(observing)}
    assert found.keys() == {"plan.pdf", "moved.doc"}
    event = found["plan.pdf"]
    assert (event.file.size, event.file.path) == (1234, str(folder / "plan.pdf"))
    assert event.unmapped.transfer.application == "Nutstore"
    assert event.unmapped.transfer.category == "cloud_drive"
    assert event.unmapped.evidence.fidelity == "likely"
    assert event.actor.user is not None
    assert event.actor.user.uid == str(os.getuid())
    assert event.dst_endpoint is not None
    assert event.dst_endpoint.svc_name == "Nutstore"
    hashes = {name: [each.value for each in event.file.hashes or ()] for name, event in found.items()}
    assert hashes["plan.pdf"] == [hashlib.sha256(b"x" * 1234).hexdigest()]
    assert hashes["moved.doc"] == [hashlib.sha256(b"y" * 99).hexdigest()]


def test_a_synchronised_file_carries_its_labels(folder: Path, client: subprocess.Popen[bytes]) -> None:
    with Observing(make(folder.parents[1], labels=LabelSettings(cpu_share=1.0))) as observing:
        (folder / "list.txt").write_text("身份证 11010519491231002X\n" * 20)
        observing.wait_for(lambda: len(observing.events) == 1, 20, "upload")
        (event,) = uploads(observing)
    (found,) = event.file.data_classifications or ()
    assert [(each.type, each.count) for each in found.discovery_details] == [("resident_id", 1)]
    assert event.file.mime_type == "text/plain"


def test_what_appears_while_no_client_runs_is_told_when_it_starts(folder: Path, tmp_path: Path) -> None:
    collector = make(folder.parents[1])
    with Observing(collector) as observing:
        (folder / "plan.pdf").write_bytes(b"x" * 1234)
        observing.settle(3)
        assert observing.events == []
        assert "1 files wait" in (collector.detail() or "")
        path = tmp_path / "nutstore"
        shutil.copy("/usr/bin/sleep", path)
        process = subprocess.Popen([path, "600"])
        try:
            observing.wait_for(lambda: len(observing.events) == 1, 20, "upload")
        finally:
            process.kill()
            process.wait()


def test_folders_of_no_drive_and_links_to_elsewhere_are_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home" / "jo"
    home.mkdir(parents=True)
    (home / "Dropbox").symlink_to("/etc")
    (home / "Pictures").mkdir()
    collector = make(tmp_path / "home")
    with Observing(collector) as observing:
        observing.settle(0.5)
        assert collector.detail() == "no sync folder of a known cloud drive is here"


def test_more_folders_can_be_named_for_a_drive_of_the_catalogue_only(tmp_path: Path) -> None:
    with pytest.raises(msgspec.ValidationError, match="no cloud drive of the catalogue"):
        make(tmp_path, extra={"curl": ("/data",)})
    with pytest.raises(msgspec.ValidationError, match="not an absolute path"):
        make(tmp_path, extra={"dropbox": ("data",)})
    collector = make(tmp_path / "nowhere", extra={"dropbox": (str(tmp_path),)})
    with Observing(collector) as observing:
        observing.settle(0.5)
        said = "sync folders: Dropbox; no client of theirs runs: nothing is told until one does"
        observing.wait_for(lambda: collector.detail() == said, 10, "look for clients")


def test_where_no_more_threads_can_be_had_one_folder_is_watched_and_the_other_counted(
    folder: Path, client: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = folder.parents[1] / "li" / folder.name
    others.mkdir(parents=True)
    started: list[BaseObserver] = []
    start = BaseObserver.start

    def only_one(observer: BaseObserver) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(observer)
        start(observer)

    monkeypatch.setattr(BaseObserver, "start", only_one)
    with Observing(make(folder.parents[1])) as observing:
        for each in (folder, others):
            (each / "plan.pdf").write_bytes(b"x" * 1234)
        observing.wait_for(lambda: bool(uploads(observing)), 20, "the file")
        assert observing.collector.dropped()["folders_that_cannot_be_watched"] >= 1
    assert len(uploads(observing)) == 1
    assert client.poll() is None
