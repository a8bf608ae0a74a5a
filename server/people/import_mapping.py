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

A column that is named here is that column alone: names that are known otherwise mean nothing for it then.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from server.people.dates import DayOrder
from server.people.hr_columns import Column, ColumnNames, header_key

MAPPING_BYTES_MAX = 1 << 20


class MappingUnreadable(Exception):
    """The message names the file and says why."""


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
        return msgspec.convert(tomllib.loads(data.decode("utf-8")), ImportMapping)
    except UnicodeDecodeError as error:
        raise MappingUnreadable(f"{path}: not UTF-8 at byte {error.start}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise MappingUnreadable(f"{path}: {error}") from error
