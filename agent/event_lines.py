"""An event as a line that a person reads: when, who, act, size, program, where, what. Pure."""

from __future__ import annotations

from datetime import datetime
from functools import singledispatch
from typing import Final

from event_schema.byte_size import byte_size
from event_schema.ocsf_account_events import (
    ApiActivity,
    ApiActivityKind,
    Authentication,
    AuthenticationActivity,
    DatastoreActivity,
    Outcome,
)
from event_schema.ocsf_endpoint_events import (
    FileActivity,
    FileSystemActivity,
    PeripheralActivity,
    PeripheralActivityKind,
    ProcessActivity,
)
from event_schema.ocsf_events import Event, account_of
from event_schema.ocsf_network import DestinationEndpoint, Resource, SourceEndpoint
from event_schema.ocsf_objects import File, Process
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity

_ROW = "{:<12} {:<12} {:<10} {:>9}  {:<16} {:<24} {}"
HEADING: Final = _ROW.format("TIME", "USER", "ACT", "SIZE", "PROGRAM", "WHERE", "WHAT")

_FILE_ACTS = {
    FileActivity.CREATE: "new",
    FileActivity.UPDATE: "changed",
    FileActivity.DELETE: "deleted",
    FileActivity.RENAME: "renamed",
}
_DEVICE_ACTS = {
    PeripheralActivityKind.CONNECT: "plugged in",
    PeripheralActivityKind.DISCONNECT: "taken out",
    PeripheralActivityKind.OTHER: "printed",
}
_LOGIN_ACTS = {
    AuthenticationActivity.LOGON: "logged in",
    AuthenticationActivity.LOGOFF: "logged out",
    AuthenticationActivity.ACCOUNT_SWITCH: "became",
}
_API_ACTS = {
    ApiActivityKind.CREATE: "created",
    ApiActivityKind.READ: "read",
    ApiActivityKind.UPDATE: "changed",
    ApiActivityKind.DELETE: "deleted",
    ApiActivityKind.OTHER: "did",
}
_Columns = tuple[str, str, str, str, str]
"""Act, size, program, where, what."""


def readable_line(event: Event) -> str:
    when = datetime.fromtimestamp(event.time / 1000).astimezone().strftime("%H:%M:%S.%f")[:12]
    return _ROW.format(when, _user(event), *_columns(event)).rstrip()


def readable_size(size: int | None) -> str:
    return "?" if size is None else byte_size(size)


@singledispatch
def _columns(event: Event) -> _Columns:
    raise TypeError(f"no line for {type(event).__name__}")


@_columns.register
def _process(event: ProcessActivity) -> _Columns:
    return "started", "", _program(event.process), "", ""


@_columns.register
def _upload(event: FileHostingActivity) -> _Columns:
    size, program = readable_size(event.file.size), _program(event.actor.process)
    # The client sends it by and by: what is seen is that it came into the folder.
    act = "synced" if event.unmapped.evidence.observed_by == "watchdog" else "uploaded"
    sent = event.unmapped.transfer.bytes_sent
    what = (event.file.path or event.file.name) + _labels(event.file)
    if sent is not None:
        what += f", {readable_size(sent)} sent"
    return act, size, program, _destination(event.dst_endpoint), what


@_columns.register
def _mail(event: EmailActivity) -> _Columns:
    names = ", ".join(file.name + _labels(file) for file in event.email.files or ())
    domains = ", ".join(sorted({address[2:] for address in event.email.to}))
    return "mailed", readable_size(event.email.size), "", domains, names


@_columns.register
def _act(event: ApiActivity) -> _Columns:
    names = ", ".join(_resource(each) for each in event.resources or ())
    count = "" if event.count is None else f"{event.count:,}"
    act = "refused" if event.status_id is Outcome.FAILURE else _API_ACTS[event.activity_id]
    application = "" if event.api.service is None else f"{event.api.service.name}: "
    what = f"{application}{event.api.operation} {names}".rstrip()
    return act, count, "", _source(event.src_endpoint), what


@_columns.register
def _file(event: FileSystemActivity) -> _Columns:
    device = event.unmapped.peripheral_device
    where = device.name if device is not None else (event.file.volume or "")
    # Where a folder stands for the device it is said once.
    folder = f"{where.rstrip('/')}/" if where.startswith("/") else ""
    name = (event.file.path or event.file.name).removeprefix(folder)
    if event.file_result is not None:
        name += f" → {(event.file_result.path or event.file_result.name).removeprefix(folder)}"
    name += _labels(event.file_result or event.file)
    act = _FILE_ACTS[event.activity_id]
    if event.unmapped.origin is not None:
        act = "exported"
    if event.file.is_deleted and event.activity_id is not FileActivity.DELETE:
        act = "new, gone"
    return act, readable_size(event.file.size), _program(event.actor.process), where, name


@_columns.register
def _device(event: PeripheralActivity) -> _Columns:
    device, job = event.peripheral_device, event.unmapped.print_job
    size = "" if job is None else f"{job.pages} p."
    return _DEVICE_ACTS[event.activity_id], size, "", device.name, device.uid or ""


@_columns.register
def _login(event: Authentication) -> _Columns:
    act = _LOGIN_ACTS[event.activity_id]
    if event.status_id is Outcome.FAILURE:
        act = "refused"
    count = "" if event.count is None or event.count < 2 else f"{event.count:,} ×"
    became = None
    if event.activity_id is AuthenticationActivity.ACCOUNT_SWITCH:
        became = f"to {event.user.name or event.user.uid}"
    how = ", ".join(filter(None, (became, event.auth_protocol, event.status_detail)))
    return act, count, event.service.name, _source(event.src_endpoint), how


@_columns.register
def _statement(event: DatastoreActivity) -> _Columns:
    query = event.unmapped.result
    what = ", ".join(query.tables or ()) or (event.table.name if event.table is not None else "")
    rows = "" if query.rows is None else f" ({query.rows:,} rows)"
    size = "" if event.query_info.bytes is None else readable_size(event.query_info.bytes)
    act = "exported" if query.is_export else "queried"
    return act, size, query.program or "", _source(event.src_endpoint), f"{event.database.name}: {what}{rows}"


def _resource(resource: Resource) -> str:
    is_named = resource.type is not None and resource.type != resource.name
    return f"{resource.type} {resource.name}" if is_named else resource.name


def _labels(file: File) -> str:
    found = [
        f"{detail.count:,} {detail.type}"
        for each in file.data_classifications or ()
        for detail in each.discovery_details
        if not detail.type.startswith("source_code.")
    ]
    return f" [{', '.join(found)}]" if found else ""


def _user(event: Event) -> str:
    user = account_of(event) or (event.user if isinstance(event, Authentication) else None)
    if user is not None:
        return user.name or user.uid or "?"
    return event.actor.app_name or "?"


def _program(process: Process | None) -> str:
    if process is None:
        return ""
    return process.file.name if process.file is not None else (process.name or f"pid {process.pid}")


def _source(endpoint: SourceEndpoint | None) -> str:
    if endpoint is None:
        return ""
    return endpoint.ip or endpoint.hostname or endpoint.uid or endpoint.name or ""


def _destination(endpoint: DestinationEndpoint | None) -> str:
    if endpoint is None:
        return "?"
    return endpoint.svc_name or endpoint.hostname or endpoint.ip or "?"
