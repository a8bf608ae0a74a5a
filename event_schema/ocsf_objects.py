"""The OCSF 1.8 objects that Leaver uses, cut down to the fields it has a purpose for.

Source: OCSF schema 1.8.0 (objects file, fingerprint, user, process, actor, device, peripheral_device,
metadata, product). Field names and numbers are OCSF's; tests validate against the official schema.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final, Literal

from msgspec import Meta

from event_schema.ocsf_labels import DataClassification
from event_schema.struct_base import Count, Name, PathText, Word, purpose

OCSF_VERSION: Final = "1.8.0"


class FileType(IntEnum):
    UNKNOWN = 0
    REGULAR = 1
    FOLDER = 2
    SYMBOLIC_LINK = 7
    OTHER = 99


class DriveType(IntEnum):
    UNKNOWN = 0
    REMOVABLE = 1
    FIXED = 2
    REMOTE = 3


class HashAlgorithm(IntEnum):
    SHA_256 = 3


class PeripheralType(IntEnum):
    UNKNOWN = 0
    EXTERNAL_STORAGE = 1
    PRINTER = 4


class HostType(IntEnum):
    UNKNOWN = 0
    SERVER = 1
    DESKTOP = 2
    LAPTOP = 3


class Fingerprint(Word, frozen=True):
    """Hash of a file's content. OCSF object `fingerprint`."""

    algorithm_id: Annotated[HashAlgorithm, purpose("which hash it is")]
    value: Annotated[
        str, purpose("recognises the same content elsewhere without keeping it", pattern="^[0-9a-f]{64}$")
    ]


class File(Word, frozen=True):
    """A file or folder as it lies on its volume. OCSF object `file`."""

    name: Annotated[PathText, purpose("what was taken, for the analyst")]
    type_id: Annotated[FileType, purpose("tells files from folders and links")]
    path: Annotated[
        PathText | None,
        purpose("where the copy lies; home paths name people", names_person=True),
    ] = None
    ext: Annotated[PathText | None, purpose("kind of file by its name")] = None
    mime_type: Annotated[Name | None, purpose("kind of file by its content")] = None
    size: Annotated[Count | None, purpose("bytes taken")] = None
    hashes: Annotated[tuple[Fingerprint, ...] | None, purpose("content identity: see fingerprint")] = None
    drive_type_id: Annotated[DriveType | None, purpose("whether the file left for a removable drive")] = None
    volume: Annotated[Name | None, purpose("label or UUID of the volume, to find the copy")] = None
    is_deleted: Annotated[
        bool | None, purpose("the copy was already gone when the agent came to read it")
    ] = None
    is_encrypted: Annotated[bool | None, purpose("nobody but its owner can tell what it holds")] = None
    data_classifications: Annotated[
        Annotated[tuple[DataClassification, ...], Meta(max_length=16)] | None,
        purpose("what kind of data it holds, as counts: see data_classifications"),
    ] = None


class User(Word, frozen=True):
    """An account on the endpoint. OCSF object `user`."""

    name: Annotated[Name | None, purpose("who acted", names_person=True)] = None
    uid: Annotated[Name | None, purpose("who acted, where no name resolves", names_person=True)] = None
    credential_uid: Annotated[
        Name | None,
        purpose("fingerprint of the key that opened the door, to tell old credentials", names_person=True),
    ] = None


class Executable(Word, frozen=True):
    """The program file of a process. OCSF object `file`, without what identifies a copy."""

    name: Annotated[PathText, purpose("which program copied")]
    type_id: Annotated[FileType, purpose("required by OCSF")]
    path: Annotated[
        PathText | None, purpose("which program copied; may lie in a home", names_person=True)
    ] = None


class Process(Word, frozen=True):
    """The process that acted. Never its command line. OCSF object `process`."""

    pid: Annotated[Count, purpose("joins the acts of one process")]
    name: Annotated[Name | None, purpose("which program copied")] = None
    file: Annotated[Executable | None, purpose("which program copied: see executable")] = None
    auid: Annotated[
        Count | None, purpose("login account behind sudo and su; 4294967295 is none", names_person=True)
    ] = None


class Actor(Word, frozen=True):
    """Who did it. OCSF object `actor`; at least one field is set."""

    user: Annotated[User | None, purpose("who acted: see user")] = None
    process: Annotated[Process | None, purpose("which process acted: see process")] = None
    app_name: Annotated[
        Name | None, purpose("the operating system's part that acted, where no person did")
    ] = None

    def __post_init__(self) -> None:
        if self.user is None and self.process is None and self.app_name is None:
            raise ValueError("actor needs a user, a process or an app_name")


class Host(Word, frozen=True):
    """The endpoint. OCSF object `device`."""

    hostname: Annotated[Name, purpose("which machine; host names often name their user", names_person=True)]
    type_id: Annotated[HostType, purpose("required by OCSF")]
    uid: Annotated[str | None, purpose("the agent's name, as enrolled", names_person=True)] = None


class PeripheralDevice(Word, frozen=True):
    """A device that was plugged in. OCSF object `peripheral_device`."""

    name: Annotated[Name, purpose("what the analyst calls the device")]
    type_id: Annotated[PeripheralType, purpose("external storage or something else")]
    uid: Annotated[
        Name | None,
        purpose(
            "tells devices apart: vendor id, product id and serial, else the port; of other mounts the UUID",
            names_person=True,
        ),
    ] = None
    serial_number: Annotated[str | None, purpose("finds the physical device", names_person=True)] = None
    vendor_name: Annotated[Name | None, purpose("finds the physical device")] = None
    model: Annotated[Name | None, purpose("finds the physical device")] = None


class Product(Word, frozen=True):
    """Which software saw it. OCSF object `product`."""

    name: Annotated[Name, purpose("which software saw it")]
    vendor_name: Annotated[Name, purpose("which software saw it")]
    version: Annotated[Name, purpose("which version saw it")]


class Metadata(Word, frozen=True):
    """OCSF object `metadata`."""

    version: Annotated[Literal["1.8.0"], purpose("OCSF version of the event")]
    product: Annotated[Product, purpose("which software saw it: see product")]
    profiles: Annotated[tuple[str, ...], purpose("OCSF profiles in use", max_length=8)]
    log_name: Annotated[Name, purpose("which collector saw it")]
