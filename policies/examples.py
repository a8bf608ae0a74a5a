"""Examples of a rule: records on which it must fire, and records on which it must be silent.

An example names a base record and what is different in it, by dotted path:

    tests:
      firing:
        - name: a customer list, six days before the last day
          record: file_copied
          with: {leaver.person.status: notice, file.name: customers.xlsx}
      silent:
        - name: the same by someone who stays
          record: file_copied
          with: {file.name: customers.xlsx}

`with` may set a field to null to take it away. The outcome must be a valid event with valid leaver fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from event_schema.leaver_fields import (
    AccountFields,
    DeviceFields,
    EvidenceFields,
    LeaverFields,
    PersonFields,
    PersonStatus,
    TimeFields,
)
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
from policies.engine import record_of

RecordName = Literal[
    "application_act",
    "database_exported",
    "device_connected",
    "file_copied",
    "file_deleted",
    "file_uploaded",
    "labelled_file_copied",
    "logged_in",
    "mail_sent",
    "print_job",
    "screenshot_tool_started",
]


class ExampleError(ValueError):
    """An example that is no valid record; the message names the field."""


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    record: RecordName
    changes: Annotated[dict[str, Any], msgspec.Meta(max_length=64)] = msgspec.field(
        name="with", default_factory=dict
    )


class Examples(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    firing: Annotated[tuple[Example, ...], msgspec.Meta(min_length=1, max_length=100)]
    silent: Annotated[tuple[Example, ...], msgspec.Meta(min_length=1, max_length=100)]


def example_record(example: Example) -> dict[str, Any]:
    """The example's whole record. Raises ExampleError."""
    record = base_record(example.record)
    for path, value in example.changes.items():
        _set(record, path, value)
    leaver = record.pop("leaver")
    try:
        event = msgspec.convert(record, Event)
        fields = msgspec.convert(leaver, LeaverFields)
    except (msgspec.ValidationError, ValueError) as error:
        raise ExampleError(str(error)) from error
    return record_of(event, fields)


def _set(record: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    inside: Any = record
    for part in parents:
        inside = inside.setdefault(part, {})
        if not isinstance(inside, dict):
            raise ExampleError(f"{path}: {part} is no group of fields")
    if value is None:
        inside.pop(last, None)
    else:
        inside[last] = value


def base_record(name: RecordName) -> dict[str, Any]:
    """As rules see it."""
    return record_of(_EVENTS[name], _LEAVER)


_TIME: Final = 1_767_776_400_000
_METADATA: Final = event_metadata("removable_storage", "0.1.0")
_ACTOR: Final = Actor(
    user=User(name="lin", uid="1500"),
    process=Process(
        pid=4711,
        name="cp",
        file=Executable(name="cp", type_id=FileType.REGULAR, path="/usr/bin/cp"),
    ),
)
_HOST: Final = Host(hostname="pc-17", type_id=HostType.LAPTOP, uid="pc-17")
_STICK: Final = PeripheralDevice(
    name="Generic Flash Disk",
    type_id=PeripheralType.EXTERNAL_STORAGE,
    uid="058f:6387:0A1B2C3D",
    serial_number="0A1B2C3D",
    vendor_name="Generic",
    model="Flash Disk",
)
_EVIDENCE: Final = Evidence(fidelity="exact", observed_by="fanotify_fid", actor_from="audit")
_FILE: Final = File(
    name="holiday.jpg",
    type_id=FileType.REGULAR,
    path="/media/lin/STICK/holiday.jpg",
    ext="jpg",
    size=2_400_000,
    drive_type_id=DriveType.REMOVABLE,
    volume="STICK",
)
_LABELLED: Final = msgspec.structs.replace(
    _FILE,
    name="list.xlsx",
    path="/media/lin/STICK/list.xlsx",
    ext="xlsx",
    mime_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    is_encrypted=False,
    data_classifications=(
        DataClassification(
            category_id=DataCategory.PERSONAL,
            classifier_details=ClassifierDetails(type="leaver"),
            discovery_details=(DiscoveryDetails(type="resident_id", count=200),),
            status_id=ClassificationStatus.COMPLETE,
        ),
    ),
)
_UNMAPPED: Final = Unmapped(evidence=_EVIDENCE, peripheral_device=_STICK)
_SCREENSHOT_TOOL: Final = Process(
    pid=4712,
    name="flameshot",
    file=Executable(name="flameshot", type_id=FileType.REGULAR, path="/usr/bin/flameshot"),
)
_SERVER: Final = Host(hostname="srv-2", type_id=HostType.SERVER, uid="srv-2")
_ADDRESS: Final = SourceEndpoint(ip="203.0.113.66")
_EVENTS: Final[Mapping[RecordName, Event]] = {
    "database_exported": datastore_activity(
        DatastoreActivityKind.READ,
        time=_TIME,
        metadata=event_metadata("postgresql", "0.1.0"),
        actor=Actor(user=User(name="lin")),
        device=Host(hostname="db-1", type_id=HostType.SERVER, uid="db-1"),
        src_endpoint=SourceEndpoint(ip="10.1.2.3", port=50_123),
        database=Database(name="crm", type_id=DatabaseType.RELATIONAL),
        query_info=QueryInfo(uid="9f2c", query_string="COPY customers TO STDOUT"),
        unmapped=QueryUnmapped(
            evidence=Evidence(fidelity="exact", observed_by="pgaudit", actor_from="server"),
            result=QueryResult(
                is_export=True, method="copy_to", rows=20_000, tables=("public.customers",), program="psql"
            ),
        ),
        table=DatabaseTable(name="public.customers"),
        status_id=Outcome.SUCCESS,
        count=1,
    ),
    "application_act": api_activity(
        ApiActivityKind.CREATE,
        time=_TIME,
        metadata=event_metadata("access_log", "0.1.0"),
        actor=Actor(user=User(name="lin"), app_name="shop"),
        device=_SERVER,
        src_endpoint=_ADDRESS,
        api=Api(operation="manual_order_created", service=Service(name="shop")),
        resources=(Resource(name="M-1001", type="order"),),
        status_id=Outcome.SUCCESS,
        unmapped=Unmapped(evidence=Evidence(fidelity="exact", observed_by="log_file", actor_from="server")),
    ),
    "logged_in": authentication(
        AuthenticationActivity.LOGON,
        time=_TIME,
        metadata=event_metadata("logins", "0.1.0"),
        actor=Actor(app_name="sshd"),
        device=_SERVER,
        user=User(name="lin", credential_uid="SHA256:hK1Hfcrc4kIJQ+lbQLG1d09SuIF168Lbl+wyr5MQ2Mw"),
        service=Service(name="sshd"),
        status_id=Outcome.SUCCESS,
        src_endpoint=_ADDRESS,
        logon_type_id=LogonType.REMOTE_INTERACTIVE,
        auth_protocol="publickey",
        unmapped=Unmapped(evidence=Evidence(fidelity="exact", observed_by="journald", actor_from="server")),
    ),
    "file_copied": file_system_activity(
        FileActivity.CREATE,
        time=_TIME,
        metadata=_METADATA,
        actor=_ACTOR,
        device=_HOST,
        file=_FILE,
        unmapped=_UNMAPPED,
    ),
    "file_deleted": file_system_activity(
        FileActivity.DELETE,
        time=_TIME,
        metadata=_METADATA,
        actor=_ACTOR,
        device=_HOST,
        file=_FILE,
        unmapped=_UNMAPPED,
    ),
    "labelled_file_copied": file_system_activity(
        FileActivity.CREATE,
        time=_TIME,
        metadata=event_metadata("removable_storage", "0.1.0", labelled=True),
        actor=_ACTOR,
        device=_HOST,
        file=_LABELLED,
        unmapped=_UNMAPPED,
    ),
    "device_connected": peripheral_activity(
        PeripheralActivityKind.CONNECT,
        time=_TIME,
        metadata=_METADATA,
        actor=Actor(app_name="udev"),
        device=_HOST,
        peripheral_device=_STICK,
        unmapped=DeviceUnmapped(evidence=Evidence(fidelity="exact", observed_by="udev")),
    ),
    "file_uploaded": file_upload(
        time=_TIME,
        metadata=event_metadata("uploads", "0.1.0"),
        actor=_ACTOR,
        device=_HOST,
        file=File(
            name="plan.pdf",
            type_id=FileType.REGULAR,
            path="/home/lin/Documents/plan.pdf",
            ext="pdf",
            size=2_400_000,
        ),
        unmapped=TransferUnmapped(
            evidence=Evidence(fidelity="exact", observed_by="fanotify_permission", actor_from="proc"),
            transfer=Transfer(
                category="messenger", application="WeChat", bytes_sent=2_500_000, connections=1
            ),
        ),
        dst_endpoint=DestinationEndpoint(ip="192.0.2.7", port=443, svc_name="WeChat"),
    ),
    "mail_sent": email_sent(
        time=_TIME,
        metadata=event_metadata("mail", "0.1.0"),
        actor=Actor(user=User(name="lin@firm.example")),
        device=Host(hostname="mx", type_id=HostType.SERVER, uid="mx"),
        src_endpoint=SourceEndpoint(ip="192.0.2.7"),
        email=Email(
            sender_address="lin@firm.example",
            to=("*@gmail.com",),
            size=3_300_000,
            files=(File(name="holiday.jpg", type_id=FileType.REGULAR, ext="jpg", size=2_400_000),),
        ),
        unmapped=TransferUnmapped(
            evidence=Evidence(fidelity="exact", observed_by="mailbox", actor_from="server"),
            transfer=Transfer(category="webmail"),
        ),
    ),
    "print_job": peripheral_activity(
        PeripheralActivityKind.OTHER,
        time=_TIME,
        metadata=event_metadata("printing", "0.1.0"),
        actor=Actor(user=User(name="lin")),
        device=Host(hostname="printserver", type_id=HostType.SERVER, uid="printserver"),
        peripheral_device=PeripheralDevice(name="second-floor", type_id=PeripheralType.PRINTER),
        unmapped=DeviceUnmapped(
            evidence=Evidence(fidelity="likely", observed_by="log_file", actor_from="server"),
            print_job=PrintJob(pages=3),
        ),
    ),
    "screenshot_tool_started": process_launch(
        time=_TIME,
        metadata=event_metadata("screenshots", "0.1.0"),
        actor=Actor(user=User(name="lin"), process=_SCREENSHOT_TOOL),
        device=_HOST,
        process=_SCREENSHOT_TOOL,
        unmapped=Unmapped(
            evidence=Evidence(fidelity="exact", observed_by="proc_events", actor_from="proc_events")
        ),
    ),
}
_LEAVER: Final = LeaverFields(
    person=PersonFields(status=PersonStatus.ACTIVE, id="e-1", department="sales", peer_group="sales"),
    account=AccountFields(kind="personal", owner_id="e-1"),
    device=DeviceFields(first_seen_for_person=False),
    time=TimeFields(local_hour=14, day_type="work"),
    evidence=EvidenceFields(fidelity="exact"),
)
