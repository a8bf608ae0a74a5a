"""Content that a database or a file server gave out, known by its hash: recognised on a stick or in an
upload, renamed or not.

What one event shows the next one knows, whichever endpoint it comes from; what was taken before the export
was heard of stays as it was judged (its `leaver.file` says what was known then).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from event_schema.leaver_fields import FileFields
from event_schema.ocsf_endpoint_events import FileSystemActivity
from event_schema.ocsf_events import Event
from event_schema.ocsf_objects import File
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from server.store.tables import known_exports

KNOWN_MAX: Final = 200_000
"""The oldest are forgotten beyond."""


class Export(msgspec.Struct, frozen=True):
    """A row of `known_exports`. seen_at: ms UTC."""

    sha256: str
    origin: str
    seen_at: int


class KnownExports:
    """In memory, as the database has them and what the running batch adds."""

    def __init__(self) -> None:
        self._origins: OrderedDict[str, FileFields] = OrderedDict()
        self._last_id = 0

    def refresh(self, connection: Connection) -> None:
        """Takes in what other batches and workers stored."""
        query = (
            select(known_exports.c.id, known_exports.c.sha256, known_exports.c.origin)
            .where(known_exports.c.id > self._last_id)
            .order_by(known_exports.c.id.desc())
            .limit(KNOWN_MAX)
        )
        for row in reversed(connection.execute(query).all()):
            self._last_id = row.id
            self._add(row.sha256, row.origin)

    def look_at(self, event: Event, time: int) -> tuple[FileFields | None, Export | None]:
        """(what is known of the event's files, an export that the event shows for the first time)."""
        if isinstance(event, FileSystemActivity) and event.unmapped.origin is not None:
            sha256 = _hash(event.file)
            if sha256 is None:
                return None, None
            new = sha256 not in self._origins
            fields = self._add(sha256, event.unmapped.origin)
            return fields, Export(sha256, event.unmapped.origin, time) if new else None
        if not self._origins:
            return None, None
        for file in _files(event):
            known = self._origins.get(_hash(file) or "")
            if known is not None:
                return known, None
        return None, None

    def _add(self, sha256: str, origin: str) -> FileFields:
        known = self._origins.get(sha256)
        if known is None:
            known = self._origins[sha256] = FileFields(known_export=True, origin=origin)
            if len(self._origins) > KNOWN_MAX:
                self._origins.popitem(last=False)
        return known


def _files(event: Event) -> tuple[File, ...]:
    match event:
        case FileSystemActivity() | FileHostingActivity():
            return (event.file,)
        case EmailActivity():
            return event.email.files or ()
        case _:
            return ()


def _hash(file: File) -> str | None:
    return file.hashes[0].value if file.hashes else None
