"""A mapping file (TOML): what an HR system calls its columns and values, where Leaver does not know it.

    skip_lines = 2                   # lines before the header
    encoding = "cp1252"              # else it is found out
    delimiter = ";"                  # else it is found out
    sheet = "Staff"                  # of a workbook; else the first one
    date_order = "day-first"         # of 03/04/2026; or "month-first"

    [columns]                        # our column = header name, or several
    id = "Pers.-Nr."
    accounts = ["Windows", "Mail"]

    [values.leaving_type]            # what stands in the cell = what it means
    "Kündigung AN" = "resigned"

Our columns are called as docs/people.md lists them; `last working day` and `last_working_day` are the same.
A column that is named here is that column alone: names that are known otherwise mean nothing for it then.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from server.people.dates import DayOrder
from server.people.hr_columns import COLUMNS, Column, ColumnNames, header_key
from server.people.hr_words import kind_of, leaving_type_of

MAPPING_BYTES_MAX = 1 << 20


class MappingUnreadable(Exception):
    """The message names the file and says why."""


class _Wrong(Exception):
    """What is wrong, without the file."""


class ImportMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See above."""

    columns: dict[Column, str | list[str]] = {}
    values: dict[Column, dict[str, str]] = {}
    skip_lines: Annotated[int, Meta(ge=0, le=100)] = 0
    encoding: Annotated[str, Meta(max_length=64)] | None = None
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] | None = None
    sheet: Annotated[str, Meta(max_length=64)] | None = None
    date_order: DayOrder | None = None

    def names(self) -> ColumnNames:
        found: dict[str, Column] = {}
        for column, headers in self.columns.items():
            for header in [headers] if isinstance(headers, str) else headers:
                found[header_key(header)] = column
        return ColumnNames(found, frozenset(self.columns))

    def value(self, column: Column, cell: str) -> str:
        """What the cell means."""
        return self.values.get(column, {}).get(cell, cell)


def read_mapping(path: Path) -> ImportMapping:
    """Raises MappingUnreadable."""
    try:
        with path.open("rb") as file:
            data = file.read(MAPPING_BYTES_MAX + 1)
    except OSError as error:
        raise MappingUnreadable(f"{path}: {error.strerror}") from error
    if len(data) > MAPPING_BYTES_MAX:
        raise MappingUnreadable(f"{path}: longer than {MAPPING_BYTES_MAX} bytes")
    try:
        return _mapping(tomllib.loads(data.decode("utf-8")))
    except _Wrong as error:
        raise MappingUnreadable(f"{path}: {error}") from None
    except UnicodeDecodeError as error:
        raise MappingUnreadable(f"{path}: not UTF-8 at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise MappingUnreadable(f"{path}: {error}") from error
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$.")
        where = f"{place.rstrip('`')}: " if place else ""
        raise MappingUnreadable(f"{path}: {where}{what.replace('`', '')}") from error


def _mapping(found: dict[str, Any]) -> ImportMapping:
    for key in found:
        if key not in ImportMapping.__struct_fields__:
            raise _Wrong(_unknown(key, ImportMapping.__struct_fields__))
    for table in ("columns", "values"):
        if isinstance(found.get(table), dict):
            found[table] = {_column(table, key): value for key, value in found[table].items()}
    mapping = msgspec.convert(found, ImportMapping)
    meanings: tuple[tuple[Column, Callable[[str], str | None], str], ...] = (
        ("leaving_type", leaving_type_of, "resigned, dismissed, end_of_contract, partner_end"),
        ("kind", kind_of, "employee, partner"),
    )
    for column, meaning, words in meanings:
        for wanted in mapping.values.get(column, {}).values():
            if meaning(wanted) is None:
                raise _Wrong(f"values.{column}: {wanted!r} is none of {words}")
    return mapping


def _column(table: str, key: str) -> Column:
    if (found := ColumnNames().column_of(key)) is not None:
        return found
    raise _Wrong(f"{table}: {_unknown(key, COLUMNS)}")


def _unknown(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key.replace(" ", "_").casefold(), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"{key!r} is not known; {hint}"
