"""A workbook (XLSX) as rows of named cells, read by openpyxl as a stream; its bounds are checked before.

A workbook is a ZIP of XML. What it unpacks to is bounded by its own table of contents, which the reader goes
by; XML that declares entities is refused. Only values count: of a formula that which the program that wrote
the file worked out. Dates and times come as cells of that type, whole numbers without a point.
"""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any, Final

from event_schema.byte_size import byte_size
from server.people.csv_encoding import UnreadableFile
from server.people.hr_columns import (
    COLUMNS_MAX,
    ROW_CHARACTERS_MAX,
    ROWS_MAX,
    ColumnNames,
    Problem,
    Row,
    Table,
    cells_of,
    ignored,
)

UNPACKED_BYTES_MAX: Final = 512 * 1000**2
MEMBERS_MAX: Final = 2000
_DIGITS_KEPT: Final = 15
"""Spreadsheets keep no more digits of a number."""
_HEAD: Final = 4096
_EMPTY_ROWS_MAX: Final = 10_000
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    EOFError,
    OSError,
)
"""What unpacking a part that is broken, or packed in a way that is not known, raises."""


def is_workbook(data: bytes) -> bool:
    return data.startswith(b"PK\x03\x04")


def read_workbook(
    data: bytes, *, sheet: str | None = None, skip_lines: int = 0, names: ColumnNames | None = None
) -> Table:
    """The first sheet's rows, or those of the one named. Raises UnreadableFile."""
    names = names or ColumnNames()
    _check_bounds(data)
    lines = _lines(data, sheet)
    header: list[str] = []
    for number, cells in lines:
        if number > skip_lines and any(cells):
            header = cells
            break
    if not header:
        raise UnreadableFile("the sheet is empty: its first row must name the columns")
    positions = names.positions(header)
    rows: list[Row] = []
    problems: list[Problem] = []
    for number, cells in lines:
        if not any(cells):
            continue
        if sum(map(len, cells)) > ROW_CHARACTERS_MAX:
            problems.append(
                Problem(number, "", cells[0][:60], f"the row is over {ROW_CHARACTERS_MAX} characters")
            )
        else:
            whole = cells + [""] * (len(header) - len(cells))
            rows.append(Row(number, cells_of(whole, positions)))
        if len(rows) + len(problems) > ROWS_MAX:
            raise UnreadableFile(f"the sheet has more than {ROWS_MAX} rows")
    unread = ignored(header, positions)
    return Table("XLSX", "", tuple(positions), unread, tuple(rows), tuple(problems))


def _check_bounds(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            members = packed.infolist()
            if len(members) > MEMBERS_MAX:
                raise UnreadableFile(f"the workbook has more than {MEMBERS_MAX} parts")
            if sum(member.file_size for member in members) > UNPACKED_BYTES_MAX:
                raise UnreadableFile(f"the workbook unpacks to more than {byte_size(UNPACKED_BYTES_MAX)}")
            for member in members:
                if member.filename.endswith((".xml", ".rels")):
                    with packed.open(member) as opened:
                        head = opened.read(_HEAD)
                    if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                        raise UnreadableFile(
                            "the workbook's XML declares entities: no spreadsheet program does"
                        )
    except _BROKEN as error:
        raise UnreadableFile("not a workbook that can be read", f": {error}") from error


def _lines(data: bytes, sheet: str | None) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each row, from 1."""
    from openpyxl import load_workbook  # noqa: PLC0415 - takes a tenth of a second
    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415

    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        try:
            if sheet is not None and sheet not in book.sheetnames:
                shown = ", ".join(map(repr, book.sheetnames[:12]))
                raise UnreadableFile(f"there is no sheet {sheet!r} in the workbook", f": {shown}")
            chosen: Any = book[sheet] if sheet is not None else book.worksheets[0]
            # What the sheet says of its own size may be wrong.
            chosen.reset_dimensions()
            empty = 0
            for number, values in enumerate(chosen.iter_rows(max_col=COLUMNS_MAX, values_only=True), start=1):
                cells = [_text(value) for value in values]
                empty = 0 if any(cells) else empty + 1
                if empty > _EMPTY_ROWS_MAX:
                    return
                yield number, cells
        finally:
            book.close()
    except UnreadableFile:
        raise
    # The reader meets broken files with whatever its parts raise.
    except (InvalidFileException, KeyError, TypeError, AttributeError, IndexError, SyntaxError,
            OverflowError, *_BROKEN) as error:  # fmt: skip
        raise UnreadableFile(f"not a workbook that can be read: {type(error).__name__}") from error


def _text(value: object) -> str:  # noqa: PLR0911 - a type a line
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case datetime():
            return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "minutes")
        case date():
            return value.isoformat()
        case time():
            return value.strftime("%H:%M")
        case int() | float() if abs(value) >= 10**_DIGITS_KEPT:
            # As the spreadsheet shows it: its last digits are not what somebody typed.
            return f"{value:.14E}"
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)
