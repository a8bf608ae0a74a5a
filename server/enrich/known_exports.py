"""Content that a database or a file server gave out, known by its hash: recognised on a stick or in an
upload, renamed or not.

What one event shows the next one knows, whichever endpoint it comes from; what was taken before the export
was heard of stays as it was judged (its `leaver.file` says what was known then). An export is known for as
long as events are kept, from the last time that it was made.
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
from server.retention import DAY_MS
from server.store.tables import known_exports

KNOWN_MAX: Final = 200_000
"""The oldest are forgotten beyond."""
_READ_AGAIN: Final = 500
"""Numbers are given before the commit: a lower one may show after a higher one that another worker wrote."""


class Export(msgspec.Struct, frozen=True):
    """A row of `known_exports`; the same content has another one for each day on which it was made again.
    seen_at: ms UTC."""

    sha256: str
    origin: str
    seen_at: int


class KnownExports:
    """In memory, as the database has them (`refresh`), and beside those what the running batch adds: a batch
    that is not committed leaves nothing behind."""

    def __init__(self) -> None:
        self._stored: OrderedDict[str, Export] = OrderedDict()
        self._running: dict[str, Export] = {}
        self._last_id = 0
        self._first_day: int | None = None

    def refresh(self, connection: Connection, first_day: int) -> None:
        """Before each batch: what was committed since. `first_day`: the oldest UTC day that counts."""
        self._running.clear()
        if first_day != self._first_day:
            self.forget()
            self._first_day = first_day
        columns = (
            known_exports.c.id,
            known_exports.c.sha256,
            known_exports.c.origin,
            known_exports.c.seen_at,
        )
        query = (
            select(*columns)
            .where(known_exports.c.id > self._last_id - _READ_AGAIN)
            .order_by(known_exports.c.id.desc())
            .limit(KNOWN_MAX)
        )
        for row in reversed(connection.execute(query).all()):
            self._last_id = max(self._last_id, row.id)
            known = self._stored.get(row.sha256)
            if row.seen_at >= first_day * DAY_MS and (known is None or known.seen_at < row.seen_at):
                self._stored[row.sha256] = Export(row.sha256, row.origin, row.seen_at)
                self._stored.move_to_end(row.sha256)
        while len(self._stored) > KNOWN_MAX:
            self._stored.popitem(last=False)

    def forget(self) -> None:
        """All is read anew by the next `refresh`: rows went, or grew older."""
        self._stored.clear()
        self._running.clear()
        self._last_id = 0

    def look_at(self, event: Event, time: int) -> tuple[FileFields | None, Export | None]:
        """(what is known of the event's files, an export that is to be stored: a new one, or one that was not
        made for a day)."""
        if isinstance(event, FileSystemActivity) and event.unmapped.origin is not None:
            sha256 = _hash(event.file)
            if sha256 is None or not event.file.size:
                # Nothing is recognised by an empty file: there are many.
                return None, None
            known = self._known(sha256)
            if known is not None and time < known.seen_at + DAY_MS:
                return _fields(known), None
            made = Export(sha256, event.unmapped.origin if known is None else known.origin, time)
            self._running[sha256] = made
            return _fields(made), made
        if not self._stored and not self._running:
            return None, None
        for file in _files(event):
            known = self._known(_hash(file) or "")
            if known is not None:
                return _fields(known), None
        return None, None

    def _known(self, sha256: str) -> Export | None:
        return self._running.get(sha256) or self._stored.get(sha256)


def _fields(export: Export) -> FileFields:
    return FileFields(known_export=True, origin=export.origin)


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
