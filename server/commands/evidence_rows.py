"""One event of an alert as a row: how much, what, with which program or from where, the content's hash.

Works on the masked event as analysts get it (plain values), of every class. The phrases are English; who
shows a row in another language translates them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from event_schema.byte_size import byte_size
from server.accounts.audit_words import Say, in_english
from server.alerts.view_types import EventView

Row = tuple[str, str, str, str]
"""Size or count, what, program or source, beginning of the SHA-256."""
_NONE: Final = "-"
_KNOWN_EXPORT: Final = "content of a known export"
_ORIGINS: Final = {
    "database_export": "content of a database export",
    "file_server": "content from a file server",
}
_LOGIN_ACTS: Final = {1: "logged in", 2: "logged out"}
_DEVICE_ACTS: Final = {1: "{device} plugged in", 2: "{device} taken out"}
_FILE_ACTS: Final = {4: "deleted", 5: "renamed"}
PHRASES: Final = frozenset(
    {
        _KNOWN_EXPORT,
        *_ORIGINS.values(),
        *_LOGIN_ACTS.values(),
        *_DEVICE_ACTS.values(),
        *_FILE_ACTS.values(),
        *("→ synced folder of {place}", "no attachments", "another account", "refused", "encrypted"),
        *("refused to become {account}", "became {account}", "{rows} rows", "{pages} p."),
        *("printed on {device}", "{program} started", "a program", "class {number}"),
    }
)
"""All that a row says of its own."""


class Words(msgspec.Struct, frozen=True):
    """How a row is worded. `label`: of a kind of data as agents call it."""

    say: Say
    label: Callable[[str], str]


IN_ENGLISH: Final = Words(in_english, str)


def evidence_row(found: EventView, words: Words = IN_ENGLISH) -> Row:
    of_class = _OF_CLASS.get(found.event["class_uid"], _other)
    size, what, program, sha256 = of_class(found.event, words)
    file = found.event["leaver"].get("file") or {}
    if file.get("known_export"):
        what += f" ({words.say(_ORIGINS.get(str(file.get('origin')), _KNOWN_EXPORT))})"
    return size, what, program, sha256


def _file(event: dict[str, Any], words: Words) -> Row:
    result, act = event.get("file_result"), event["activity_id"]
    if result and act == 5:
        done = f" → {result['name']}"
    else:
        done = f" ({words.say(_FILE_ACTS[act])})" if act in _FILE_ACTS else ""
    file = event["file"]
    return _size(file.get("size")), file["name"] + done + _labels(file, words), _program(event), _hash(file)


def _upload(event: dict[str, Any], words: Words) -> Row:
    file = event["file"]
    size = file.get("size", event["unmapped"]["transfer"].get("bytes_sent"))
    place = event.get("dst_endpoint") or {}
    where = place.get("svc_name") or place.get("hostname") or place.get("ip")
    to = ""
    if where:
        is_synced = event["metadata"]["log_name"] == "sync_folders"
        to = " " + (words.say("→ synced folder of {place}", place=where) if is_synced else f"→ {where}")
    what = f"{file['name']}{to}{_labels(file, words)}"
    return _size(size), what, _program(event), _hash(file)


def _mail(event: dict[str, Any], words: Words) -> Row:
    files = event["email"].get("files") or []
    names = ", ".join(file["name"] for file in files) or words.say("no attachments")
    domains = ", ".join(sorted({address.removeprefix("*@") for address in event["email"]["to"]}))
    sha256 = _hash(files[0]) if files else _NONE
    return _size(event["email"].get("size")), f"{names} → {domains}", _NONE, sha256


def _login(event: dict[str, Any], words: Words) -> Row:
    is_refused = event["status_id"] == 2
    if event["activity_id"] == 7:
        other = event["user"].get("name") or event["user"].get("uid") or words.say("another account")
        how = words.say("refused to become {account}" if is_refused else "became {account}", account=other)
    else:
        how = words.say("refused" if is_refused else _LOGIN_ACTS[event["activity_id"]])
    detail = event.get("status_detail")
    what = f"{event['service']['name']}: {how}{f' ({detail})' if detail else ''}"
    return _times(event), what, _source(event), _NONE


def _act(event: dict[str, Any], _words: Words) -> Row:
    names = ", ".join(resource["name"] for resource in event.get("resources") or [])
    return _times(event), f"{event['api']['operation']} {names}".rstrip(), _source(event), _NONE


def _statement(event: dict[str, Any], words: Words) -> Row:
    result = event["unmapped"]["result"]
    what = f"{event['database']['name']}: {', '.join(result.get('tables') or []) or result['method']}"
    rows = result.get("rows")
    size = _size(event["query_info"].get("bytes"))
    if rows is not None:
        size = words.say("{rows} rows", rows=f"{rows:,}")
    return size, what, str(result.get("program") or _source(event)), _NONE


def _device(event: dict[str, Any], words: Words) -> Row:
    job, name = event["unmapped"].get("print_job"), str(event["peripheral_device"]["name"])
    if event["activity_id"] == 99:
        pages = "?" if job is None else words.say("{pages} p.", pages=f"{job['pages']:,}")
        return pages, words.say("printed on {device}", device=name), _NONE, _NONE
    return "", words.say(_DEVICE_ACTS[event["activity_id"]], device=name), _NONE, _NONE


def _start(event: dict[str, Any], words: Words) -> Row:
    program = event["process"].get("name") or words.say("a program")
    return "", words.say("{program} started", program=program), _NONE, _NONE


def _other(event: dict[str, Any], words: Words) -> Row:
    return "", words.say("class {number}", number=event["class_uid"]), _NONE, _NONE


_OF_CLASS: Final[dict[int, Callable[[dict[str, Any], Words], Row]]] = {
    1001: _file,
    1007: _start,
    1010: _device,
    3002: _login,
    4009: _mail,
    6003: _act,
    6005: _statement,
    6006: _upload,
}


def _labels(file: dict[str, Any], words: Words) -> str:
    """What it holds, as counts; the languages of source code are left out."""
    found = [
        f"{detail['count']:,} {words.label(detail['type'])}"
        for each in file.get("data_classifications") or ()
        for detail in each["discovery_details"]
        if not detail["type"].startswith("source_code.")
    ]
    if file.get("is_encrypted"):
        found.append(words.say("encrypted"))
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
