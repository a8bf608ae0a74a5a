"""OCSF 1.8 classes of what happens on an endpoint's own devices and processes.

| class | uid | used for |
|---|---|---|
| File System Activity | 1001 | a finished file on removable storage, its rename and deletion; a dump |
| Process Activity | 1007 | a program whose start alone matters (Launch): screenshot tools |
| Peripheral Activity | 1010 | a storage device in (Connect) or out (Disconnect); a print job (Other) |
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

from event_schema.ocsf_objects import Actor, File, Host, Metadata, PeripheralDevice, Process
from event_schema.ocsf_unmapped import DeviceUnmapped, Unmapped
from event_schema.struct_base import Milliseconds, Word, check_type_uid, purpose


class FileActivity(IntEnum):
    CREATE = 1
    UPDATE = 3
    DELETE = 4
    RENAME = 5


class ProcessActivityKind(IntEnum):
    LAUNCH = 1


class PeripheralActivityKind(IntEnum):
    CONNECT = 1
    DISCONNECT = 2
    OTHER = 99


class FileSystemActivity(Word, frozen=True, tag_field="class_uid", tag=1001):
    """A file was written, renamed or deleted. `file_result` is the new name of a rename."""

    activity_id: Annotated[FileActivity, purpose("what was done")]
    category_uid: Annotated[Literal[1], purpose("required by OCSF")]
    type_uid: Annotated[int, purpose("required by OCSF: class_uid * 100 + activity_id")]
    severity_id: Annotated[Literal[1], purpose("required by OCSF: informational; the server judges")]
    time: Annotated[Milliseconds, purpose("when it was done, by the endpoint's clock")]
    metadata: Annotated[Metadata, purpose("who reports it: see metadata")]
    actor: Annotated[Actor, purpose("who did it: see actor")]
    device: Annotated[Host, purpose("on which endpoint: see device")]
    file: Annotated[File, purpose("to which file: see file")]
    unmapped: Annotated[Unmapped, purpose("what OCSF has no field for: see unmapped")]
    file_result: Annotated[File | None, purpose("what a renamed file is called now: see file")] = None

    def __post_init__(self) -> None:
        check_type_uid(1001, self.activity_id, self.type_uid)


class ProcessActivity(Word, frozen=True, tag_field="class_uid", tag=1007):
    """A program was started. Only programs that a catalogue names; never their arguments."""

    activity_id: Annotated[ProcessActivityKind, purpose("what was done")]
    category_uid: Annotated[Literal[1], purpose("required by OCSF")]
    type_uid: Annotated[int, purpose("required by OCSF: class_uid * 100 + activity_id")]
    severity_id: Annotated[Literal[1], purpose("required by OCSF: informational; the server judges")]
    time: Annotated[Milliseconds, purpose("when it was done, by the endpoint's clock")]
    metadata: Annotated[Metadata, purpose("who reports it: see metadata")]
    actor: Annotated[Actor, purpose("who did it: see actor")]
    device: Annotated[Host, purpose("on which endpoint: see device")]
    process: Annotated[Process, purpose("which program was started: see process")]
    unmapped: Annotated[Unmapped, purpose("what OCSF has no field for: see unmapped")]

    def __post_init__(self) -> None:
        check_type_uid(1007, self.activity_id, self.type_uid)


class PeripheralActivity(Word, frozen=True, tag_field="class_uid", tag=1010):
    """A device was plugged in or taken out, or printed."""

    activity_id: Annotated[PeripheralActivityKind, purpose("what was done")]
    category_uid: Annotated[Literal[1], purpose("required by OCSF")]
    type_uid: Annotated[int, purpose("required by OCSF: class_uid * 100 + activity_id")]
    severity_id: Annotated[Literal[1], purpose("required by OCSF: informational; the server judges")]
    time: Annotated[Milliseconds, purpose("when it was done, by the endpoint's clock")]
    metadata: Annotated[Metadata, purpose("who reports it: see metadata")]
    actor: Annotated[Actor, purpose("who did it: see actor")]
    device: Annotated[Host, purpose("on which endpoint: see device")]
    peripheral_device: Annotated[PeripheralDevice, purpose("which device: see peripheral_device")]
    unmapped: Annotated[DeviceUnmapped, purpose("what OCSF has no field for: see unmapped")]

    def __post_init__(self) -> None:
        check_type_uid(1010, self.activity_id, self.type_uid)


def file_system_activity(
    activity: FileActivity,
    *,
    time: int,
    metadata: Metadata,
    actor: Actor,
    device: Host,
    file: File,
    unmapped: Unmapped,
    file_result: File | None = None,
) -> FileSystemActivity:
    """A File System Activity event with OCSF's derived numbers filled in. time: ms since 1970 UTC."""
    return FileSystemActivity(
        activity_id=activity,
        category_uid=1,
        type_uid=100_100 + activity,
        severity_id=1,
        time=time,
        metadata=metadata,
        actor=actor,
        device=device,
        file=file,
        unmapped=unmapped,
        file_result=file_result,
    )


def process_launch(
    *,
    time: int,
    metadata: Metadata,
    actor: Actor,
    device: Host,
    process: Process,
    unmapped: Unmapped,
) -> ProcessActivity:
    """A Process Activity event with OCSF's derived numbers filled in. time: ms since 1970 UTC."""
    return ProcessActivity(
        activity_id=ProcessActivityKind.LAUNCH,
        category_uid=1,
        type_uid=100_701,
        severity_id=1,
        time=time,
        metadata=metadata,
        actor=actor,
        device=device,
        process=process,
        unmapped=unmapped,
    )


def peripheral_activity(
    activity: PeripheralActivityKind,
    *,
    time: int,
    metadata: Metadata,
    actor: Actor,
    device: Host,
    peripheral_device: PeripheralDevice,
    unmapped: DeviceUnmapped,
) -> PeripheralActivity:
    """A Peripheral Activity event with OCSF's derived numbers filled in. time: ms since 1970 UTC."""
    return PeripheralActivity(
        activity_id=activity,
        category_uid=1,
        type_uid=101_000 + activity,
        severity_id=1,
        time=time,
        metadata=metadata,
        actor=actor,
        device=device,
        peripheral_device=peripheral_device,
        unmapped=unmapped,
    )
