"""Rows of an HR file as people: each cell checked by itself, each fault with its line, column and value."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, TypeVar
from zoneinfo import available_timezones

import msgspec

from server.people.account_names import account_key, machine_trait
from server.people.company import DEFAULT_TIME_ZONE
from server.people.dates import DayOrder, UnreadableDate, day_text, read_day, read_minute
from server.people.facts import EmploymentKind, LeavingType
from server.people.hr_columns import ADD_UP, Column, Problem, Row
from server.people.hr_words import kind_of, leaving_type_of
from server.people.import_mapping import ImportMapping

Meaning = TypeVar("Meaning")

ID_CHARACTERS: Final = 120
"""With 'person:' before it an id is an alert's subject, which has room for 128."""
ACCOUNTS_MAX: Final = 64
PRIORITY_MAX: Final = 9
_DATE_CHARACTERS: Final = 64
_LONGEST: Final[dict[Column, int]] = {
    "id": ID_CHARACTERS,
    "name": 256,
    "accounts": ACCOUNTS_MAX * 257,
    "devices": ACCOUNTS_MAX * 257,
    "department": 256,
    "job_role": 256,
    "manager": 256,
    "leaving_type": 256,
}
"""Others are _DATE_CHARACTERS."""
ACCOUNT_CHARACTERS: Final = 256
VALUE_SHOWN: Final = 60

_EMPTY: Final = frozenset({"-", "--", "n/a", "na", "none", "null", "nil", "无", "無", "/"})
_ROUNDED_NUMBER: Final = re.compile(r"\d(?:[.,]\d+)?E\+?\d{1,2}", re.IGNORECASE)
_UTC_OFFSET: Final = re.compile(r"(?:UTC|GMT) ?([+-])0?(\d{1,2})(?::?00)?", re.IGNORECASE)
_ZONE_NAMES: Final = {
    "北京时间": "Asia/Shanghai",
    "中国标准时间": "Asia/Shanghai",
    "china standard time": "Asia/Shanghai",
    "beijing": "Asia/Shanghai",
}


class PersonRow(msgspec.Struct, frozen=True):
    """One well-formed row. A column that the file does not have is in no `given`, its field means nothing."""

    line: int
    given: frozenset[Column]
    id: str
    """Empty where the file has no ids: then the accounts say who it is."""
    name: str | None = None
    accounts: tuple[str, ...] = ()
    """As account_key, sorted."""
    department: str | None = None
    job_role: str | None = None
    manager: str | None = None
    """An id, an account or a name."""
    time_zone: str | None = None
    priority: int | None = None
    devices: tuple[str, ...] = ()
    """Traits of machines (account_names.machine_trait), sorted."""
    since: int | None = None
    """From which local day new accounts and machines are the person's."""
    employment: str | None = None
    kind: EmploymentKind | None = None
    start_day: int | None = None
    notice_day: int | None = None
    last_day: int | None = None
    last_minute: int | None = None
    leaving_type: LeavingType | None = None


class _Refused(Exception):
    def __init__(self, column: Column, value: str, message: str) -> None:
        super().__init__(message)
        self.column: Column = column
        self.value = value


ZoneOf = Callable[[str, tuple[str, ...]], str]
"""The time zone of whoever has this id (empty where the file has none) or these accounts."""


def person_row(
    row: Row, mapping: ImportMapping | None = None, zone_of: ZoneOf = lambda _id, _accounts: DEFAULT_TIME_ZONE
) -> PersonRow | Problem:
    """The row as a person, or its first fault. `zone_of`: asked where the row names no time zone and a
    date is written as a moment."""
    try:
        return _person_row(row, mapping or ImportMapping(), zone_of)
    except _Refused as refused:
        return Problem(row.line, refused.column, shown_value(refused.value), str(refused))


def shown_value(value: str) -> str:
    return value if len(value) <= VALUE_SHOWN else value[: VALUE_SHOWN - 1] + "…"


def _person_row(row: Row, mapping: ImportMapping, zone_of: ZoneOf) -> PersonRow:
    for column, value in row.cells.items():
        _check_text(column, value)
    if mapping.values:
        row = Row(row.line, {column: mapping.value(column, cell) for column, cell in row.cells.items()})
    person_id = row.cells.get("id", "")
    if not person_id and "id" in row.cells:
        raise _Refused("id", "", "the id is missing")
    if _ROUNDED_NUMBER.fullmatch(person_id):
        raise _Refused("id", person_id, "a spreadsheet rounded this number: format the column as text")
    names = _names(row, "accounts")
    if not person_id and not names:
        raise _Refused("accounts", row.cells["accounts"], "the account is missing: it says who this is")
    time_zone = _zone(row)

    def day(column: Column) -> int | None:
        if _optional(row, column) is None:
            return None
        return _day(row, column, mapping.date_order, time_zone or zone_of(person_id, names))

    last = day("last_working_day")
    found = PersonRow(
        line=row.line,
        given=frozenset(row.cells),
        id=person_id,
        name=_optional(row, "name"),
        accounts=names,
        department=_optional(row, "department"),
        job_role=_optional(row, "job_role"),
        manager=_optional(row, "manager"),
        time_zone=time_zone,
        priority=_priority(row),
        devices=_machines(row),
        since=day("since"),
        employment=_optional(row, "employment"),
        kind=_word(row, "kind", kind_of, "employee or partner"),
        start_day=day("start_date"),
        notice_day=day("notice_date"),
        last_day=day("end_date") if last is None else last,
        last_minute=_minute(row),
        leaving_type=_word(
            row, "leaving_type", leaving_type_of, "resigned, dismissed, end_of_contract or partner_end"
        ),
    )
    _check_order(row, found)
    return found


def _check_order(row: Row, found: PersonRow) -> None:
    last = found.last_day
    if last is None:
        if found.last_minute is not None:
            raise _Refused("last_hour", row.cells["last_hour"], "there is no last working day to go with it")
        return
    column: Column = "last_working_day" if row.cells.get("last_working_day") else "end_date"
    for earlier, what in ((found.notice_day, "notice date"), (found.start_day, "start date")):
        if earlier is not None and last < earlier:
            raise _Refused(
                column,
                row.cells[column],
                f"the last working day {day_text(last)} is before the {what} {day_text(earlier)}",
            )


def _check_text(column: Column, value: str) -> None:
    longest = _LONGEST.get(column, _DATE_CHARACTERS)
    if len(value) > longest:
        raise _Refused(column, value, f"{len(value)} characters, more than {longest}")
    if value.isprintable():
        return
    if any(unicodedata.category(c) in {"Cc", "Cs"} for c in value if c != "\n" or column not in ADD_UP):
        raise _Refused(column, value, "holds a control character")


def _optional(row: Row, column: Column) -> str | None:
    value = row.cells.get(column, "")
    return None if not value or value.casefold() in _EMPTY else value


def _day(row: Row, column: Column, order: DayOrder | None, zone: str) -> int | None:
    value = row.cells[column]
    try:
        return read_day(value, order, zone)
    except UnreadableDate as error:
        raise _Refused(column, value, str(error)) from None


def _minute(row: Row) -> int | None:
    value = _optional(row, "last_hour")
    try:
        return None if value is None else read_minute(value)
    except UnreadableDate as error:
        raise _Refused("last_hour", value or "", str(error)) from None


def _priority(row: Row) -> int | None:
    value = _optional(row, "priority")
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or int(value) > PRIORITY_MAX:
        raise _Refused("priority", value, f"not a whole number from 0 to {PRIORITY_MAX}")
    return int(value)


def _word(row: Row, column: Column, meaning: Callable[[str], Meaning | None], known: str) -> Meaning | None:
    value = _optional(row, column)
    if value is None:
        return None
    found = meaning(value)
    if found is None:
        raise _Refused(column, value, f"not a word that is known: {known}; a mapping can translate it")
    return found


def _machines(row: Row) -> tuple[str, ...]:
    found = _names(row, "devices", machine_trait)
    if "device:" in found:
        raise _Refused("devices", row.cells["devices"], "a storage device is written device:UID")
    return found


def _names(row: Row, column: Column, read: Callable[[str], str] = account_key) -> tuple[str, ...]:
    value = _optional(row, column)
    found = sorted({read(name) for name in _split_names(value or "")})
    if len(found) > ACCOUNTS_MAX:
        raise _Refused(column, value or "", f"{len(found)} {column}, more than {ACCOUNTS_MAX}")
    for name in found:
        if len(name) > ACCOUNT_CHARACTERS:
            what = "an account" if column == "accounts" else "a name"
            raise _Refused(column, name, f"{what} of more than {ACCOUNT_CHARACTERS} characters")
    return tuple(found)


def _split_names(value: str) -> Iterator[str]:
    for part in re.split(r"[;\s,、；，]+", value):
        key = account_key(part)
        if key and key not in _EMPTY:
            yield part


def zone_name(written: str) -> str | None:
    """The IANA name of a time zone as people write it (`asia/shanghai`, `UTC+8`, `北京时间`), or None."""
    zones = _zones_by_key()
    key = written.strip().casefold()
    if offset := _UTC_OFFSET.fullmatch(key):
        sign = "-" if offset[1] == "+" else "+"  # the zone database's Etc names count westwards
        return zones.get(f"etc/gmt{sign}{int(offset[2])}")
    return zones.get(key.replace(" ", "_")) or _ZONE_NAMES.get(key)


def _zone(row: Row) -> str | None:
    value = _optional(row, "time_zone")
    if value is None:
        return None
    named = zone_name(value)
    if named:
        return named
    zones = _zones_by_key()
    near = difflib.get_close_matches(value.casefold(), zones, n=1, cutoff=0.7)
    hint = f"; did you mean {zones[near[0]]}?" if near else ", such as Asia/Shanghai"
    raise _Refused("time_zone", value, f"not a time zone of the IANA database{hint}")


@cache
def _zones_by_key() -> dict[str, str]:
    return {name.casefold(): name for name in sorted(available_timezones())}
