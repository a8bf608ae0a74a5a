"""An HR file's text as rows of named cells: delimiter and header found out, and said.

Delimiter: comma, semicolon or tab, whichever lets more of the header be understood.
A row that cannot be split (a quote that never closes) is one problem, and reading goes on in the next line.
A row with fewer cells than the header is refused too: a file that was cut off must not read as "no dates".
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from server.people.csv_encoding import UnreadableFile, decoded

FILE_BYTES_MAX: Final = 64 << 20
ROWS_MAX: Final = 200_000
ROW_CHARACTERS_MAX: Final = 65_536
ROW_LINES_MAX: Final = 50

Column = Literal[
    "id", "name", "accounts", "department", "manager", "time_zone", "notice_date", "last_working_day"
]

_ALIASES: Final[dict[Column, str]] = {
    "id": "id personid employeeid employee employeenumber employeeno empid staffid staffnumber workerid "
    "personnelnumber 工号 工號 员工号 员工编号 員工編號 人员编号 职工号 编号",
    "name": "name fullname displayname employeename 姓名 名字 员工姓名 員工姓名 名称",
    "accounts": "accounts account login logins loginname username usernames user useraccount 账号 帐号 帳號 "
    "账户 帐户 用户名 登录名 登录账号 域账号",
    "department": "department dept team unit orgunit division 部门 部門 所属部门 所在部门",
    "manager": "manager managerid supervisor supervisorid reportsto lead 上级 上級 直属上级 直接上级 "
    "上级工号 主管 主管工号 经理 汇报对象",
    "time_zone": "timezone tz 时区 時區",
    "notice_date": "noticedate notice noticegiven resignationdate resigned resignation 离职申请日 離職申請日 "
    "离职申请日期 申请离职日期 提出离职日期 辞职日期",
    "last_working_day": "lastworkingday lastworkingdate lastday leavingdate leavedate exitdate enddate "
    "terminationdate 最后工作日 最後工作日 最后工作日期 离职日期 离职日 離職日期",
}
_COLUMN_OF: Final[dict[str, Column]] = {
    alias: column for column, aliases in _ALIASES.items() for alias in aliases.split()
}
_DELIMITERS: Final = (",", ";", "\t")


class Problem(msgspec.Struct, frozen=True):
    """Why a row was refused. `line` counts from 1, the header included."""

    line: int
    column: str
    value: str
    message: str


class Row(msgspec.Struct, frozen=True):
    """Cells by column, trimmed. A column that the file does not have is not in it."""

    line: int
    cells: dict[Column, str]


class Table(msgspec.Struct, frozen=True):
    encoding: str
    delimiter: str
    columns: tuple[Column, ...]
    ignored_columns: tuple[str, ...]
    """Header names that mean nothing here; their cells are not read."""
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    """Rows that could not be split into cells."""


def read_table(data: bytes, *, encoding: str | None = None) -> Table:
    """The file's rows. `encoding` (a codec's name) skips the guess. Raises UnreadableFile."""
    if len(data) > FILE_BYTES_MAX:
        raise UnreadableFile(f"the file is {len(data)} bytes, more than {FILE_BYTES_MAX}")
    text, found_encoding = decoded(data, encoding)
    # Not splitlines(): that would also split at characters that may stand inside a name.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    start = 1 if lines[0].lower().startswith("sep=") else 0
    header_line = next((n for n in range(start, len(lines)) if lines[n].strip()), None)
    if header_line is None:
        raise UnreadableFile("the file is empty: its first line must name the columns")
    if len(lines[header_line]) > ROW_CHARACTERS_MAX:
        raise UnreadableFile(f"line {header_line + 1}, the header, is over {ROW_CHARACTERS_MAX} characters")
    delimiter = max(_DELIMITERS, key=lambda d: len(_understood(_split(lines[header_line], d))))
    header = _split(lines[header_line], delimiter)
    positions = _positions(header)
    rows: list[Row] = []
    problems: list[Problem] = []
    for found in _records(lines, header_line + 1, delimiter):
        if isinstance(found, Problem):
            problems.append(found)
        elif any(cell.strip() for cell in found[1]):
            line, cells = found
            misfit = _misfit(line, cells, len(header))
            if misfit is None:
                rows.append(Row(line, {column: cells[index].strip() for column, index in positions.items()}))
            else:
                problems.append(misfit)
        if len(rows) + len(problems) > ROWS_MAX:
            raise UnreadableFile(f"the file has more than {ROWS_MAX} rows")
    ignored = tuple(
        name.strip() for i, name in enumerate(header) if i not in positions.values() and name.strip()
    )
    return Table(found_encoding, delimiter, tuple(positions), ignored, tuple(rows), tuple(problems))


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _column_of(name: str) -> Column | None:
    return _COLUMN_OF.get("".join(c for c in name.casefold() if c.isalnum()))


def _understood(header: list[str]) -> set[Column]:
    return {column for column in map(_column_of, header) if column is not None}


def _positions(header: list[str]) -> dict[Column, int]:
    positions: dict[Column, int] = {}
    for index, name in enumerate(header):
        column = _column_of(name)
        if column is None:
            continue
        if column in positions:
            raise UnreadableFile(
                f"columns {header[positions[column]].strip()!r} and {name.strip()!r} both mean {column}"
            )
        positions[column] = index
    if "id" not in positions:
        shown = ", ".join(repr(name.strip()) for name in header[:12])
        raise UnreadableFile(f"no column for the person's id (id, 工号, …) in the header: {shown}")
    return positions


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
