"""Killed at any moment and started again, the collector reports every file, and as good as none twice."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.removable_storage import RemovableStorageCollector, RemovableStorageConfig
from event_schema.ocsf_events import FileActivity
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.drives import Drive, needs_root, open_folder
from tests.collectors.observing import Observing

pytestmark = [pytest.mark.root, needs_root]
REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture
def drive() -> Iterator[Drive]:
    with open_folder() as folder, Drive(folder, "ext4", megabytes=64) as made:
        yield made


class Program:
    """The observing process. Only whole lines count, as only what was synced to disk counts in the agent."""

    def __init__(self, cursor: str | None, target: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.cursor = cursor
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.collectors.observe_program", cursor or "-", target],
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._ready.wait(20)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def files(self) -> list[str]:
        return [event["file"]["path"] for event in self.events if event["class_uid"] == 1001]

    def devices(self) -> list[int]:
        return [event["activity_id"] for event in self.events if event["class_uid"] == 1010]

    def wait_for(self, count: int) -> None:
        self.wait_until(lambda: len(self.files()) >= count)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        limit = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < limit, self.files()
            time.sleep(0.02)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            if not line.endswith(b"\n"):
                return
            said = json.loads(line)
            if said == "ready":
                self._ready.set()
                continue
            self.cursor, event = said[0] or self.cursor, said[1]
            self.events.append(event)


@pytest.mark.quiet
def test_no_file_is_lost_to_kills_while_files_are_copied(drive: Drive) -> None:
    target = Path(drive.target)
    expected: list[str] = []
    stop = threading.Event()

    def copy() -> None:
        number = 0
        while not stop.wait(0.005):
            path = target / f"file-{number}"
            path.write_bytes(b"x" * number)
            expected.append(str(path))
            number += 1

    seen: Counter[str] = Counter()
    cursor: str | None = None
    copier = threading.Thread(target=copy)
    for life in range(4):
        program = Program(cursor, drive.target)
        if life == 0:
            copier.start()
        if life == 3:
            stop.set()
            copier.join()
            program.wait_until(lambda: set(expected) <= {*seen, *program.files()})  # noqa: B023 - at once
            # What would be told twice comes soon after.
            time.sleep(1.5)
        else:
            program.wait_for(20)
            time.sleep(0.13 * life)
        program.kill()
        cursor = program.cursor
        seen.update(program.files())
    assert set(expected) == set(seen)
    assert sum(count - 1 for count in seen.values()) <= len(expected) // 50


def test_what_was_found_and_not_told_yet_is_found_again_by_the_next_one(drive: Drive) -> None:
    def observing(cursor: str | None, settle_s: float) -> Observing:
        config = RemovableStorageConfig(extra_mounts=(drive.target,), settle_s=settle_s)
        host = Host(hostname="laptop-1", type_id=HostType.LAPTOP)
        return Observing(RemovableStorageCollector(config, host, "0"), cursor)

    target = Path(drive.target)
    with observing(None, 0.2) as first:
        (target / "known").write_text("x")
        first.file(f"{target}/known")
    # More than a cursor lists by name.
    missed = [target / f"missed-{number}" for number in range(200)]
    for each in missed:
        each.write_text("x")
    time.sleep(0.3)
    for each in missed:
        # What changed last of a file is not what makes it one of theirs.
        each.chmod(0o600)
    with observing(first.observations[-1].cursor, 30) as second:
        time.sleep(1)
        (target / "known").unlink()
        second.wait_for(lambda: bool(second.files()), 20, "the deletion")
        assert [event.activity_id for event in second.files()] == [FileActivity.DELETE]
        cursor = second.observations[-1].cursor
    with observing(cursor, 0.2) as third:
        third.wait_for(lambda: len(third.files()) >= len(missed), 20, "all that the second one had found")
        assert {event.file.path for event in third.files()} == set(map(str, missed))


def test_what_happened_while_it_was_dead_is_told_once_and_what_was_known_is_not(drive: Drive) -> None:
    target = Path(drive.target)
    first = Program(None, drive.target)
    (target / "known").write_text("x")
    first.wait_for(1)
    assert first.devices() == [1]
    with (target / "open").open("wb") as half:
        half.write(b"1")
        half.flush()
        time.sleep(0.3)
        (target / "known-too").write_text("x")
        first.wait_for(2)
        first.kill()
    (target / "known").chmod(0o600)
    (target / "missed").write_text("x")
    second = Program(first.cursor, drive.target)
    second.wait_for(2)
    time.sleep(2)
    second.kill()
    assert sorted(second.files()) == [f"{target}/missed", f"{target}/open"]
    assert second.devices() == []
    for event in second.events:
        assert event["unmapped"]["evidence"]["observed_by"] == "rescan"
        assert event["unmapped"]["evidence"]["fidelity"] != "exact"


def test_a_drive_that_was_away_meanwhile_is_not_looked_through(drive: Drive) -> None:
    target = Path(drive.target)
    first = Program(None, drive.target)
    (target / "known").write_text("x")
    first.wait_for(1)
    first.kill()
    assert first.cursor is not None
    drive.unplug()
    drive.plug()
    (target / "from-elsewhere").write_text("x")
    second = Program(first.cursor, drive.target)
    for number in range(2):
        # By the second one, all that a look through the drive had found would have come to rest as well.
        (target / f"new-{number}").write_text("x")
        second.wait_for(number + 1)
    second.kill()
    assert second.files() == [f"{target}/new-0", f"{target}/new-1"]
