"""The whole collector while the program behind a FUSE drive is stopped: no call to it comes back."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from collectors import drive_reading
from collectors.file_hashing import ABANDONED, NO_ANSWER
from collectors.removable_storage import RemovableStorageCollector, RemovableStorageConfig
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.drives import Drive, missing_programs, needs_root, open_folder
from tests.collectors.observing import Observing

pytestmark = [pytest.mark.root, needs_root, pytest.mark.long]


def test_a_drive_that_stops_answering_is_told_of_and_holds_up_neither_others_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drive_reading, "SILENT_AFTER_S", 1.0)
    monkeypatch.setattr(drive_reading, "ABANDON_AFTER_S", 2.0)
    if missing_programs("exfat") and os.environ.get("CI") != "true":
        pytest.skip(f"not installed: {missing_programs('exfat')}")
    with (
        open_folder() as folder,
        Drive(folder, "ext4") as drive,
        Drive(folder, "exfat", megabytes=256) as hanging,
    ):
        config = RemovableStorageConfig(
            extra_mounts=(hanging.target, drive.target), settle_s=0.4, hash_cpu_share=0.03
        )
        host = Host(hostname="laptop-1", type_id=HostType.LAPTOP)
        collector = RemovableStorageCollector(config, host, "0.1.0")
        (program,) = (int(each.name) for each in Path("/proc").glob("[0-9]*") if _runs(each, hanging.target))
        try:
            with Observing(collector) as observing:
                (Path(hanging.target) / "big").write_bytes(bytes(150 << 20))
                _wait_hashing()
                os.kill(program, signal.SIGSTOP)
                told = f"{hanging.target} does not answer"
                observing.wait_for(lambda: told in str(collector.detail()), 20, "word of the drive")
                (Path(drive.target) / "meanwhile").write_text("x")
                event = observing.file(f"{drive.target}/meanwhile")
                assert event.file.hashes is not None
                big = observing.file(f"{hanging.target}/big")
                assert NO_ANSWER in str(big.unmapped.evidence.gap)
                assert told in str(collector.detail())
                assert collector.dropped()[ABANDONED] == 1
                assert observing.stop() < 1.0 + 0.3
        finally:
            os.kill(program, signal.SIGCONT)
            limit = time.monotonic() + 20
            while any(thread.name == "file-hashing" for thread in threading.enumerate()):
                assert time.monotonic() < limit
                time.sleep(0.05)


def _runs(process: Path, target: str) -> bool:
    """Whether it is the program of this FUSE drive."""
    try:
        return target.encode() in (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _wait_hashing() -> None:
    """Until the hashing thread is at work: it has used 50 ms of a processor."""
    (thread,) = (each for each in threading.enumerate() if each.name == "file-hashing")
    spent = Path(f"/proc/self/task/{thread.native_id}/schedstat")
    limit = time.monotonic() + 20
    while int(spent.read_text().split()[0]) < 50_000_000:
        assert time.monotonic() < limit
        time.sleep(0.02)
