"""What counts as removable storage, and its identity, on fake device trees (umockdev) and real mounts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collectors.linux.block_devices import BlockDevices, StorageIdentity, to_peripheral_device
from collectors.linux.mounts import read_mounts
from event_schema.ocsf_objects import PeripheralType
from tests.collectors.linux.real_mounts import LoopMount, needs_root
from tests.fake_usb import needs_umockdev, under_umockdev

UID = "0781:5591:4C530001230512115432"


def scene(name: str, *arguments: str) -> Any:
    """What the scene printed."""
    command = under_umockdev("-m", "tests.collectors.linux.fake_devices", name, *arguments)
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout)


def identity(printed: Any) -> StorageIdentity:
    return msgspec.convert(printed, StorageIdentity)


@pytest.fixture
def loop_mount(tmp_path: Path) -> Iterator[LoopMount]:
    with LoopMount(tmp_path) as mount:
        yield mount


@needs_umockdev
def test_usb_stick_is_known_by_vendor_product_and_serial_and_its_volume_by_uuid_and_label() -> None:
    partition, whole_disk, unknown = scene("usb_stick")
    assert identity(partition) == StorageIdentity(
        name="SanDisk Ultra USB 3.0",
        uid=UID,
        serial="4C530001230512115432",
        vendor="SanDisk",
        model="Ultra USB 3.0",
        bus="usb",
        devnode="/dev/sdb1",
        fs_uuid="1234-ABCD",
        label="KINGST",
        why_removable="on the USB bus",
    )
    assert identity(whole_disk).uid == UID
    assert identity(whole_disk).devnode == "/dev/sdb"
    assert unknown is None


@needs_umockdev
def test_usb_stick_is_still_known_when_no_udevd_identified_it() -> None:
    found = identity(scene("without_udevd"))
    assert (found.uid, found.name, found.fs_uuid) == (UID, "SanDisk Ultra USB 3.0", None)


@needs_umockdev
def test_stick_without_serial_is_known_by_its_port_never_by_its_node_or_what_lies_on_it() -> None:
    no_serial, filler_serial = (identity(each) for each in scene("without_serial"))
    assert (no_serial.uid, no_serial.serial) == ("0781:5591:at:1-2", None)
    assert (filler_serial.uid, filler_serial.serial) == ("0781:5591:at:1-3", None)


@needs_umockdev
def test_luks_and_lvm_on_a_stick_are_the_stick_and_on_a_fixed_disk_are_not() -> None:
    luks, lvm_on_luks, on_fixed_disk = scene("mapped")
    assert identity(luks).uid == UID
    inside = identity(lvm_on_luks)
    assert (inside.uid, inside.fs_uuid, inside.label) == (UID, "inside", "SECRET")
    assert on_fixed_disk is None


@needs_umockdev
def test_memory_cards_and_hot_plug_ports_are_removable_and_soldered_or_inner_disks_are_not() -> None:
    found = scene("buses")
    assert found.pop("emmc") is None
    assert found.pop("nvme") is None
    assert {name: (bus, why) for name, (bus, why, _) in found.items()} == {
        "sd_card": ("mmc", "a memory card"),
        "thunderbolt": ("pci", "on a hot-plug port"),
        "firewire": ("ieee1394", "on the hot-plug bus ieee1394"),
        "memstick": ("memstick", "on the hot-plug bus memstick"),
        "esata": ("ata", "the kernel calls its medium removable"),
        "flash": ("mmc", "a memory card"),
    }
    assert found["sd_card"][2] == "0x000003:0x5344:0x8f2a11c0"
    assert found["thunderbolt"][2] == "pci:Samsung SSD:S4EV"


@needs_umockdev
def test_disk_that_the_system_runs_from_is_not_removable_even_on_usb() -> None:
    system, other = scene("system_disk")
    assert system is None
    assert identity(other).uid == UID


@needs_umockdev
@needs_root
@pytest.mark.root
def test_container_file_on_a_stick_is_the_stick(loop_mount: LoopMount) -> None:
    Path(loop_mount.target, "container").write_bytes(b"")
    (on_stick, elsewhere, vanished), _ = scene("container_file", loop_mount.target, loop_mount.device)
    assert identity(on_stick).uid == UID
    assert elsewhere is None
    assert vanished is None


@needs_umockdev
@needs_root
@pytest.mark.root
def test_fuse_mount_is_resolved_by_its_source_and_other_sources_are_not_devices(
    loop_mount: LoopMount,
) -> None:
    by_source, *others = scene("fuse", loop_mount.device)
    assert identity(by_source).uid == UID
    assert others == [None, None, None]


@needs_umockdev
@needs_root
@pytest.mark.root
def test_real_mount_is_resolved_to_the_stick_by_another_process(loop_mount: LoopMount) -> None:
    number = os.stat(loop_mount.device).st_rdev  # noqa: PTH116 - a device node
    (found,) = scene(
        "real_mount_in_another_process", loop_mount.target, f"{os.major(number)}:{os.minor(number)}"
    )
    assert identity(found).uid == UID


@needs_root
@pytest.mark.root
def test_plain_loop_device_and_virtual_file_systems_are_not_removable(loop_mount: LoopMount) -> None:
    devices = BlockDevices()
    targets = {"/", "/proc", "/sys", "/dev", loop_mount.target}
    mounts = [mount for mount in read_mounts() if mount.target in targets]
    assert {mount.target for mount in mounts} >= {"/", "/proc", loop_mount.target}
    assert [devices.removable_identity(mount) for mount in mounts] == [None] * len(mounts)


@needs_umockdev
@pytest.mark.parametrize("source", ["udev", "kernel"])
def test_hotplug_tells_of_whole_removable_disks_and_still_knows_what_was_pulled_out(source: str) -> None:
    seen = scene("hotplug", source)
    assert [each["uid"] for each in seen["present"]] == ["0781:5591:BEFORE"]
    (plugged,) = seen["plugged"]
    (pulled,) = seen["pulled"]
    assert (plugged["action"], plugged["devnode"], plugged["identity"]["uid"]) == ("add", "/dev/sdb", UID)
    assert (pulled["action"], pulled["identity"]) == ("remove", plugged["identity"])
    assert seen["after"] == seen["present"]
    assert seen["closed"] == []


@needs_umockdev
def test_card_reader_tells_of_cards_not_of_its_empty_slot() -> None:
    seen = scene("card_reader")
    assert seen["empty"] == []
    assert [change["action"] for change in seen["inserted"]] == ["add"]
    assert [change["action"] for change in seen["taken"]] == ["remove"]


def test_device_becomes_the_schema_s_peripheral_device() -> None:
    found = StorageIdentity(
        "SanDisk Ultra", UID, "4C53", "SanDisk", "Ultra", "usb", "/dev/sdb1", None, None, "usb"
    )
    event = to_peripheral_device(found)
    assert (event.name, event.uid, event.serial_number) == ("SanDisk Ultra", UID, "4C53")
    assert (event.vendor_name, event.model) == ("SanDisk", "Ultra")
    assert event.type_id is PeripheralType.EXTERNAL_STORAGE
