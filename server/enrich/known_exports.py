"""Content that a database or a file server gave out, known by its hash: recognised on a stick, in an upload
or a mail, renamed or not.

What one event shows the next one knows, whichever endpoint it comes from; what was taken before the export
was heard of stays as it was judged (its `leaver.file` says what was known then). An export is known for as
long as events are kept, from the last day on which it was made.

Nothing is kept between batches: each asks for its own hashes, so that it knows what other workers stored and
not what was erased, and a batch that is worked out again stores what it shows.
"""

from __future__ import annotations

from collections.abc import Iterable
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

SMALLEST_BYTES: Final = 256
"""A smaller export recognises nothing: empty files and single lines are all the same."""
_HASHES_A_QUERY: Final = 1_000


class Export(msgspec.Struct, frozen=True):
    """A row of `known_exports`; the same content has another one for each day on which it was made again.
    seen_at: ms UTC."""

    sha256: str
    origin: str
    seen_at: int


class KnownExports:
    """What is known of one batch's files. `load` first."""

    def __init__(self) -> None:
        self._known: dict[str, Export] = {}

    def load(self, connection: Connection, events: Iterable[Event | None], first_day: int) -> None:
        """Asks for the files of these events, and forgets those of other batches. `first_day`: the oldest UTC
        day that counts."""
        self._known = {}
        if connection.execute(select(known_exports.c.id).limit(1)).first() is None:
            # Quicker asked than to look at all files.
            return
        hashes = {
            sha256
            for event in events
            if event is not None
            for file in _files(event)
            if (sha256 := _hash(file)) is not None
        }
        wanted = sorted(hashes)
        query = (
            select(known_exports.c.sha256, known_exports.c.origin, known_exports.c.seen_at)
            .where(known_exports.c.seen_at >= first_day * DAY_MS)
            .order_by(known_exports.c.seen_at, known_exports.c.id)
        )
        for first in range(0, len(wanted), _HASHES_A_QUERY):
            some = wanted[first : first + _HASHES_A_QUERY]
            for row in connection.execute(query.where(known_exports.c.sha256.in_(some))):
                self._known[row.sha256] = Export(row.sha256, row.origin, row.seen_at)

    def look_at(self, event: Event, time: int) -> tuple[FileFields | None, Export | None]:
        """(what is known of the event's files, an export that is to be stored: a new one, or one that was not
        made for a day). time: ms UTC."""
        made = _made(event, time)
        if made is not None:
            known = self._known.get(made.sha256)
            if known is not None and time < known.seen_at + DAY_MS:
                return _fields(known), None
            self._known[made.sha256] = made
            return _fields(made), made
        if not self._known:
            return None, None
        for file in _files(event):
            known = self._known.get(_hash(file) or "")
            if known is not None:
                return _fields(known), None
        return None, None


def _made(event: Event, time: int) -> Export | None:
    """The export that an event tells of."""
    if not isinstance(event, FileSystemActivity) or event.unmapped.origin is None:
        return None
    sha256 = _hash(event.file)
    if sha256 is None or (event.file.size or 0) < SMALLEST_BYTES:
        return None
    return Export(sha256, event.unmapped.origin, time)


def _fields(export: Export) -> FileFields:
    return FileFields(known_export=True, origin=export.origin, exported_at=export.seen_at)


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
