"""A workbook (XLSX) as rows of named cells, read by openpyxl as a stream; its bounds are checked before.

A workbook is a ZIP of XML. What it unpacks to is bounded by its own table of contents, which the reader goes
by; XML that declares entities is refused. Only values count: of a formula that which the program that wrote
the file worked out. One that no program worked out (libraries write such files) makes its row a bad one: read
as an empty cell it would take a date back. Dates and times come as cells of that type, whole numbers without
a point.
"""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Final

from event_schema.byte_size import byte_size
from server.people.csv_encoding import UnreadableFile
from server.people.hr_columns import (
    COLUMNS_MAX,
    ROW_CHARACTERS_MAX,
    ROWS_MAX,
    Column,
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
_FORMULA: Final = re.compile(rb"<(?:\w{1,32}:)?f[\s/>]")
_FORMULA_BYTES: Final = 40
_FORMULA_SHOWN: Final = 60
_AT_ONCE: Final = 1 << 20
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
    for number, cells, unworked in lines:
        if number > skip_lines and (unworked or any(cells)):
            header = cells
            if unworked:
                raise UnreadableFile(f"the header is a formula, and {_NEVER_WORKED_OUT}")
            break
    if not header:
        raise UnreadableFile("the sheet is empty: its first row must name the columns")
    positions = names.positions(header)
    rows: list[Row] = []
    problems: list[Problem] = []
    for number, cells, unworked in lines:
        if not unworked and not any(cells):
            continue
        if fault := _unworked_cell(number, positions, unworked):
            problems.append(fault)
        elif sum(map(len, cells)) > ROW_CHARACTERS_MAX:
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


_NEVER_WORKED_OUT: Final = "was never worked out: open the file in Excel or LibreOffice, and save it once"


def _unworked_cell(
    number: int, positions: Mapping[Column, tuple[int, ...]], unworked: Mapping[int, str]
) -> Problem | None:
    """Of the columns that are read."""
    for column, where in positions.items():
        for index in where:
            if index in unworked:
                shown = unworked[index][:_FORMULA_SHOWN]
                return Problem(number, column, shown, f"the formula {_NEVER_WORKED_OUT}")
    return None


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


def _lines(data: bytes, sheet: str | None) -> Iterator[tuple[int, list[str], dict[int, str]]]:
    """Number of each row, from 1; its cells; and, by position, its formulas that nobody worked out."""
    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415 - takes a tenth of a second

    try:
        formulas = _rows(data, sheet, values=False) if _has_formulas(data) else None
        empty = 0
        for number, values in enumerate(_rows(data, sheet, values=True), start=1):
            cells = [_text(cell.value) for cell in values]
            unworked = {} if formulas is None else _unworked(values, next(formulas, ()))
            empty = 0 if unworked or any(cells) else empty + 1
            if empty > _EMPTY_ROWS_MAX:
                return
            yield number, cells, unworked
    except UnreadableFile:
        raise
    # The reader meets broken files with whatever its parts raise.
    except (InvalidFileException, KeyError, TypeError, AttributeError, IndexError, SyntaxError,
            OverflowError, *_BROKEN) as error:  # fmt: skip
        raise UnreadableFile(f"not a workbook that can be read: {type(error).__name__}") from error


def _rows(data: bytes, sheet: str | None, *, values: bool) -> Iterator[Sequence[Any]]:
    """The sheet's cells; `values`: what formulas gave, else the formulas themselves."""
    from openpyxl import load_workbook  # noqa: PLC0415 - takes a tenth of a second

    book = load_workbook(io.BytesIO(data), read_only=True, data_only=values, keep_links=False)
    try:
        if sheet is not None and sheet not in book.sheetnames:
            shown = ", ".join(map(repr, book.sheetnames[:12]))
            raise UnreadableFile(f"there is no sheet {sheet!r} in the workbook", f": {shown}")
        chosen: Any = book[sheet] if sheet is not None else book.worksheets[0]
        # What the sheet says of its own size may be wrong.
        chosen.reset_dimensions()
        yield from chosen.iter_rows(max_col=COLUMNS_MAX)
    finally:
        book.close()


def _has_formulas(data: bytes) -> bool:
    """Whether any sheet has: most have none, and are read once then."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        for member in packed.infolist():
            if not member.filename.endswith(".xml") or "sheet" not in member.filename.casefold():
                continue
            with packed.open(member) as opened:
                before = b""
                while part := opened.read(_AT_ONCE):
                    if _FORMULA.search(before + part):
                        return True
                    before = part[-_FORMULA_BYTES:]
    return False


def _unworked(values: Sequence[Any], formulas: Sequence[Any]) -> dict[int, str]:
    """By position. A text (`str`) without any letter is what a formula gave."""
    return {
        index: _formula_text(cell.value)
        for index, (value, cell) in enumerate(zip(values, formulas, strict=False))
        if cell.data_type == "f" and value.value is None and value.data_type != "str"
    }


def _formula_text(formula: object) -> str:
    return formula if isinstance(formula, str) else str(getattr(formula, "text", None) or "=…")


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
