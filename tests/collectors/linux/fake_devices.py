"""What the tests of devices do in a process of their own, under umockdev-wrapper; prints JSON.

python -m tests.collectors.linux.fake_devices SCENE [ARGUMENT…]
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from collectors.linux.block_devices import BlockDevices
from collectors.linux.hotplug import DeviceChange, Hotplug
from collectors.linux.mounts import Mount, read_mounts
from collectors.removable_storage import RemovableStorageCollector, RemovableStorageConfig
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.observing import Observing
from tests.fake_usb import FakeUsbStick, Testbed, under_umockdev

MMC_SD = {"type": "SD", "name": "SD32G", "manfid": "0x000003", "oemid": "0x5344", "serial": "0x8f2a11c0"}


def mount_of(number: str, *, source: str = "none", fs_type: str = "ext4") -> Mount:
    major, minor = (int(part) for part in number.split(":"))
    return Mount(
        mount_id=90,
        parent_id=1,
        device=os.makedev(major, minor),
        root="/",
        target="/media/x",
        options=frozenset({"rw"}),
        fs_type=fs_type,
        source=source,
    )


def usb_stick() -> Any:
    testbed = Testbed()
    FakeUsbStick(testbed)
    devices = BlockDevices()
    return [devices.removable_identity(mount_of(number)) for number in ("8:17", "8:16", "8:99")]


def without_udevd() -> Any:
    FakeUsbStick(Testbed(), udev=False)
    return BlockDevices().removable_identity(mount_of("8:17"))


def without_serial() -> Any:
    testbed = Testbed()
    FakeUsbStick(testbed, serial=None)
    FakeUsbStick(
        testbed,
        serial="000000000000",
        fs_uuid=None,
        port="1-3",
        disk="sdc",
        number="8:33",
        disk_number="8:32",
    )
    devices = BlockDevices()
    return [devices.removable_identity(mount_of(number)) for number in ("8:17", "8:33")]


def mapped() -> Any:
    """LUKS on the stick's partition, LVM on that; beside it LUKS on a fixed disk."""
    testbed = Testbed()
    stick = FakeUsbStick(testbed, fs_uuid="luks-container")
    luks = testbed.mapping("dm-0", "254:100", stick.partition, DM_UUID="CRYPT-LUKS2-x")
    testbed.mapping("dm-1", "254:101", luks, ID_FS_UUID="inside", ID_FS_LABEL="SECRET")
    fixed = testbed.disk("sda", testbed.add("pci", "0000:00:17.0", None, {}), "8:0", ID_BUS="ata")
    testbed.mapping("dm-2", "254:102", testbed.partition("sda1", fixed, "8:1"))
    devices = BlockDevices()
    return [devices.removable_identity(mount_of(number)) for number in ("254:100", "254:101", "254:102")]


def buses() -> Any:
    """One of each kind, by name."""
    testbed = Testbed()
    mmc_host = testbed.add("mmc_host", "mmc0", None, {})
    card = testbed.add("mmc", "mmc0:0001", mmc_host, MMC_SD)
    emmc = testbed.add("mmc", "mmc1:0001", None, {**MMC_SD, "type": "MMC", "name": "BGSD4R"})
    outer = testbed.add("pci", "0000:05:00.0", None, {"removable": "removable"})
    inner = testbed.add("pci", "0000:01:00.0", None, {"removable": "fixed"})
    numbers = {"sd_card": "179:0", "emmc": "179:8", "thunderbolt": "259:100", "nvme": "259:101",
               "firewire": "8:64", "memstick": "8:80", "esata": "8:96", "flash": "8:112"}  # fmt: skip
    testbed.disk("mmcblk0", card, numbers["sd_card"])
    testbed.disk("mmcblk1", emmc, numbers["emmc"])
    testbed.disk("nvme1n1", outer, numbers["thunderbolt"], ID_MODEL="Samsung_SSD", ID_SERIAL_SHORT="S4EV")
    testbed.disk("nvme0n1", inner, numbers["nvme"], ID_MODEL="Samsung_SSD", ID_SERIAL_SHORT="S4EW")
    testbed.disk("sde", testbed.add("firewire", "fw1.0", None, {}), numbers["firewire"])
    testbed.disk("mspblk0", testbed.add("memstick", "memstick0", None, {}), numbers["memstick"])
    testbed.disk("sdg", inner, numbers["esata"], removable="1", ID_BUS="ata")
    testbed.disk("sdh", inner, numbers["flash"], ID_DRIVE_FLASH_SD="1")
    devices = BlockDevices()
    found = {name: devices.removable_identity(mount_of(number)) for name, number in numbers.items()}
    return {
        name: None if each is None else (each.bus, each.why_removable, each.uid)
        for name, each in found.items()
    }


def system_disk() -> Any:
    """The system runs from a USB disk: the fake disk takes the number of the real root file system."""
    root = os.lstat("/").st_dev
    testbed = Testbed()
    FakeUsbStick(testbed, number=f"{os.major(root)}:{os.minor(root)}")
    FakeUsbStick(testbed, port="1-4", disk="sdd", number="8:49", disk_number="8:48")
    devices = BlockDevices()
    on_system = mount_of(f"{os.major(root)}:{os.minor(root)}")
    return [devices.removable_identity(on_system), devices.removable_identity(mount_of("8:49"))]


def container_file(folder: str, loop: str) -> Any:
    """A loop device whose file lies on the stick, and one whose file lies elsewhere."""
    testbed = Testbed()
    number = os.lstat(folder).st_dev
    FakeUsbStick(testbed, number=f"{os.major(number)}:{os.minor(number)}")
    answers = []
    for name, file in (
        ("loop90", f"{folder}/container"),
        ("loop91", "/etc/passwd"),
        ("loop92", f"{folder}/gone"),
    ):
        path = testbed.disk(name, None, f"7:{name[4:]}")
        os.mkdir(f"{testbed.root}{path}/loop")  # noqa: PTH102 - one line
        testbed.set_attribute(path, "loop/backing_file", file + "\n")
        answers.append(BlockDevices().removable_identity(mount_of(f"7:{name[4:]}")))
    return [answers, loop]


def fuse(loop: str) -> Any:
    """FUSE and btrfs show made-up device numbers; their source is the device."""
    number = os.stat(loop).st_rdev  # noqa: PTH116 - a device node
    FakeUsbStick(Testbed(), number=f"{os.major(number)}:{os.minor(number)}")
    devices = BlockDevices()
    sources = (loop, "/no/such/device", "sshfs#host:", "/etc/passwd")
    return [
        devices.removable_identity(mount_of("0:55", source=source, fs_type="fuse.exfat"))
        for source in sources
    ]


def real_mount_in_another_process(target: str, number: str) -> Any:
    """What a second process, like the agent, makes of a real mount whose device is the fake stick."""
    FakeUsbStick(Testbed(), number=number)
    command = under_umockdev("-m", "tests.collectors.linux.fake_devices", "as_agent", target)
    return msgspec.json.decode(subprocess.run(command[1:], check=True, capture_output=True).stdout)


def as_agent(target: str) -> Any:
    devices = BlockDevices()
    return [devices.removable_identity(mount) for mount in read_mounts() if mount.target == target]


def hotplug(source: str) -> Any:
    testbed = Testbed()
    FakeUsbStick(testbed, port="1-7", disk="sdz", number="65:1", disk_number="65:0", serial="BEFORE")
    listening = Hotplug(source="udev" if source == "udev" else "kernel")
    present = listening.present()
    stick = FakeUsbStick(testbed)
    testbed.disk("sdk", testbed.add("pci", "0000:00:17.0", None, {}), "8:160")
    testbed.mapping("dm-0", "254:100", stick.partition)
    plugged = _changes(listening)
    stick.unplug()
    pulled = _changes(listening)
    after = listening.present()
    listening.close()
    listening.close()
    return {
        "present": present,
        "plugged": plugged,
        "pulled": pulled,
        "after": after,
        "closed": listening.changes(),
    }


def collector(target: str, device: str, serial: str, trusted: str, before: str) -> Any:
    """The whole collector while the stick is plugged in, mounted, copied to, unmounted and pulled out."""
    testbed = Testbed()
    number = os.stat(device).st_rdev  # noqa: PTH116 - a device node
    plug = partial(
        FakeUsbStick, testbed, number=f"{os.major(number)}:{os.minor(number)}", serial=serial or None
    )
    stick = plug() if before else None
    host = Host(hostname="laptop-1", type_id=HostType.LAPTOP)
    config = RemovableStorageConfig(trusted_devices=(trusted,) if trusted else (), settle_s=0.3)
    channel = RemovableStorageCollector(config, host, "0")
    # The programs that mount see the real /dev and /sys.
    real = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    with Observing(channel) as observing:
        stick = stick or plug()
        observing.wait_for(lambda: len(observing.devices()) == 1, 20, "the device in")
        subprocess.run(["mount", device, target], check=True, env=real)
        if trusted:
            Path(target, "private").write_text("x")
            observing.settle(2.0)
        else:
            observing.wait_for(lambda: target in str(channel.detail()), 20, "watch")
            for name in ("list.csv", "plan.pdf"):
                Path(target, name).write_text("x")
                observing.file(f"{target}/{name}")
        subprocess.run(["umount", target], check=True, env=real)
        stick.unplug()
        observing.wait_for(lambda: len(observing.devices()) == 2, 20, "the device out")
        observing.settle(1.0)
    return observing.events


def card_reader() -> Any:
    """A USB card reader: the disk stays, cards come and go."""
    testbed = Testbed()
    stick = FakeUsbStick(testbed)
    testbed.set_attribute(stick.disk, "size", "0\n")
    listening = Hotplug(source="udev")
    empty = listening.present()
    testbed.set_attribute(stick.disk, "size", "1000\n")
    testbed.uevent(stick.disk, "change")
    testbed.uevent(stick.disk, "change")
    inserted = _changes(listening)
    testbed.set_attribute(stick.disk, "size", "0\n")
    testbed.uevent(stick.disk, "change")
    return {"empty": empty, "inserted": inserted, "taken": _changes(listening)}


def _changes(listening: Hotplug) -> list[DeviceChange]:
    """All changes until none came for a while."""
    found: list[DeviceChange] = []
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 0.4:
        more = listening.changes()
        found += more
        if more:
            quiet_since = time.monotonic()
        time.sleep(0.02)
    return found


SCENES: dict[str, Callable[..., Any]] = {
    scene.__name__: scene
    for scene in (
        usb_stick, without_udevd, without_serial, mapped, buses, system_disk, container_file, fuse,
        real_mount_in_another_process, as_agent, hotplug, collector, card_reader,
    )
}  # fmt: skip

if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(SCENES[sys.argv[1]](*sys.argv[2:])))
