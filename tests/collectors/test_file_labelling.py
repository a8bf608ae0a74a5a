"""Labels of real files on their way into the events of removable storage."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.file_changes import facts_of
from collectors.file_labelling import CHANGED, GONE, FileLabelling, LabelJob, LabelResult
from collectors.labels import LabelSettings
from collectors.linux.beneath import Root
from collectors.removable_storage import RemovableStorageCollector, RemovableStorageConfig
from event_schema.codec import decode_event, encode_event
from event_schema.ocsf_labels import ClassificationStatus, DataCategory
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.observing import Observing

HOST = Host(hostname="laptop-1", type_id=HostType.LAPTOP)
SETTINGS = LabelSettings(cpu_share=1.0, keyword_lists={"projects": ("凤凰计划",)})
TEXT = "凤凰计划\n身份证 11010519491231002X\n"


@pytest.fixture
def labelling() -> Iterator[FileLabelling]:
    made = FileLabelling(SETTINGS)
    yield made
    made.close()
    made.close()


def job_of(path: Path) -> LabelJob:
    return LabelJob(Root(str(path.parent)), str(path), facts_of(path.lstat()))


def result_of(labelling: FileLabelling, seconds: float = 30) -> LabelResult:
    limit = time.monotonic() + seconds
    while True:
        for job in labelling.done():
            assert job.result is not None
            return job.result
        assert time.monotonic() < limit
        time.sleep(0.01)


def collector_of(
    folder: Path, settings: LabelSettings | None, *, labels: bool = True
) -> RemovableStorageCollector:
    config = RemovableStorageConfig(extra_mounts=(str(folder),), settle_s=0.4, labels=labels)
    return RemovableStorageCollector(config, HOST, "0.1.0", label_settings=settings)


def test_the_event_says_what_the_file_holds_and_nothing_of_it(tmp_path: Path) -> None:
    with Observing(collector_of(tmp_path, SETTINGS)) as observing:
        (tmp_path / "list.txt").write_text(TEXT)
        event = observing.file(str(tmp_path / "list.txt"))
    assert event.file.mime_type == "text/plain"
    assert event.file.is_encrypted is False
    found = event.file.data_classifications
    assert found is not None
    assert [(each.category_id, each.classifier_details.type) for each in found] == [
        (DataCategory.PERSONAL, "leaver"),
        (DataCategory.BUSINESS, "company_lists"),
    ]
    assert [(each.type, each.count) for each in found[0].discovery_details] == [("resident_id", 1)]
    assert [(each.type, each.count) for each in found[1].discovery_details] == [("projects", 1)]
    assert event.metadata.profiles is not None
    assert "data_classification" in event.metadata.profiles
    assert event.file.hashes is not None
    encoded = encode_event(event)
    assert decode_event(encoded) == event
    assert b"11010519491231002X" not in encoded
    assert "凤凰".encode() not in encoded


def test_a_file_that_cannot_be_read_through_says_so_in_its_evidence(tmp_path: Path) -> None:
    with Observing(collector_of(tmp_path, SETTINGS)) as observing:
        (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04" + os.urandom(2_000))
        event = observing.file(str(tmp_path / "broken.zip"))
    assert event.unmapped.evidence.gap is not None
    assert "labels: broken zip" in event.unmapped.evidence.gap
    assert event.file.data_classifications is not None
    assert event.file.data_classifications[0].status_id is ClassificationStatus.FAIL
    assert "labels: broken zip" in observing.collector.dropped()


def test_without_labels_nothing_is_labelled(tmp_path: Path) -> None:
    with Observing(collector_of(tmp_path, SETTINGS, labels=False)) as observing:
        (tmp_path / "list.txt").write_text(TEXT)
        event = observing.file(str(tmp_path / "list.txt"))
    assert event.file.data_classifications is None
    assert event.file.mime_type is None


def test_a_file_renamed_while_it_waits_is_read_under_its_new_name(
    labelling: FileLabelling, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_text(TEXT)
    job = job_of(path)
    path.rename(tmp_path / "b")
    job.path = str(tmp_path / "b")
    labelling.submit(job)
    result = result_of(labelling)
    assert result.labels is not None
    assert result.labels.counts == {"resident_id": 1}


def test_what_is_gone_or_no_file_any_more_is_counted(labelling: FileLabelling, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text(TEXT)
    job = job_of(path)
    path.unlink()
    os.mkfifo(path)
    labelling.submit(job)
    assert result_of(labelling) == LabelResult(gap=GONE)
    assert labelling.dropped() == {GONE: 1}


def test_a_file_that_changes_while_it_is_read_is_given_up(labelling: FileLabelling, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text(TEXT * 300_000)
    labelling.submit(job_of(path))
    limit = time.monotonic() + 20
    result = None
    while result is None and time.monotonic() < limit:
        with path.open("a") as file:
            file.write("more\n")
        time.sleep(0.02)
        result = next((job.result for job in labelling.done()), None)
    assert result == LabelResult(gap=CHANGED)


def test_a_drive_full_of_traps_costs_neither_events_nor_memory(tmp_path: Path) -> None:
    """FIFOs and loops are no files; what is one is told of under any name, however large it says it is."""
    before = resident_bytes()
    with Observing(collector_of(tmp_path, SETTINGS)) as observing:
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        (tmp_path / "round").mkdir()
        (tmp_path / "round" / "again").symlink_to(tmp_path / "round")
        with (tmp_path / "sparse").open("wb") as file:
            file.write(TEXT.encode() * 100)
            file.truncate(10 << 30)
        odd = os.fsencode(tmp_path) + b"/li\nst\xff\x1b[31m.txt"
        Path(os.fsdecode(odd)).write_text(TEXT)
        with zipfile.ZipFile(tmp_path / "names.zip", "w") as archive:
            for name in ("../../up", "/etc/passwd", "a\nb\x1b[31m", "x" * 60_000):
                archive.writestr(name, TEXT)
        observing.wait_for(lambda: len(observing.files()) >= 6, 60, "all of them")
        observing.settle(1)
    found = {event.file.name: event for event in observing.files()}
    odd_name = "li\\nst\\xff\\x1b[31m.txt"
    assert sorted(found) == ["again", "fifo", odd_name, "loop", "names.zip", "sparse"]
    for name in ("again", "fifo", "loop"):
        assert (found[name].file.hashes, found[name].file.data_classifications) == (None, None)
    for name in ("names.zip", odd_name):
        labels = found[name].file.data_classifications
        assert labels is not None
        assert [(each.type, each.count) for each in labels[0].discovery_details] == [("resident_id", 1)]
    assert found["sparse"].file.size == 10 << 30
    assert resident_bytes() - before < 48 << 20


def resident_bytes() -> int:
    """Of this process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) << 10


def test_the_file_is_not_kept_open_while_it_is_labelled(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text(TEXT * 100_000)
    labelling = FileLabelling(LabelSettings(cpu_share=0.5))
    labelling.submit(job_of(path))
    held = looks = 0
    while not labelling.done():
        looks += 1
        for fd in Path("/proc/self/fd").iterdir():
            try:
                held += fd.readlink() == path
            except OSError:
                continue
        time.sleep(0.001)
    labelling.close()
    assert looks > 20
    assert held < looks / 4
