"""Events with every field set, for round trips and the official schema."""

from __future__ import annotations

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
    Evidence,
    Executable,
    File,
    FileType,
    Fingerprint,
    HashAlgorithm,
    Host,
    HostType,
    PeripheralDevice,
    PeripheralType,
    Process,
    Unmapped,
    User,
)

STICK = PeripheralDevice(
    name="SanDisk Ultra",
    type_id=PeripheralType.EXTERNAL_STORAGE,
    uid="0781:5591:4C53",
    serial_number="4C53",
    vendor_name="SanDisk",
    model="Ultra",
)
HOST = Host(hostname="laptop-7", type_id=HostType.LAPTOP, uid="laptop-7")
ACTOR = Actor(
    user=User(name="alice", uid="1501"),
    process=Process(
        pid=4711,
        name="cp",
        file=Executable(name="cp", type_id=FileType.REGULAR, path="/usr/bin/cp"),
        auid=1501,
    ),
)
FILE = File(
    name="客户名单.xlsx",
    type_id=FileType.REGULAR,
    path="/media/alice/ULTRA/客户名单.xlsx",
    ext="xlsx",
    size=123_456,
    hashes=(Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value="ab" * 32),),
    drive_type_id=DriveType.REMOVABLE,
    volume="ULTRA",
    is_deleted=False,
)
EVIDENCE = Evidence(
    fidelity="exact", observed_by="fanotify_fid", actor_from="audit", gap="hash skipped: too large"
)


def sample_events() -> list[Event]:
    """One of each activity, all fields set."""
    metadata = event_metadata("removable_storage", "0.1.0")
    unmapped = Unmapped(evidence=EVIDENCE, peripheral_device=STICK)
    files: list[Event] = [
        file_system_activity(
            activity,
            time=1_795_000_000_000,
            metadata=metadata,
            actor=ACTOR,
            device=HOST,
            file=FILE,
            unmapped=unmapped,
            file_result=FILE if activity is FileActivity.RENAME else None,
        )
        for activity in FileActivity
    ]
    devices: list[Event] = [
        peripheral_activity(
            kind,
            time=1_795_000_000_000,
            metadata=metadata,
            actor=Actor(app_name="udev"),
            device=HOST,
            peripheral_device=STICK,
            unmapped=Unmapped(evidence=EVIDENCE),
        )
        for kind in PeripheralActivityKind
    ]
    return files + devices
