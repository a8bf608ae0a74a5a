"""The whole collector on a stick that is plugged in and pulled out: fake to udev, but really mounted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.collectors.drives import open_folder
from tests.collectors.linux.real_mounts import LoopMount, needs_root
from tests.fake_usb import needs_umockdev, under_umockdev

pytestmark = [pytest.mark.root, needs_root, needs_umockdev]

SERIAL = "4C530001230512115432"
WITH_SERIAL = {
    "uid": f"0781:5591:{SERIAL}",
    "serial_number": SERIAL,
    "vendor_name": "SanDisk",
    "model": "Ultra USB 3.0",
    "name": "SanDisk Ultra USB 3.0",
}
WITHOUT_SERIAL = {**WITH_SERIAL, "uid": "0781:5591:at:1-2", "serial_number": None}
CONNECT, DISCONNECT = 1, 2


@pytest.fixture
def medium() -> Iterator[LoopMount]:
    """What lies in the stick: a file system that is not mounted yet."""
    with open_folder() as folder, LoopMount(folder) as made:
        made.unmount()
        yield made


def seen(medium: LoopMount, *, serial: str, trusted: str = "", before: bool = False) -> list[dict[str, Any]]:
    """The events while the stick comes, is copied to, and goes."""
    command = under_umockdev("-m", "tests.collectors.linux.fake_devices", "collector", medium.target,
                             medium.device, serial, trusted, "before" if before else "")  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    found: list[dict[str, Any]] = msgspec.json.decode(done.stdout)
    return found


def told_of(device: dict[str, Any], like: dict[str, str | None]) -> dict[str, Any]:
    return {name: device.get(name) for name in like}


@pytest.mark.parametrize(
    ("serial", "expected"), [(SERIAL, WITH_SERIAL), ("", WITHOUT_SERIAL)], ids=["serial", "no serial"]
)
@pytest.mark.parametrize("before", [False, True], ids=["plugged in meanwhile", "plugged in before"])
def test_plug_in_copies_and_pull_out_bear_the_same_device(
    medium: LoopMount, serial: str, expected: dict[str, str | None], before: bool
) -> None:
    came, *copies, went = seen(medium, serial=serial, before=before)
    assert (came["activity_id"], went["activity_id"]) == (CONNECT, DISCONNECT)
    assert told_of(came["peripheral_device"], expected) == expected
    assert told_of(went["peripheral_device"], expected) == expected
    evidence = came["unmapped"]["evidence"]
    assert ("gap" in evidence, evidence["observed_by"]) == (before, "udev")
    assert [Path(copy["file"]["path"]).name for copy in copies] == ["list.csv", "plan.pdf"]
    for copy in copies:
        assert told_of(copy["unmapped"]["peripheral_device"], expected) == expected
        assert copy["file"]["volume"] == "KINGST"
        assert copy["file"]["hashes"]


@pytest.mark.parametrize(
    ("serial", "trusted"),
    [
        (SERIAL, SERIAL),
        (SERIAL, f"0781:5591:{SERIAL}"),
        ("", "0781:5591:at:1-2"),
        ("", "1234-ABCD"),
    ],
)
def test_of_a_trusted_stick_only_its_coming_and_going_are_told(
    medium: LoopMount, serial: str, trusted: str
) -> None:
    events = seen(medium, serial=serial, trusted=trusted)
    assert [event["activity_id"] for event in events] == [CONNECT, DISCONNECT]
    assert [event["class_uid"] for event in events] == [events[0]["class_uid"]] * 2
    assert Path(medium.target).is_dir()
