"""How far back a watched place has to be looked at again, while looks go on and changes are lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.file_changes import Change, ChangeKind
from collectors.linux.process_identity import Who
from collectors.steady_clock import SteadyClock
from collectors.storage_config import RemovableStorageConfig
from collectors.storage_events import Volume
from collectors.watched_place import WatchedPlace
from event_schema.ocsf_objects import PeripheralDevice, PeripheralType

VOLUME = Volume(PeripheralDevice(name="stick", type_id=PeripheralType.EXTERNAL_STORAGE, uid="1"), None)


def _nobody(_change: object, _look: object) -> Who:
    return Who(None, None, None, 0, None, "unknown")


def test_changes_that_are_lost_during_a_look_do_not_end_its_hold_on_earlier_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SteadyClock(lambda: 10_000_000, lambda: 5_000_000)
    place = WatchedPlace(
        str(tmp_path), VOLUME, RemovableStorageConfig(), whole_file_system=False, clock=clock
    )
    try:
        place.rescan(1_000_000)
        lost = [[], [Change(ChangeKind.LOST, "", 5_000_100)]]
        monkeypatch.setattr(place.watcher, "read", lambda _now: lost.pop() if lost else [])
        place.step(5_000_100, _nobody)
        assert place.oldest_ms() == 1_000_000
        for moment in range(5_000_200, 5_010_000, 200):
            place.step(moment, _nobody)
        assert (place.rescans, place.oldest_ms()) == (2, 5_009_800)
    finally:
        place.close()
