"""Single events, as collectors tell them: the time comes last, when all else is known."""

from __future__ import annotations

from typing import Final, Literal

from event_schema.ocsf_account_events import DatastoreActivityKind, Outcome, datastore_activity
from event_schema.ocsf_endpoint_events import process_launch
from event_schema.ocsf_events import (
    Event,
    FileActivity,
    PeripheralActivityKind,
    event_metadata,
    file_system_activity,
    peripheral_activity,
)
from event_schema.ocsf_network import (
    Database,
    DatabaseTable,
    DatabaseType,
    QueryInfo,
    SourceEndpoint,
)
from event_schema.ocsf_objects import (
    Actor,
    DriveType,
    Executable,
    File,
    FileType,
    Host,
    PeripheralDevice,
    PeripheralType,
    Process,
    User,
)
from event_schema.ocsf_unmapped import (
    DestinationCategory,
    DeviceUnmapped,
    Evidence,
    PrintJob,
    QueryResult,
    QueryUnmapped,
    Unmapped,
)
from server.evaluation.departures.observed_acts import (
    VERSION,
    act,
    copy_to_stick,
    login,
    mail,
    server,
    upload,
)
from server.evaluation.simulator.desks import Desk

Activity = Literal["read", "create", "update", "delete"]
_EXACT: Final = Evidence(fidelity="exact", observed_by="log_file", actor_from="server")
_ON_SCREEN: Final = Evidence(fidelity="exact", observed_by="proc_events", actor_from="proc_events")
_METADATA: Final = {
    name: event_metadata(name, VERSION)
    for name in ("postgresql", "printing", "screenshots", "export_folders", "removable_storage")
}


def logged_in(host: Host, account: str, address: str | None, service: str, time: int) -> Event:
    return login(time, host, account, service=service, address=address)


def login_failed(host: Host, account: str, count: int, time: int) -> Event:
    return login(time, host, account, failed="wrong password", count=count)


def acted(
    desk: Desk, time: int, *, application: str, action: str, activity: Activity, kind: str, count: int
) -> Event:
    return act(
        time,
        desk.host if desk.is_server else server(application),
        application,
        desk.account,
        action,
        address=desk.address,
        device=None,
        activity=activity,
        object_type=kind,
        count=count,
    )


def archived(desk: Desk, number: int, time: int) -> Event:
    name = f"work-{time % 10**6}-{number}.zip"
    return file_system_activity(
        FileActivity.CREATE,
        time=time,
        metadata=_METADATA["export_folders"],
        actor=Actor(user=User(name=desk.account)),
        device=server("files"),
        file=File(name=name, type_id=FileType.REGULAR, ext="zip", drive_type_id=DriveType.REMOTE),
        unmapped=Unmapped(
            evidence=Evidence(fidelity="likely", observed_by="watchdog", actor_from="file_owner")
        ),
    )


def queried(desk: Desk, time: int, *, rows: int, count: int, size: int, is_export: bool = False) -> Event:
    return datastore_activity(
        DatastoreActivityKind.READ if is_export else DatastoreActivityKind.QUERY,
        time=time,
        metadata=_METADATA["postgresql"],
        actor=Actor(user=User(name=desk.account)),
        device=desk.host if desk.is_server else server("database"),
        src_endpoint=SourceEndpoint(ip=desk.address),
        database=Database(name="crm", type_id=DatabaseType.RELATIONAL),
        query_info=QueryInfo(uid="9f2c", query_string="SELECT * FROM customers", bytes=size),
        unmapped=QueryUnmapped(
            evidence=Evidence(fidelity="exact", observed_by="pgaudit", actor_from="server"),
            result=QueryResult(
                is_export=is_export,
                method="copy_to" if is_export else "select",
                rows=rows,
                tables=("customers",),
                program="psql",
            ),
        ),
        table=DatabaseTable(name="customers"),
        status_id=Outcome.SUCCESS,
        count=count,
    )


def plugged_in(desk: Desk, stick: str, time: int) -> Event:
    return peripheral_activity(
        PeripheralActivityKind.CONNECT,
        time=time,
        metadata=_METADATA["removable_storage"],
        actor=Actor(app_name="kernel"),
        device=desk.host,
        peripheral_device=PeripheralDevice(
            name="SanDisk Ultra",
            type_id=PeripheralType.EXTERNAL_STORAGE,
            uid=f"0781:5591:{stick}",
            serial_number=stick,
        ),
        unmapped=DeviceUnmapped(evidence=Evidence(fidelity="exact", observed_by="udev")),
    )


def copied(desk: Desk, stick: str, name: str, size: int, digest: str, time: int) -> Event:
    return copy_to_stick(time, desk.host, desk.account, stick=stick, name=name, size=size, digest=digest)


def uploaded(
    desk: Desk,
    application: str,
    category: DestinationCategory,
    name: str,
    size: int,
    digest: str,
    to_host: str | None,
    time: int,
) -> Event:
    return upload(
        time,
        desk.host,
        desk.account,
        application=application,
        category=category,
        name=name,
        size=size,
        digest=digest,
        to_host=to_host,
    )


def mailed(
    desk: Desk, domain: str, category: DestinationCategory, name: str, size: int, digest: str, time: int
) -> Event:
    return mail(
        time,
        server("mail"),
        desk.account,
        domain=domain,
        category=category,
        address=desk.address,
        name=name,
        mime_type="application/octet-stream",
        size=size,
        digest=digest,
    )


def printed(desk: Desk, pages: int, time: int) -> Event:
    return peripheral_activity(
        PeripheralActivityKind.OTHER,
        time=time,
        metadata=_METADATA["printing"],
        actor=Actor(user=User(name=desk.account)),
        device=server("print"),
        peripheral_device=PeripheralDevice(name="floor-2", type_id=PeripheralType.PRINTER),
        unmapped=DeviceUnmapped(evidence=_EXACT, print_job=PrintJob(pages=pages)),
    )


def screenshot_taken(desk: Desk, time: int) -> Event:
    program = Executable(name="gnome-screenshot", type_id=FileType.REGULAR, path="/usr/bin/gnome-screenshot")
    process = Process(pid=1000 + time % 60_000, name="gnome-screenshot", file=program)
    return process_launch(
        time=time,
        metadata=_METADATA["screenshots"],
        actor=Actor(user=User(name=desk.account), process=process),
        device=desk.host,
        process=process,
        unmapped=Unmapped(evidence=_ON_SCREEN),
    )
