"""What is finished in a folder that an administrator named is told once, with its hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from collectors.contract import Collector
from collectors.export_folders import ExportFoldersCollector
from collectors.export_folders_config import ExportFoldersConfig
from event_schema.ocsf_events import FileActivity
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.collector_contract import CollectorContract
from tests.collectors.observing import Observing


def make(*folders: Path, **settings: object) -> ExportFoldersCollector:
    usual = {"enabled": True, "folders": tuple(map(str, folders)), "settle_s": 0.2}
    config = msgspec.convert(usual | settings, ExportFoldersConfig)
    return ExportFoldersCollector(config, Host(hostname="h", type_id=HostType.UNKNOWN), "0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "exports"
    path.mkdir()
    return path


class TestContract(CollectorContract):
    @pytest.fixture
    def collector(self, folder: Path) -> Iterator[Collector]:
        self.folder = folder
        collector = make(folder)
        yield collector
        collector.close()

    def act(self, number: int) -> None:
        (self.folder / f"orders{number}.csv").write_bytes(b"x" * 1000)


def test_a_finished_file_is_told_once_with_its_hash_and_owner(folder: Path, tmp_path: Path) -> None:
    with Observing(make(folder)) as observing:
        (folder / "orders.csv").write_bytes(b"x" * 1234)
        (folder / ".orders.csv.swp").write_bytes(b"x" * 1234)
        (folder / "sub").mkdir()
        part = folder / "sub" / "list.xlsx.part"
        part.write_bytes(b"y" * 999)
        part.rename(folder / "sub" / "list.xlsx")
        (tmp_path / "elsewhere.csv").write_bytes(b"z" * 999)
        (folder / "gone.csv").write_bytes(b"x" * 999)
        (folder / "gone.csv").unlink()
        observing.wait_for(lambda: len(observing.events) >= 2, 15, "both files")
        observing.settle(1.5)
        found = {event.file.path: event for event in observing.files()}
    assert {Path(path or "").name for path in found} == {"orders.csv", "list.xlsx"}
    event = found[str(folder / "orders.csv")]
    assert event.activity_id is FileActivity.CREATE
    assert (event.unmapped.origin, event.file.size) == ("file_server", 1234)
    assert event.file.hashes is not None
    assert event.file.hashes[0].value == hashlib.sha256(b"x" * 1234).hexdigest()
    assert event.actor.user is not None
    assert event.actor.user.uid == str(os.getuid())
    evidence = event.unmapped.evidence
    assert (evidence.fidelity, evidence.actor_from) == ("likely", "file_owner")
    assert evidence.gap == "who wrote it is not known, only whose it is"


def test_what_was_written_while_the_agent_was_away_is_told_when_it_resumes(folder: Path) -> None:
    collector = make(folder)
    (folder / "from before.csv").write_bytes(b"x" * 1000)
    with Observing(collector) as observing:
        (folder / "first.csv").write_bytes(b"x" * 1000)
        observing.wait_for(lambda: len(observing.events) == 1, 15, "the first")
        observing.settle(1)
    cursor = observing.observations[-1].cursor
    assert cursor is not None
    (folder / "meanwhile.csv").write_bytes(b"y" * 1000)
    with Observing(collector, cursor) as again:
        again.wait_for(lambda: len(again.events) == 1, 15, "the second")
        again.settle(1)
        assert [event.file.name for event in again.files()] == ["meanwhile.csv"]


def test_a_folder_that_comes_later_is_watched_from_then_on_and_a_missing_one_is_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.export_folders._LOOK_FOR_FOLDERS_S", 0.5)
    late = tmp_path / "late"
    collector = make(folder, late)
    with Observing(collector) as observing:
        assert collector.detail() == f"1 of 2 export folders are watched; not there: {late}"
        late.mkdir()
        observing.wait_for(lambda: "2 of 2" in (collector.detail() or ""), 10, "the folder")
        (late / "a.csv").write_bytes(b"x" * 1000)
        observing.wait_for(lambda: len(observing.events) == 1, 15, "its file")


def test_on_without_a_folder_is_refused_with_the_setting_that_is_missing() -> None:
    with pytest.raises(msgspec.ValidationError, match="folders: say where exports are written"):
        msgspec.convert({"enabled": True}, ExportFoldersConfig)
    with pytest.raises(msgspec.ValidationError, match="'srv' is not an absolute path"):
        msgspec.convert({"folders": ["srv"]}, ExportFoldersConfig)
