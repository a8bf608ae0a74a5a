"""How the command line words the parts of an alert: people, devices, times, counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from rich.text import Text

from event_schema.byte_size import byte_size
from event_schema.leaver_fields import PersonStatus
from event_schema.printable import printable_name
from server.alerts.view_types import AlertView, DestinationView, Who

Viewed = TypeVar("Viewed")


def printable(view: Viewed, kind: type[Viewed]) -> Viewed:
    """The view with no character that could steer a terminal: names come from hosts that may be hostile."""
    return msgspec.convert(_printable_value(msgspec.to_builtins(view)), kind)


def _printable_value(value: Any) -> Any:
    match value:
        case str():
            return printable_name(value)
        case dict():
            return {key: _printable_value(item) for key, item in value.items()}
        case list() | tuple():
            return [_printable_value(item) for item in value]
        case _:
            return value


def who_words(who: Who) -> str:
    return " · ".join(part for part in (shown_name(who), who.department, status_words(who)) if part)


def shown_name(who: Who) -> str:
    if who.name is None and not who.accounts:
        return who.pseudonym
    details = ", ".join(part for part in (who.id, *who.accounts) if part)
    return f"{who.name or who.pseudonym} ({details})"


def status_words(who: Who) -> str:
    days = who.days_to_last_day
    match who.status:
        case PersonStatus.LEFT if days is not None:
            return f"left {counted(-days, 'day')} ago"
        case PersonStatus.NOTICE if days is None:
            return "on notice"
        case PersonStatus.NOTICE:
            # As of the alert's last event, which may be long ago: "in 6 days" would be read as from today.
            before = f"{counted(days or 0, 'day')} before the last day"
            return "on the last day" if days == 0 else f"on notice, {before}"
        case PersonStatus.UNKNOWN:
            return "not a known person"
        case _:
            return str(who.status)


def destination_words(destination: DestinationView) -> str:
    taken = f"{counted(destination.files, 'file')}, {byte_size(destination.bytes)}"
    if destination.remote is not None:
        return f"{destination.remote}: {taken}"
    device = destination.device or {}
    maker = " ".join(str(device[part]) for part in ("vendor_name", "model") if device.get(part))
    name = maker or str(device.get("name") or "a device that could not be told")
    single = device.get("serial_number") or device.get("uid")
    volume = f', volume "{destination.volume}"' if destination.volume else ""
    return f"{name}{f' [{single}]' if single else ''}{volume}: {taken}"


def label_words(labels: dict[str, int]) -> str:
    """ "400 resident ids, 1 secret mark". The company's own labels keep their names."""
    words = []
    for label, count in labels.items():
        if label.startswith("mark_"):
            name = f"{label.removeprefix('mark_')} mark"
        elif label == "source_code":
            name = "source code file"
        else:
            name = label
        words.append(counted(count, printable_name(name).replace("_", " ")))
    return ", ".join(words)


def score_text(score: int) -> Text:
    return Text(str(score), style="bold red" if score >= 70 else "bold yellow" if score >= 50 else "bold")


def counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def zone_of(alert: AlertView) -> str:
    return alert.who.time_zone or "UTC"


def local_time(at: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone))


def moment(at: int, zone: str) -> str:
    """With the time zone, and its distance from UTC then."""
    return f"{local_time(at, zone):%Y-%m-%d %H:%M} {zone_words(at, zone)}"


def zone_words(at: int, zone: str) -> str:
    """ "Asia/Shanghai (UTC+08:00)"; in summer another one than in winter."""
    if zone == "UTC":
        return zone
    return f"{zone} (UTC{local_time(at, zone).isoformat()[-6:]})"


def time_span(first: int, last: int, zone: str) -> str:
    start, end = local_time(first, zone), local_time(last, zone)
    same_day = start.date() == end.date()
    shown_end = end.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S")
    return f"{start:%a %Y-%m-%d %H:%M:%S} to {shown_end} {zone_words(last, zone)}"
