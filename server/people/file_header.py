"""The header of an HR file alone: what somebody is asked about when its columns are not understood, and what
is remembered of the answer, so that the same export is understood the next time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn, cast

import msgspec
from sqlalchemy import Connection, delete, select

from server import audit
from server.people.csv_encoding import UnreadableFile
from server.people.hr_columns import Column, ColumnNames, header_key
from server.people.hr_file import read_table
from server.people.import_mapping import ImportMapping
from server.people.json_table import read_json
from server.store.tables import import_mappings
from server.store.upsert import upsert

REMEMBERED_MAX: Final = 1000
"""Mappings; those that were used longest ago go."""
_MAPPING_BYTES: Final = 20_000


class _Found(Exception):
    def __init__(self, header: Sequence[str]) -> None:
        super().__init__()
        self.header = tuple(header)


class _HeaderOnly(ColumnNames, frozen=True):
    """Stops the reading where columns are looked for. Where few names are known the delimiter is the one
    that makes the most cells."""

    def understood(self, header: Sequence[str]) -> set[Column]:
        cells = cast(set[Column], {f"{name};" for name in header if name})
        return super().understood(header) | cells

    def positions(self, header: Sequence[str]) -> NoReturn:
        raise _Found(header)


def read_header(
    data: bytes, *, is_json: bool = False, mapping: ImportMapping | None = None, encoding: str | None = None
) -> tuple[str, ...]:
    """The names as they stand in the file. Raises UnreadableFile."""
    mapping = mapping or ImportMapping()
    try:
        if is_json:
            read_json(data, names=_HeaderOnly())
        else:
            read_table(data, mapping=_Unnamed.of(mapping), encoding=encoding)
    except _Found as found:
        return tuple(name.strip() for name in found.header)
    raise UnreadableFile("there is no header")


class _Unnamed(ImportMapping, frozen=True):
    """How the file is written, and nothing of what its columns are."""

    @classmethod
    def of(cls, mapping: ImportMapping) -> _Unnamed:
        return cls(
            skip_lines=mapping.skip_lines,
            encoding=mapping.encoding,
            delimiter=mapping.delimiter,
            sheet=mapping.sheet,
        )

    def names(self) -> ColumnNames:
        return _HeaderOnly()


def header_digest(header: Sequence[str]) -> str:
    """The same for files of one export, whatever stands in their rows."""
    return hashlib.sha256("\n".join(map(header_key, header)).encode()).hexdigest()


def guessed_columns(header: Sequence[str], mapping: ImportMapping) -> dict[str, Column | None]:
    """What each header name is taken for; None: it is not read."""
    names = mapping.names()
    return {name: names.column_of(name) for name in header if name.strip()}


def remembered_mapping(connection: Connection, header: Sequence[str]) -> ImportMapping | None:
    """What was said of a file with this header the last time."""
    found = connection.execute(
        select(import_mappings.c.mapping).where(import_mappings.c.header == header_digest(header))
    ).scalar()
    return None if found is None else msgspec.json.decode(found, type=ImportMapping)


def remember_mapping(
    connection: Connection, header: Sequence[str], mapping: ImportMapping, *, actor: str, at: int
) -> None:
    """In a write transaction; on the record where it is another one than before. at: ms UTC."""
    if remembered_mapping(connection, header) == mapping:
        return
    written = msgspec.json.encode(mapping).decode()
    if len(written) > _MAPPING_BYTES:
        raise ValueError(f"a mapping is over {_MAPPING_BYTES} characters")
    digest = header_digest(header)
    row = {"header": digest, "mapping": written, "changed_at": at, "changed_by": actor}
    upsert(connection, import_mappings, [row])
    kept = select(import_mappings.c.header).order_by(import_mappings.c.changed_at.desc())
    too_many = list(connection.execute(kept.offset(REMEMBERED_MAX)).scalars())
    if too_many:
        connection.execute(delete(import_mappings).where(import_mappings.c.header.in_(too_many)))
    columns: Mapping[Column, object] = mapping.columns
    audit.append(
        connection,
        at=at,
        actor=actor,
        action="people.remember_mapping",
        object=f"header:sha256:{digest}",
        detail={"columns": sorted(columns)},
    )
