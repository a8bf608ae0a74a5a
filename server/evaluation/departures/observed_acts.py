"""Acts as the collectors report them: the same fields, the same words (collectors/*_events.py)."""

from __future__ import annotations

from typing import Literal

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
from event_schema.ocsf_events import Event, FileActivity, event_metadata, file_system_activity
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
    DestinationCategory,
    Evidence,
    QueryResult,
    QueryUnmapped,
    Transfer,
    TransferUnmapped,
    Unmapped,
)

VERSION = "0.1.0"
_ACTIVITY = {
    "read": ApiActivityKind.READ,
    "create": ApiActivityKind.CREATE,
    "update": ApiActivityKind.UPDATE,
    "delete": ApiActivityKind.DELETE,
}
_LOGON_TYPES = {
    "gdm-password": LogonType.INTERACTIVE,
    "sshd": LogonType.REMOTE_INTERACTIVE,
    "dovecot": LogonType.NETWORK,
}


def laptop(name: str) -> Host:
    return Host(hostname=name, type_id=HostType.LAPTOP, uid=name)


def server(name: str) -> Host:
    return Host(hostname=name, type_id=HostType.SERVER, uid=name)


def login(
    time: int,
    host: Host,
    account: str,
    *,
    service: str = "gdm-password",
    address: str | None = None,
    key: str | None = None,
    failed: str | None = None,
    count: int | None = None,
) -> Event:
    """key: fingerprint of the public key that opened the door. failed: why it was refused. count: attempts
    that were put together."""
    return authentication(
        AuthenticationActivity.LOGON,
        time=time,
        metadata=event_metadata("logins", VERSION),
        actor=Actor(process=Process(pid=process_id(time), name=service), app_name=service),
        device=host,
        user=User(name=account, credential_uid=key),
        service=Service(name=service),
        status_id=Outcome.SUCCESS if failed is None else Outcome.FAILURE,
        status_detail=failed,
        src_endpoint=None if address is None else SourceEndpoint(ip=address, port=40_000 + time % 20_000),
        logon_type_id=_LOGON_TYPES[service],
        # Of other services than sshd the log does not say how.
        auth_protocol=("publickey" if key else "password") if service == "sshd" else None,
        count=count,
        unmapped=Unmapped(evidence=Evidence(fidelity="exact", observed_by="journald", actor_from="server")),
    )


def logout(time: int, host: Host, account: str, *, began: int, address: str | None = None) -> Event:
    """The end of the sshd session that `login` told at `began`."""
    return authentication(
        AuthenticationActivity.LOGOFF,
        time=time,
        metadata=event_metadata("logins", VERSION),
        actor=Actor(process=Process(pid=process_id(began), name="sshd"), app_name="sshd"),
        device=host,
        user=User(name=account),
        service=Service(name="sshd"),
        status_id=Outcome.SUCCESS,
        src_endpoint=None if address is None else SourceEndpoint(ip=address),
        logon_type_id=LogonType.REMOTE_INTERACTIVE,
        unmapped=Unmapped(evidence=Evidence(fidelity="exact", observed_by="journald", actor_from="server")),
    )


def act(
    time: int,
    host: Host,
    application: str,
    account: str,
    action: str,
    *,
    address: str,
    device: str | None,
    activity: Literal["read", "create", "update", "delete"] = "read",
    object_type: str | None = None,
    name: str | None = None,
    count: int | None = None,
    worked: bool = True,
) -> Event:
    """In an application whose access log is mapped."""
    resources = None if object_type is None else (Resource(name=name or object_type, type=object_type),)
    return api_activity(
        _ACTIVITY[activity],
        time=time,
        metadata=event_metadata("access_log", VERSION),
        actor=Actor(user=User(name=account), app_name=application),
        device=host,
        src_endpoint=SourceEndpoint(ip=address, uid=device),
        api=Api(operation=action, service=Service(name=application)),
        resources=resources,
        status_id=Outcome.SUCCESS if worked else Outcome.FAILURE,
        count=count,
        unmapped=Unmapped(evidence=Evidence(fidelity="exact", observed_by="log_file", actor_from="server")),
    )


def copy_to_stick(
    time: int, host: Host, account: str, *, stick: str, name: str, size: int, digest: str
) -> Event:
    device = PeripheralDevice(
        name="SanDisk Ultra",
        type_id=PeripheralType.EXTERNAL_STORAGE,
        uid=f"0781:5591:{stick}",
        serial_number=stick,
        vendor_name="SanDisk",
        model="Ultra",
    )
    return file_system_activity(
        FileActivity.CREATE,
        time=time,
        metadata=event_metadata("removable_storage", VERSION),
        actor=_program(account, "/usr/bin/nautilus", time),
        device=host,
        file=_file(name, size, digest, f"/media/{account}/ULTRA/{name}", DriveType.REMOVABLE),
        unmapped=Unmapped(
            evidence=Evidence(fidelity="exact", observed_by="fanotify_fid", actor_from="audit"),
            peripheral_device=device,
        ),
    )


def upload(
    time: int,
    host: Host,
    account: str,
    *,
    application: str,
    category: DestinationCategory,
    name: str,
    size: int,
    digest: str,
    to_host: str | None = None,
) -> Event:
    """to_host: where no catalogue names the place."""
    return file_upload(
        time=time,
        metadata=event_metadata("uploads", VERSION),
        actor=_program(account, f"/usr/bin/{application.lower()}", time),
        device=host,
        file=_file(name, size, digest, f"/home/{account}/Documents/{name}"),
        unmapped=TransferUnmapped(
            evidence=Evidence(fidelity="exact", observed_by="fanotify_permission", actor_from="proc"),
            transfer=Transfer(category=category, application=application, bytes_sent=size, connections=1),
        ),
        dst_endpoint=DestinationEndpoint(
            port=443, svc_name=application if to_host is None else None, hostname=to_host
        ),
    )


def synchronised(
    time: int, host: Host, account: str, *, application: str, name: str, size: int, digest: str
) -> Event:
    """A file in a cloud drive's folder: put there by somebody, or by the client itself as it came down."""
    return file_upload(
        time=time,
        metadata=event_metadata("sync_folders", VERSION),
        actor=Actor(user=User(name=account, uid="1000")),
        device=host,
        file=_file(name, size, digest, f"/home/{account}/{application}/{name}"),
        unmapped=TransferUnmapped(
            evidence=Evidence(
                fidelity="likely",
                observed_by="watchdog",
                actor_from="file_owner",
                gap="who put it there is not known, only whose it is",
            ),
            transfer=Transfer(category="cloud_drive", application=application),
        ),
        dst_endpoint=DestinationEndpoint(svc_name=application),
    )


def mail(
    time: int,
    host: Host,
    account: str,
    *,
    domain: str,
    category: DestinationCategory,
    address: str,
    name: str,
    mime_type: str,
    size: int,
    digest: str,
) -> Event:
    """With one attachment, to the outside."""
    return email_sent(
        time=time,
        metadata=event_metadata("mail", VERSION),
        actor=Actor(user=User(name=account)),
        device=host,
        src_endpoint=SourceEndpoint(ip=address),
        email=Email(
            sender_address=f"{account}@firm.example",
            to=(f"*@{domain}",),
            size=size * 4 // 3,
            files=(_file(name, size, digest, mime_type=mime_type),),
        ),
        unmapped=TransferUnmapped(
            evidence=Evidence(fidelity="exact", observed_by="mailbox", actor_from="server"),
            transfer=Transfer(category=category),
        ),
    )


def table_copied(time: int, host: Host, account: str, *, address: str, table: str, rows: int) -> Event:
    """COPY … TO STDOUT, as pgaudit says it."""
    return datastore_activity(
        DatastoreActivityKind.READ,
        time=time,
        metadata=event_metadata("postgresql", VERSION),
        actor=Actor(user=User(name=account)),
        device=host,
        src_endpoint=SourceEndpoint(ip=address, port=50_123),
        database=Database(name="crm", type_id=DatabaseType.RELATIONAL),
        query_info=QueryInfo(uid="9f2c", query_string=f"COPY {table} TO STDOUT"),
        unmapped=QueryUnmapped(
            evidence=Evidence(fidelity="exact", observed_by="pgaudit", actor_from="server"),
            result=QueryResult(is_export=True, method="copy_to", rows=rows, tables=(table,), program="psql"),
        ),
        table=DatabaseTable(name=table),
        status_id=Outcome.SUCCESS,
        count=1,
    )


def _file(
    name: str,
    size: int,
    digest: str,
    path: str | None = None,
    drive: DriveType | None = None,
    mime_type: str | None = None,
) -> File:
    return File(
        name=name,
        type_id=FileType.REGULAR,
        path=path,
        ext=name.rpartition(".")[2],
        mime_type=mime_type,
        size=size,
        hashes=(Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=digest),),
        drive_type_id=drive,
        volume="ULTRA" if drive is DriveType.REMOVABLE else None,
    )


def _program(account: str, path: str, time: int) -> Actor:
    name = path.rpartition("/")[2]
    executable = Executable(name=name, type_id=FileType.REGULAR, path=path)
    return Actor(user=User(name=account), process=Process(pid=process_id(time), name=name, file=executable))


def process_id(time: int) -> int:
    return 1000 + time % 60_000
