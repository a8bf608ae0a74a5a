"""HR's rows as JSON: a list of objects, or {"rows": [...]}; an object is a row, its keys are column names as
in a file's header.

Values are text, whole numbers, null (an empty cell), and for accounts and devices lists of text. A key that
an object lacks leaves what is stored, as a missing column does. Lines count the objects from 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

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


class _Wrapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rows: list[dict[str, Any]]


_decoder = msgspec.json.Decoder(list[dict[str, Any]] | _Wrapped)


class _BadValue(Exception):
    """A value that is no cell."""


def read_json(data: bytes, *, names: ColumnNames | None = None) -> Table:
    """Raises UnreadableFile."""
    names = names or ColumnNames()
    try:
        found = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableFile("no list of objects in JSON", f": {error}") from None
    objects = found.rows if isinstance(found, _Wrapped) else found
    if len(objects) > ROWS_MAX:
        raise UnreadableFile(f"more than {ROWS_MAX} rows")
    header = list(dict.fromkeys(key for each in objects for key in each))
    if len(header) > COLUMNS_MAX:
        raise UnreadableFile(f"the objects have more than {COLUMNS_MAX} different keys")
    if not header:
        raise UnreadableFile("there are no rows, or they have no keys")
    positions = names.positions(header)
    rows: list[Row] = []
    problems: list[Problem] = []
    for line, each in enumerate(objects, 1):
        try:
            rows.append(_row(line, each, header, positions))
        except _BadValue as error:
            problems.append(Problem(line, "", "", str(error)))
    unread = ignored(header, positions)
    return Table("JSON", "", tuple(positions), unread, tuple(rows), tuple(problems))


def _row(
    line: int, each: Mapping[str, Any], header: Sequence[str], positions: Mapping[Column, tuple[int, ...]]
) -> Row:
    own = {column: tuple(i for i in where if header[i] in each) for column, where in positions.items()}
    read = {index for indexes in own.values() for index in indexes}
    cells = [_cell(name, each[name]) if index in read else "" for index, name in enumerate(header)]
    if sum(map(len, cells)) > ROW_CHARACTERS_MAX:
        raise _BadValue(f"the row is over {ROW_CHARACTERS_MAX} characters")
    found = cells_of(cells, {column: where for column, where in own.items() if where})
    # Who it is about must be said in each of them.
    who: Column = "id" if "id" in positions else "accounts"
    found.setdefault(who, "")
    return Row(line, found)


def _cell(name: str, value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            pass
        case int():
            return str(value)
        case list() if all(isinstance(item, str) for item in value):
            return " ".join(value)
    raise _BadValue(f"{name[:60]!r} is neither text nor a whole number, null or a list of text")
