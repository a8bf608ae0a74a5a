"""What makes a disk removable, and how one removable storage device is told from another.

A disk is removable for one of these reasons:

| reason | how it shows |
|---|---|
| USB | a `usb_device` among its parents, or ID_BUS=usb |
| memory card | SD on the mmc bus (not eMMC, which is soldered in), memstick, ID_DRIVE_FLASH_* |
| FireWire, PC Card | the bus among its parents |
| hot-plug port | a PCI parent that the firmware calls removable (Thunderbolt, USB4, ExpressCard) |
| removable medium | the whole disk's `removable` is 1; eSATA too, where the kernel knows the port |

`uid` is, in this order: "vendor:product:serial" as the device gives them (on the mmc bus manufacturer,
OEM and serial; elsewhere bus, model and serial); and, for a device without a serial, its model and the port
it hangs on ("0781:5591:at:1-2"), which tells two such sticks apart only while they are in different ports.
A serial that is a maker's filler ("000000000000") counts as none. Nothing of what lies on the device stands
in it: a file system is not there yet when the device comes, and plug-in and copies must bear the same uid.
Device nodes ("/dev/sdb") never stand in a uid: they change from plug to plug.
"""

from __future__ import annotations

from typing import Final

import msgspec
import pyudev  # type: ignore[import-untyped]

from event_schema.ocsf_objects import PeripheralDevice, PeripheralType
from event_schema.struct_base import NAME_CHARACTERS

_FILLER_SERIALS: Final = frozenset({"0123456789ABCDEF", "123456789ABCDEF", "0123456789", "123456789012"})
_FLASH_CARDS: Final = tuple(
    f"ID_DRIVE_FLASH_{kind}" for kind in ("SD", "SDHC", "SDXC", "MS", "CF", "SM", "MMC")
)
_HOT_PLUG_BUSES: Final = {
    "memstick": "memstick",
    "firewire": "ieee1394",
    "ieee1394": "ieee1394",
    "pcmcia": "pcmcia",
}
"""Bus by the name of the kernel's subsystem or udev's ID_BUS."""


class StorageIdentity(msgspec.Struct, frozen=True):
    """A removable storage device. None means that neither the device nor udev tells."""

    name: str
    uid: str
    serial: str | None
    vendor: str | None
    model: str | None
    bus: str
    devnode: str | None
    """The node just now, of the mounted volume or the whole disk."""
    fs_uuid: str | None
    label: str | None
    why_removable: str


def to_peripheral_device(identity: StorageIdentity) -> PeripheralDevice:
    """The device as it stands in events."""
    return PeripheralDevice(
        name=identity.name,
        type_id=PeripheralType.EXTERNAL_STORAGE,
        uid=identity.uid,
        serial_number=identity.serial,
        vendor_name=identity.vendor,
        model=identity.model,
    )


def why_removable(disk: pyudev.Device) -> tuple[str, str] | None:
    """(bus, reason in words) of a whole disk; None for a fixed one."""
    bus: str | None = disk.properties.get("ID_BUS")
    if disk.find_parent("usb", "usb_device") is not None or bus == "usb":
        return "usb", "on the USB bus"
    if _is_memory_card(disk):
        return bus or "mmc", "a memory card"
    for subsystem, name in _HOT_PLUG_BUSES.items():
        if bus == subsystem or disk.find_parent(subsystem) is not None:
            return name, f"on the hot-plug bus {name}"
    for parent in disk.ancestors:
        if parent.subsystem == "pci" and _text(parent, "removable") == "removable":
            return "pci", "on a hot-plug port"
    if _text(disk, "removable") == "1":
        return bus or "unknown", "the kernel calls its medium removable"
    return None


def _is_memory_card(disk: pyudev.Device) -> bool:
    card = disk.find_parent("mmc")
    if card is not None:
        return _text(card, "type") in ("SD", "SDcombo")
    return any(disk.properties.get(kind) == "1" for kind in _FLASH_CARDS)


def identify(volume: pyudev.Device, disk: pyudev.Device, bus: str, reason: str) -> StorageIdentity:
    """The identity of `disk`, with what `volume`, which lies on it or is it, adds about the file system."""
    usb = disk.find_parent("usb", "usb_device")
    card = disk.find_parent("mmc")
    vendor = _text(usb, "manufacturer") or _spaced(disk, "ID_VENDOR") or _text(disk, "device/vendor")
    model = (
        _text(usb, "product")
        or _spaced(disk, "ID_MODEL")
        or _text(disk, "device/model")
        or _text(card, "name")
    )
    serial = _real_serial(
        _property(disk, "ID_SERIAL_SHORT")
        or _text(usb, "serial")
        or _text(card, "serial")
        or _text(disk, "device/serial")
    )
    fs_uuid = _property(volume, "ID_FS_UUID")
    label = _property(volume, "ID_FS_LABEL")
    maker = _text(card, "manfid") or _property(disk, "ID_VENDOR_ID") or _text(usb, "idVendor")
    product = _text(card, "oemid") or _property(disk, "ID_MODEL_ID") or _text(usb, "idProduct")
    kind = f"{maker}:{product}" if maker and product else f"{bus}:{model or vendor or 'storage'}"
    if serial is not None:
        uid = f"{kind}:{serial}"
    else:
        port = usb.sys_name if usb is not None else _property(disk, "ID_PATH") or disk.device_path
        uid = f"{kind}:at:{port}"
    words = " ".join(part for part in (vendor, model) if part)
    return StorageIdentity(
        name=(words or label or disk.sys_name)[:NAME_CHARACTERS],
        uid=uid[:NAME_CHARACTERS],
        serial=serial,
        vendor=vendor,
        model=model,
        bus=bus,
        devnode=volume.device_node,
        fs_uuid=fs_uuid,
        label=label,
        why_removable=reason,
    )


def _real_serial(serial: str | None) -> str | None:
    if serial is None or len(set(serial)) == 1 or serial.upper() in _FILLER_SERIALS:
        return None
    return serial


def _text(device: pyudev.Device | None, attribute: str) -> str | None:
    """A sysfs attribute as printable text; None where there is none, or the device has gone."""
    value = None if device is None else device.attributes.get(attribute)
    return None if value is None else _printable(value.decode("utf-8", "replace"))


def _property(device: pyudev.Device, name: str) -> str | None:
    """A property from udev's database, as it stands there."""
    value = device.properties.get(name)
    return None if value is None else _printable(value)


def _spaced(device: pyudev.Device, name: str) -> str | None:
    """A property in which udev wrote spaces as underscores."""
    value = _property(device, name)
    return None if value is None else _printable(value.replace("_", " "))


def _printable(text: str) -> str | None:
    text = text.strip("\0 \t\r\n")[:NAME_CHARACTERS]
    return "".join(character if character.isprintable() else "\ufffd" for character in text) or None
