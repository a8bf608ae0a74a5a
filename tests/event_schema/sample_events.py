"""Events with every field set, for round trips and the official schema."""

from __future__ import annotations

from event_schema.ocsf_account_events import (
    ApiActivityKind,
    AuthenticationActivity,
    DatastoreActivityKind,
    LogonType,
    Outcome,
    api_activity,
    authentication,
    datastore_activity,
)
from event_schema.ocsf_endpoint_events import process_launch
from event_schema.ocsf_events import (
    Event,
    FileActivity,
    PeripheralActivityKind,
    event_metadata,
    file_system_activity,
    peripheral_activity,
)
from event_schema.ocsf_labels import (
    ClassificationStatus,
    ClassifierDetails,
    DataCategory,
    DataClassification,
    DiscoveryDetails,
)
from event_schema.ocsf_network import (
    Api,
    Database,
    DatabaseTable,
    DatabaseType,
    DestinationEndpoint,
    Email,
    QueryInfo,
    Resource,
    Service,
    SourceEndpoint,
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
    HostType,
    PeripheralDevice,
    PeripheralType,
    Process,
    User,
)
from event_schema.ocsf_transfer_events import email_sent, file_upload
from event_schema.ocsf_unmapped import (
    DeviceUnmapped,
    Evidence,
    PrintJob,
    QueryResult,
    QueryUnmapped,
    Transfer,
    TransferUnmapped,
    Unmapped,
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
    user=User(name="alice", uid="1501", credential_uid="SHA256:3q2+7w"),
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
    mime_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    is_encrypted=False,
    data_classifications=(
        DataClassification(
            category_id=DataCategory.PERSONAL,
            classifier_details=ClassifierDetails(type="leaver"),
            discovery_details=(DiscoveryDetails(type="resident_id", count=14),),
            status_id=ClassificationStatus.COMPLETE,
        ),
    ),
)
EVIDENCE = Evidence(
    fidelity="exact", observed_by="fanotify_fid", actor_from="audit", gap="hash skipped: too large"
)


def sample_events() -> list[Event]:
    """One of each activity, all fields set."""
    metadata = event_metadata("removable_storage", "0.1.0")
    unmapped = Unmapped(evidence=EVIDENCE, peripheral_device=STICK, origin="database_export")
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
            unmapped=DeviceUnmapped(evidence=EVIDENCE, print_job=PrintJob(pages=12)),
        )
        for kind in PeripheralActivityKind
    ]
    return [*files, *devices, *_of_other_channels()]


SOURCE = SourceEndpoint(hostname="laptop-7", ip="192.0.2.7", port=50_001, uid="device-7", name="local")
DESTINATION = DestinationEndpoint(hostname="pan.example", ip="198.51.100.9", port=443, svc_name="Netdisk")


def _of_other_channels() -> list[Event]:
    time, metadata = 1_795_000_000_000, event_metadata("sample", "0.1.0")
    transfer = TransferUnmapped(
        evidence=EVIDENCE,
        transfer=Transfer(category="cloud_drive", application="netdisk", bytes_sent=123_999, connections=2),
    )
    unmapped = Unmapped(evidence=EVIDENCE)
    query = QueryUnmapped(
        evidence=EVIDENCE,
        result=QueryResult(
            is_export=True, method="copy_to", rows=200_000, tables=("customers",), program="psql"
        ),
    )
    assert ACTOR.process is not None
    return [
        process_launch(
            time=time, metadata=metadata, actor=ACTOR, device=HOST, process=ACTOR.process, unmapped=unmapped
        ),
        file_upload(
            time=time,
            metadata=metadata,
            actor=ACTOR,
            device=HOST,
            file=FILE,
            unmapped=transfer,
            dst_endpoint=DESTINATION,
        ),
        email_sent(
            time=time,
            metadata=metadata,
            actor=ACTOR,
            device=HOST,
            email=Email(
                sender_address="alice@company.example", to=("*@mail.example",), size=99_000, files=(FILE,)
            ),
            unmapped=transfer,
            src_endpoint=SOURCE,
        ),
        *(
            authentication(
                activity,
                time=time,
                metadata=metadata,
                actor=Actor(app_name="sshd"),
                device=HOST,
                user=User(name="alice", uid="1501", credential_uid="SHA256:3q2+7w"),
                service=Service(name="sshd"),
                status_id=Outcome.FAILURE,
                unmapped=unmapped,
                status_detail="account_expired",
                src_endpoint=SOURCE,
                logon_type_id=LogonType.REMOTE_INTERACTIVE,
                auth_protocol="publickey",
                count=3,
            )
            for activity in AuthenticationActivity
        ),
        *(
            api_activity(
                activity,
                time=time,
                metadata=metadata,
                actor=ACTOR,
                device=HOST,
                src_endpoint=SOURCE,
                api=Api(operation="create_manual_order", service=Service(name="shop")),
                unmapped=unmapped,
                resources=(Resource(name="orders", type="order"),),
                status_id=Outcome.SUCCESS,
                count=153,
            )
            for activity in ApiActivityKind
        ),
        *(
            datastore_activity(
                activity,
                time=time,
                metadata=metadata,
                actor=ACTOR,
                device=HOST,
                src_endpoint=SOURCE,
                database=Database(name="shop", type_id=DatabaseType.RELATIONAL),
                query_info=QueryInfo(uid="9f2c", query_string="COPY customers TO STDOUT", bytes=9_000_000),
                unmapped=query,
                table=DatabaseTable(name="customers"),
                status_id=Outcome.SUCCESS,
                count=2,
            )
            for activity in DatastoreActivityKind
        ),
    ]
