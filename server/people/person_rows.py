"""Rows of an HR file as people: each cell checked by itself, each fault with its line, column and value."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Final
from zoneinfo import available_timezones

import msgspec

from server.people.csv_table import Column, Problem, Row
from server.people.dates import UnreadableDate, day_text, read_day
from server.people.directory import account_key

ID_CHARACTERS: Final = 120
"""With 'person:' before it an id is an alert's subject, which has room for 128."""
ACCOUNTS_MAX: Final = 64
_LONGEST: Final[dict[Column, int]] = {
    "id": ID_CHARACTERS,
    "name": 256,
    "accounts": ACCOUNTS_MAX * 257,
    "department": 256,
    "manager": ID_CHARACTERS,
    "time_zone": 64,
    "notice_date": 64,
    "last_working_day": 64,
}
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
    name: str | None
    accounts: tuple[str, ...]
    """As account_key, sorted."""
    department: str | None
    manager_id: str | None
    time_zone: str | None
    notice_day: int | None
    last_working_day: int | None


class _Refused(Exception):
    def __init__(self, column: Column, value: str, message: str) -> None:
        super().__init__(message)
        self.column: Column = column
        self.value = value


def person_row(row: Row) -> PersonRow | Problem:
    """The row as a person, or its first fault."""
    try:
        return _person_row(row)
    except _Refused as refused:
        return Problem(row.line, refused.column, shown_value(refused.value), str(refused))


def shown_value(value: str) -> str:
    return value if len(value) <= VALUE_SHOWN else value[: VALUE_SHOWN - 1] + "…"


def _person_row(row: Row) -> PersonRow:
    for column, value in row.cells.items():
        _check_text(column, value)
    person_id = row.cells["id"]
    if not person_id:
        raise _Refused("id", "", "the id is missing")
    if _ROUNDED_NUMBER.fullmatch(person_id):
        raise _Refused("id", person_id, "a spreadsheet rounded this number: format the column as text")
    notice = _day(row, "notice_date")
    last = _day(row, "last_working_day")
    if notice is not None and last is not None and last < notice:
        raise _Refused(
            "last_working_day",
            row.cells["last_working_day"],
            f"the last working day {day_text(last)} is before the notice date {day_text(notice)}",
        )
    return PersonRow(
        line=row.line,
        given=frozenset(row.cells),
        id=person_id,
        name=_optional(row, "name"),
        accounts=_accounts(row),
        department=_optional(row, "department"),
        manager_id=_optional(row, "manager"),
        time_zone=_zone(row),
        notice_day=notice,
        last_working_day=last,
    )


def _check_text(column: Column, value: str) -> None:
    if len(value) > _LONGEST[column]:
        raise _Refused(column, value, f"{len(value)} characters, more than {_LONGEST[column]}")
    if any(unicodedata.category(c) in {"Cc", "Cs"} for c in value if c != "\n" or column != "accounts"):
        raise _Refused(column, value, "holds a control character")


def _optional(row: Row, column: Column) -> str | None:
    value = row.cells.get(column, "")
    return None if not value or value.casefold() in _EMPTY else value


def _day(row: Row, column: Column) -> int | None:
    value = _optional(row, column)
    try:
        return None if value is None else read_day(value)
    except UnreadableDate as error:
        raise _Refused(column, value or "", str(error)) from None


def _accounts(row: Row) -> tuple[str, ...]:
    value = _optional(row, "accounts")
    found = sorted(set(_split_accounts(value or "")))
    if len(found) > ACCOUNTS_MAX:
        raise _Refused("accounts", value or "", f"{len(found)} accounts, more than {ACCOUNTS_MAX}")
    for account in found:
        if len(account) > ACCOUNT_CHARACTERS:
            raise _Refused("accounts", account, f"an account of more than {ACCOUNT_CHARACTERS} characters")
    return tuple(found)


def _split_accounts(value: str) -> Iterator[str]:
    for part in re.split(r"[;\s,、；，]+", value):
        key = account_key(part)
        if key:
            yield key


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
