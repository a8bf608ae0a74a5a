"""An HR file's text as rows of named cells: delimiter and header found out, and said.

Delimiter: comma, semicolon or tab, whichever lets more of the header be understood.
A row that cannot be split (a quote that never closes) is one problem, and reading goes on in the next line.
A row with fewer cells than the header is refused too: a file that was cut off must not read as "no dates".
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Final, Literal

from server.people.csv_encoding import UnreadableFile, decoded
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

FILE_BYTES_MAX: Final = 64 << 20
ROW_LINES_MAX: Final = 50

_DELIMITERS: Final = (",", ";", "\t")


def read_csv(
    data: bytes,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    skip_lines: int = 0,
    names: ColumnNames | None = None,
) -> Table:
    """The file's rows. `encoding` (a codec's name) and `delimiter` skip the guess; `skip_lines`: before the
    header. Raises UnreadableFile."""
    if len(data) > FILE_BYTES_MAX:
        raise UnreadableFile(f"the file is {len(data)} bytes, more than {FILE_BYTES_MAX}")
    names = names or ColumnNames()
    text, found_encoding = decoded(data, encoding)
    # Not splitlines(): that would also split at characters that may stand inside a name.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    start = skip_lines + (1 if lines[0].lower().startswith("sep=") else 0)
    header_line = next((n for n in range(start, len(lines)) if lines[n].strip()), None)
    if header_line is None:
        raise UnreadableFile("the file is empty: its first line must name the columns")
    if len(lines[header_line]) > ROW_CHARACTERS_MAX:
        raise UnreadableFile(f"line {header_line + 1}, the header, is over {ROW_CHARACTERS_MAX} characters")
    if delimiter is None:
        delimiter = max(_DELIMITERS, key=lambda d: len(names.understood(_split(lines[header_line], d))))
    header = _split(lines[header_line], delimiter)
    if len(header) > COLUMNS_MAX:
        raise UnreadableFile(f"the header names more than {COLUMNS_MAX} columns")
    positions = names.positions(header)
    rows: list[Row] = []
    problems: list[Problem] = []
    for found in _records(lines, header_line + 1, delimiter):
        if isinstance(found, Problem):
            problems.append(found)
        elif any(cell.strip() for cell in found[1]):
            line, cells = found
            misfit = _misfit(line, cells, len(header))
            if misfit is None:
                rows.append(Row(line, cells_of(cells, positions)))
            else:
                problems.append(misfit)
        if len(rows) + len(problems) > ROWS_MAX:
            raise UnreadableFile(f"the file has more than {ROWS_MAX} rows")
    unread = ignored(header, positions)
    return Table(found_encoding, delimiter, tuple(positions), unread, tuple(rows), tuple(problems))


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _records(lines: list[str], start: int, delimiter: str) -> Iterator[tuple[int, list[str]] | Problem]:
    at = start
    while at < len(lines):
        record, used = lines[at], 1
        limit = min(ROW_LINES_MAX, len(lines) - at)
        quotes = _quotes(record, delimiter)
        while quotes == "open" and used < limit and len(record) <= ROW_CHARACTERS_MAX:
            record += "\n" + lines[at + used]
            used += 1
            quotes = _quotes(record, delimiter)
        if quotes != "closed":
            # One row is lost, not what the quote would swallow: reading goes on in the next line.
            what = "opened and not closed" if used > 1 or quotes == "open" else "inside a quoted cell"
            yield Problem(at + 1, "", lines[at][:60], f"a quote is {what}")
            used = 1
        elif len(record) > ROW_CHARACTERS_MAX:
            yield Problem(at + 1, "", record[:60], f"the row is over {ROW_CHARACTERS_MAX} characters")
        else:
            yield at + 1, _split(record, delimiter)
        at += used


def _quotes(record: str, delimiter: str) -> Literal["closed", "open", "misplaced"]:
    """How quoting stands at the record's end. A quote counts only where a cell begins with it, and a
    quoted cell ends at the delimiter."""
    if '"' not in record:
        return "closed"
    at = 0
    while True:
        if record.startswith('"', at):
            at = _after_closing_quote(record, at + 1)
            if at < 0:
                return "open"
            end = record.find(delimiter, at)
            if record[at : end if end >= 0 else None].strip(" "):
                return "misplaced"
        else:
            end = record.find(delimiter, at)
        if end < 0:
            return "closed"
        at = end + 1


def _after_closing_quote(record: str, at: int) -> int:
    while True:
        quote = record.find('"', at)
        if quote < 0:
            return -1
        if not record.startswith('""', quote):
            return quote + 1
        at = quote + 2


def _misfit(line: int, cells: list[str], width: int) -> Problem | None:
    surplus = [cell for cell in cells[width:] if cell.strip()]
    if len(cells) >= width and not surplus:
        return None
    shown = surplus[0] if surplus else cells[-1]
    return Problem(line, "", shown[:60], f"{len(cells)} cells, but the header names {width} columns")
