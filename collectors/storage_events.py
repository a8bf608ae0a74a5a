"""What the removable-storage collector saw, as events. Pure."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from collectors.file_changes import FileFacts, ObservedBy
from collectors.file_extension import extension_of
from collectors.finished_files import FinishedFile
from collectors.labels import FileLabels
from collectors.linux.process_identity import Who
from event_schema.ocsf_events import (
    Event,
    FileActivity,
    PeripheralActivityKind,
    event_metadata,
    file_system_activity,
    peripheral_activity,
)
from event_schema.ocsf_objects import (
    Actor,
    DriveType,
    Executable,
    File,
    FileType,
    Fingerprint,
    HashAlgorithm,
    Host,
    Metadata,
    PeripheralDevice,
    Process,
    User,
)
from event_schema.ocsf_unmapped import DeviceUnmapped, Evidence, Unmapped
from event_schema.printable import printable_name
from event_schema.short_paths import short_path
from event_schema.struct_base import NAME_CHARACTERS, PATH_CHARACTERS

_OF_FIDELITY = {
    "audit": "exact",
    "proc_events": "likely",
    "proc": "likely",
    "file_owner": "possible",
    "unknown": "possible",
}


class Volume(msgspec.Struct, frozen=True):
    """Where a file lies: the device, and what the volume on it is called."""

    device: PeripheralDevice
    name: str | None


class EventSource(msgspec.Struct, frozen=True):
    """What every event of this collector says about its origin."""

    collector: str
    version: str
    host: Host


def file_event(
    source: EventSource,
    finished: FinishedFile,
    volume: Volume,
    who: Who,
    observed_by: ObservedBy,
    *,
    sha256: str | None,
    gap: str | None,
    labels: FileLabels | None = None,
) -> Event:
    """A finished file as an event."""
    result = None
    if finished.new_path is not None:
        result = _file(finished.new_path, finished, volume, sha256, labels)
    if finished.from_rescan:
        observed_by = "rescan"
    time_ms = finished.at_ms
    if finished.from_rescan and finished.facts is not None:
        time_ms = min(time_ms, max(0, finished.facts.changed_ns // 1_000_000))
    fidelity = _OF_FIDELITY[who.source]
    if (finished.from_rescan or finished.is_guess) and fidelity == "exact":
        fidelity = "likely"
    file = _file(finished.path, finished, volume, *((sha256, labels) if result is None else (None, None)))
    is_labelled = (result or file).data_classifications is not None
    return file_system_activity(
        finished.activity,
        time=time_ms,
        metadata=_metadata(source.collector, source.version, is_labelled),
        actor=_actor(who),
        device=source.host,
        file=file,
        unmapped=Unmapped(
            evidence=Evidence(
                fidelity=fidelity,  # type: ignore[arg-type]
                observed_by=observed_by,
                actor_from=who.source,
                gap=gap[:NAME_CHARACTERS] if gap else None,
            ),
            peripheral_device=volume.device,
        ),
        file_result=result,
    )


def device_event(
    source: EventSource,
    kind: PeripheralActivityKind,
    device: PeripheralDevice,
    observed_by: ObservedBy,
    at_ms: int,
    gap: str | None = None,
) -> Event:
    """A device that came or went. No person is known to have done it, only the system that noticed."""
    return peripheral_activity(
        kind,
        time=at_ms,
        metadata=event_metadata(source.collector, source.version),
        actor=Actor(app_name="kernel"),
        device=source.host,
        peripheral_device=device,
        unmapped=DeviceUnmapped(evidence=Evidence(fidelity="exact", observed_by=observed_by, gap=gap)),
    )


@lru_cache(maxsize=8)
def _metadata(collector: str, version: str, is_labelled: bool) -> Metadata:
    return event_metadata(collector, version, labelled=is_labelled)


@lru_cache(maxsize=256)
def _actor(who: Who) -> Actor:
    user = None
    if who.uid is not None or who.user_name is not None:
        user = User(
            name=None if who.user_name is None else printable_name(who.user_name)[:NAME_CHARACTERS],
            uid=None if who.uid is None else str(who.uid),
        )
    process = None
    if who.pid > 0:
        executable = None
        if who.exe is not None:
            path = short_path(printable_name(who.exe), PATH_CHARACTERS)
            executable = Executable(name=path.rpartition("/")[2] or path, type_id=FileType.REGULAR, path=path)
        process = Process(
            pid=who.pid,
            name=None if executable is None else executable.name[:NAME_CHARACTERS],
            file=executable,
            auid=who.auid,
        )
    if user is None and process is None:
        return Actor(app_name="unknown")
    return Actor(user=user, process=process)


def _file(
    path: str, finished: FinishedFile, volume: Volume, sha256: str | None, labels: FileLabels | None
) -> File:
    facts: FileFacts | None = finished.facts
    name = path.rpartition("/")[2]
    type_id = FileType.REGULAR if facts is None else facts.type_id
    if finished.is_folder:
        type_id = FileType.FOLDER
    is_regular = type_id is FileType.REGULAR
    hashes = None
    if sha256 is not None:
        hashes = (Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=sha256),)
    is_deleted = finished.is_deleted or finished.activity is FileActivity.DELETE
    shown = printable_name(path)
    return File(
        name=shown.rpartition("/")[2][:PATH_CHARACTERS],
        type_id=type_id,
        path=short_path(shown, PATH_CHARACTERS),
        ext=extension_of(name) if is_regular else None,
        size=facts.size if facts is not None and is_regular else None,
        hashes=hashes,
        drive_type_id=DriveType.REMOVABLE,
        volume=volume.name,
        is_deleted=True if is_deleted else None,
        mime_type=None if labels is None else labels.mime_type,
        is_encrypted=None if labels is None else labels.is_encrypted,
        data_classifications=None if labels is None else labels.classifications(),
    )
