"""Storage devices that udev and sysfs show but nobody plugged in, by umockdev (Debian package umockdev).

A process, and those it starts, see them when it runs under `umockdev-wrapper`. A fake partition may take
the device number of a real loop device: a real mount of that loop device then lies on the fake stick.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path

import pytest

_LIBRARY = "libumockdev.so.0"

needs_umockdev = pytest.mark.skipif(
    shutil.which("umockdev-wrapper") is None and os.environ.get("CI") != "true",
    reason="needs umockdev: apt-get install umockdev libumockdev0",
)


def under_umockdev(*arguments: str) -> list[str]:
    """Command line of this Python in which fake devices can be made, or are seen."""
    return ["umockdev-wrapper", sys.executable, "-W", "error", *arguments]


class Testbed:
    """A fake /sys and udev database, for this process and its children."""

    __test__ = False

    def __init__(self) -> None:
        self._library = ctypes.CDLL(_LIBRARY)
        self._library.umockdev_testbed_new.restype = ctypes.c_void_p
        self._library.umockdev_testbed_get_root_dir.restype = ctypes.c_char_p
        self._library.umockdev_testbed_get_root_dir.argtypes = [ctypes.c_void_p]
        self._library.umockdev_testbed_add_devicev.restype = ctypes.c_void_p
        texts = ctypes.POINTER(ctypes.c_char_p)
        self._library.umockdev_testbed_add_devicev.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, texts, texts,
        ]  # fmt: skip
        self._library.umockdev_testbed_uevent.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
        self._library.umockdev_testbed_remove_device.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        if "libumockdev-preload" not in Path("/proc/self/maps").read_text():
            raise RuntimeError("start this process under umockdev-wrapper")
        self._handle = self._library.umockdev_testbed_new()
        self.root = self._library.umockdev_testbed_get_root_dir(self._handle).decode()
        os.environ["UMOCKDEV_DIR"] = self.root

    def add(
        self, subsystem: str, name: str, parent: str | None, attributes: dict[str, str], **properties: str
    ) -> str:
        """Adds a device and sends its "add" event. Returns its path below /sys."""
        made = self._library.umockdev_testbed_add_devicev(
            self._handle,
            subsystem.encode(),
            name.encode(),
            None if parent is None else parent.encode(),
            _texts(attributes),
            _texts(properties),
        )
        if not made:
            raise RuntimeError(f"umockdev refused {name}")
        path = ctypes.string_at(made).decode()
        if subsystem == "block":
            # umockdev 0.17 lists block devices among the character devices.
            number = attributes["dev"]
            link = Path(self.root, "sys/dev/block", number)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to("../.." + path.removeprefix("/sys"))
            Path(self.root, "sys/dev/char", number).unlink(missing_ok=True)
        return path

    def disk(
        self, name: str, parent: str | None, number: str, *, removable: str = "0", **properties: str
    ) -> str:
        """A whole disk, with a medium in it."""
        attributes = {"removable": removable, "ro": "0", "size": "62533296", "dev": number}
        return self.add("block", name, parent, attributes, **_block("disk", name, number), **properties)

    def partition(self, name: str, disk: str, number: str, **properties: str) -> str:
        """A partition with a file system on it."""
        attributes = {"partition": "1", "size": "62531248", "dev": number}
        return self.add("block", name, disk, attributes, **_block("partition", name, number), **properties)

    def mapping(self, name: str, number: str, *below: str, **properties: str) -> str:
        """A device-mapper or md device on top of others."""
        path = self.disk(name, None, number, **properties)
        slaves = Path(self.root + path, "slaves")
        slaves.mkdir()
        for device in below:
            Path(slaves, Path(device).name).symlink_to(self.root + device)
        return path

    def set_attribute(self, device: str, name: str, value: str) -> None:
        """Changes an attribute in sysfs; sends no event."""
        Path(self.root + device, name).write_text(value)

    def uevent(self, device: str, action: str) -> None:
        """Sends an event as the kernel and udevd do."""
        self._library.umockdev_testbed_uevent(self._handle, device.encode(), action.encode())

    def remove(self, device: str) -> None:
        """Takes the device and all below it away; sends no event."""
        self._library.umockdev_testbed_remove_device(self._handle, device.encode())


class FakeUsbStick:
    """A USB mass storage stick with one partition: USB device, interface, SCSI host to disk, partition."""

    def __init__(
        self,
        testbed: Testbed,
        *,
        number: str = "8:17",
        disk_number: str = "8:16",
        disk: str = "sdb",
        port: str = "1-2",
        serial: str | None = "4C530001230512115432",
        fs_uuid: str | None = "1234-ABCD",
        label: str | None = "KINGST",
        removable: str = "1",
        udev: bool = True,
    ) -> None:
        """`number` is the partition's major:minor; `udev=False` leaves out what udevd would have found."""
        self._testbed = testbed
        found = {
            "ID_BUS": "usb",
            "ID_VENDOR": "SanDisk",
            "ID_MODEL": "Ultra_USB_3.0",
            "ID_VENDOR_ID": "0781",
            "ID_MODEL_ID": "5591",
        }
        if serial is not None:
            found |= {"ID_SERIAL": f"SanDisk_Ultra_{serial}", "ID_SERIAL_SHORT": serial}
        volume = {"ID_FS_UUID": fs_uuid, "ID_FS_LABEL": label}
        found_on_volume = found | {name: value for name, value in volume.items() if value is not None}
        descriptor = {
            "idVendor": "0781",
            "idProduct": "5591",
            "manufacturer": "SanDisk",
            "product": "Ultra USB 3.0",
        }
        if serial is not None:
            descriptor["serial"] = serial
        self.usb = testbed.add("usb", port, None, descriptor, DEVTYPE="usb_device")
        interface = testbed.add("usb", f"{port}:1.0", self.usb, {}, DEVTYPE="usb_interface")
        bus = port.replace("-", "")
        host = testbed.add("scsi", f"host{bus}", interface, {}, DEVTYPE="scsi_host")
        target = testbed.add("scsi", f"target{bus}:0:0", host, {}, DEVTYPE="scsi_target")
        scsi = testbed.add("scsi", f"{bus}:0:0:0", target, {}, DEVTYPE="scsi_device")
        self.disk = testbed.disk(disk, scsi, disk_number, removable=removable, **(found if udev else {}))
        self.partition = testbed.partition(f"{disk}1", self.disk, number, **(found_on_volume if udev else {}))

    def unplug(self) -> None:
        """Pulls it out without unmounting."""
        for device in (self.partition, self.disk, self.usb):
            self._testbed.uevent(device, "remove")
        self._testbed.remove(self.usb)


def _block(kind: str, name: str, number: str) -> dict[str, str]:
    major, minor = number.split(":")
    return {"DEVTYPE": kind, "DEVNAME": f"/dev/{name}", "MAJOR": major, "MINOR": minor}


def _texts(pairs: dict[str, str]) -> ctypes.Array[ctypes.c_char_p]:
    flat = [text.encode() for pair in pairs.items() for text in pair]
    return (ctypes.c_char_p * (len(flat) + 1))(*flat, None)
