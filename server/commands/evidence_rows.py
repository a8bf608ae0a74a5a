"""One event of an alert as a row: how much, what, with which program or from where, the content's hash.

Works on the masked event as analysts get it (plain values), of every class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from event_schema.byte_size import byte_size
from server.alerts.view_types import EventView

Row = tuple[str, str, str, str]
"""Size or count, what, program or source, beginning of the SHA-256."""
_NONE: Final = "-"
_ORIGINS: Final = {
    "database_export": "content of a database export",
    "file_server": "content from a file server",
}
_LOGIN_ACTS: Final = {1: "logged in", 2: "logged out"}
_DEVICE_ACTS: Final = {1: "plugged in", 2: "taken out"}


def evidence_row(found: EventView) -> Row:
    size, what, program, sha256 = _OF_CLASS.get(found.event["class_uid"], _other)(found.event)
    file = found.event["leaver"].get("file") or {}
    if file.get("known_export"):
        what += f" ({_ORIGINS.get(str(file.get('origin')), 'content of a known export')})"
    return size, what, program, sha256


def _file(event: dict[str, Any]) -> Row:
    result = event.get("file_result")
    act = {4: " (deleted)", 5: f" → {result['name']}" if result else " (renamed)"}
    file = event["file"]
    name = file["name"] + act.get(event["activity_id"], "") + _labels(file)
    return _size(file.get("size")), name, _program(event), _hash(file)


def _upload(event: dict[str, Any]) -> Row:
    file = event["file"]
    size = file.get("size", event["unmapped"]["transfer"].get("bytes_sent"))
    place = event.get("dst_endpoint") or {}
    where = place.get("svc_name") or place.get("hostname") or place.get("ip")
    arrow = "→ synced folder of" if event["metadata"]["log_name"] == "sync_folders" else "→"
    what = f"{file['name']}{f' {arrow} {where}' if where else ''}{_labels(file)}"
    return _size(size), what, _program(event), _hash(file)


def _mail(event: dict[str, Any]) -> Row:
    files = event["email"].get("files") or []
    names = ", ".join(file["name"] for file in files) or "no attachments"
    domains = ", ".join(sorted({address.removeprefix("*@") for address in event["email"]["to"]}))
    sha256 = _hash(files[0]) if files else _NONE
    return _size(event["email"].get("size")), f"{names} → {domains}", _NONE, sha256


def _login(event: dict[str, Any]) -> Row:
    is_refused = event["status_id"] == 2
    if event["activity_id"] == 7:
        other = event["user"].get("name") or event["user"].get("uid") or "another account"
        how = f"{'refused to become' if is_refused else 'became'} {other}"
    else:
        how = "refused" if is_refused else _LOGIN_ACTS[event["activity_id"]]
    detail = event.get("status_detail")
    what = f"{event['service']['name']}: {how}{f' ({detail})' if detail else ''}"
    return _times(event), what, _source(event), _NONE


def _act(event: dict[str, Any]) -> Row:
    names = ", ".join(resource["name"] for resource in event.get("resources") or [])
    return _times(event), f"{event['api']['operation']} {names}".rstrip(), _source(event), _NONE


def _statement(event: dict[str, Any]) -> Row:
    result = event["unmapped"]["result"]
    what = f"{event['database']['name']}: {', '.join(result.get('tables') or []) or result['method']}"
    rows = result.get("rows")
    size = f"{rows:,} rows" if rows is not None else _size(event["query_info"].get("bytes"))
    return size, what, str(result.get("program") or _source(event)), _NONE


def _device(event: dict[str, Any]) -> Row:
    job, name = event["unmapped"].get("print_job"), str(event["peripheral_device"]["name"])
    if event["activity_id"] == 99:
        pages = "?" if job is None else f"{job['pages']:,} p."
        return pages, f"printed on {name}", _NONE, _NONE
    return "", f"{name} {_DEVICE_ACTS[event['activity_id']]}", _NONE, _NONE


def _start(event: dict[str, Any]) -> Row:
    return "", f"{event['process'].get('name') or 'a program'} started", _NONE, _NONE


def _other(event: dict[str, Any]) -> Row:
    return "", f"class {event['class_uid']}", _NONE, _NONE


_OF_CLASS: Final[dict[int, Callable[[dict[str, Any]], Row]]] = {
    1001: _file,
    1007: _start,
    1010: _device,
    3002: _login,
    4009: _mail,
    6003: _act,
    6005: _statement,
    6006: _upload,
}


def _labels(file: dict[str, Any]) -> str:
    """What it holds, as counts; the languages of source code are left out."""
    found = [
        f"{detail['count']:,} {detail['type']}"
        for each in file.get("data_classifications") or ()
        for detail in each["discovery_details"]
        if not detail["type"].startswith("source_code.")
    ]
    if file.get("is_encrypted"):
        found.append("encrypted")
    return f" [{', '.join(found)}]" if found else ""


def _size(size: Any) -> str:
    return "?" if size is None else byte_size(int(size))


def _times(event: dict[str, Any]) -> str:
    count = event.get("count")
    return "" if count is None else f"{count:,} ×"


def _program(event: dict[str, Any]) -> str:
    process = event["actor"].get("process") or {}
    return str(process.get("name") or _NONE)


def _source(event: dict[str, Any]) -> str:
    source = event.get("src_endpoint") or {}
    return str(source.get("ip") or source.get("hostname") or source.get("name") or _NONE)


def _hash(file: dict[str, Any]) -> str:
    hashes = file.get("hashes") or [{}]
    return str(hashes[0].get("value") or _NONE)[:10]
