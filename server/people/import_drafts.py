"""Files that somebody has brought and not yet taken over: kept between the look at what would change and the
word that it is meant. In memory alone, bounded in number, bytes and time, each for who brought it.

What a look showed holds for one version of the people: where it is another by the time of the word, the file
is looked at again, and nothing is taken over that nobody saw.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

import msgspec

from event_schema.byte_size import byte_size
from server.people.csv_encoding import UnreadableFile
from server.people.directory import people_version
from server.people.file_header import read_header, remember_mapping, remembered_mapping
from server.people.hr_import import ImportOptions, PreparedImport, prepare_import, take_over
from server.people.import_mapping import ImportMapping
from server.people.import_report import ImportReport
from server.people.other_person import OtherPerson
from server.store.database import Database

DRAFT_BYTES_MAX: Final = 32 << 20
ALL_BYTES_MAX: Final = 128 << 20
EACH_MAX: Final = 3
"""Drafts of one user; the oldest goes."""
KEPT_MS: Final = 30 * 60 * 1000
REPORTS_KEPT: Final = 2
"""Looks at what would change, which may be large; others are worked out again."""
_NAME_CHARACTERS: Final = 120

IMPORT_TURN: Final = threading.Lock()
"""One import is worked on at a time: each may take some hundred megabytes meanwhile."""


class UnknownDraft(Exception):
    """It was never there, is somebody else's, or its time is over."""


class ChangedMeanwhile(Exception):
    """What was shown would not be what is done: the look has to be taken again."""


class Draft(msgspec.Struct, frozen=True):
    """`name`: as the file was called. `header`: empty where nobody can tell. `problem`: why it cannot be read
    so. `made_at`: ms UTC."""

    key: str
    user: str
    name: str
    data: bytes
    made_at: int
    options: ImportOptions
    header: tuple[str, ...] = ()
    remembered: bool = False


class Look(msgspec.Struct, frozen=True):
    """What taking a draft over would do to the people of `version`, or (`problem`) why it cannot be read.
    `names`: by person id, what those are called who would be called otherwise, and what they would be, which
    no report tells: for who sees names. `others`: who comes under a known id, held back or said to be the
    same."""

    version: int
    report: ImportReport | None
    problem: str | None
    names: Mapping[str, tuple[str | None, str | None]] = {}
    others: tuple[OtherPerson, ...] = ()


class ImportDrafts:
    """Of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drafts: OrderedDict[str, Draft] = OrderedDict()
        self._looks: OrderedDict[str, tuple[ImportOptions, Look]] = OrderedDict()

    def bring(
        self, database: Database, user: str, name: str, data: bytes, *, now: int, time_zone: str
    ) -> Draft:
        """Keeps a file, with the columns that were said of such a one before. Raises UnreadableFile for one
        that is too large."""
        if len(data) > DRAFT_BYTES_MAX:
            raise UnreadableFile(f"the file is over {byte_size(DRAFT_BYTES_MAX)}")
        is_json = data.lstrip()[:1] in {b"[", b"{"}
        header: tuple[str, ...] = ()
        known: ImportMapping | None = None
        try:
            header = read_header(data, is_json=is_json)
            with database.read() as connection:
                known = remembered_mapping(connection, header)
        except UnreadableFile:
            # The look says why.
            pass
        options = ImportOptions(
            time_zone=time_zone, is_json=is_json, mapping=known or ImportMapping(), dry_run=True
        )
        key = secrets.token_hex(16)
        shown = "".join(c for c in name if c.isprintable())[:_NAME_CHARACTERS]
        draft = Draft(key, user, shown, data, now, options, header, known is not None)
        with self._lock:
            self._drop_old(now)
            self._drafts[key] = draft
            self._keep_bounds(user)
        return draft

    def get(self, user: str, key: str, *, now: int) -> Draft:
        """Raises UnknownDraft."""
        with self._lock:
            self._drop_old(now)
            found = self._drafts.get(key)
        if found is None or found.user != user:
            raise UnknownDraft("this file is no longer kept: bring it again")
        return found

    def change(self, draft: Draft, options: ImportOptions) -> Draft:
        """The same file, read in another way."""
        header = draft.header
        if options.mapping != draft.options.mapping or options.encoding != draft.options.encoding:
            try:
                header = read_header(
                    draft.data, is_json=options.is_json, mapping=options.mapping, encoding=options.encoding
                )
            except UnreadableFile:
                header = draft.header
        changed = msgspec.structs.replace(
            draft, options=msgspec.structs.replace(options, dry_run=True), header=header
        )
        with self._lock:
            if draft.key in self._drafts:
                self._drafts[draft.key] = changed
                self._looks.pop(draft.key, None)
        return changed

    def drop(self, draft: Draft) -> None:
        with self._lock:
            self._drafts.pop(draft.key, None)
            self._looks.pop(draft.key, None)

    def look(self, database: Database, draft: Draft, *, now: int) -> Look:
        """What would change now: kept until somebody changes people, or the way in which it is read."""
        with database.read() as connection:
            version = people_version(connection)
        with self._lock:
            known = self._looks.get(draft.key)
        if known is not None and known[0] == draft.options and known[1].version == version:
            return known[1]
        try:
            with database.read() as connection:
                prepared = prepare_import(connection, draft.data, at=now, options=draft.options)
                report = take_over(connection, prepared, actor="")
                found = Look(prepared.version, report, None, _names(prepared), prepared.plan.others)
        except UnreadableFile as error:
            found = Look(version, None, str(error))
        with self._lock:
            if draft.key in self._drafts:
                self._looks[draft.key] = (draft.options, found)
                while len(self._looks) > REPORTS_KEPT:
                    self._looks.popitem(last=False)
        return found

    def _drop_old(self, now: int) -> None:
        over = [key for key, draft in self._drafts.items() if not 0 <= now - draft.made_at <= KEPT_MS]
        for key in over:
            del self._drafts[key]
            self._looks.pop(key, None)

    def _keep_bounds(self, user: str) -> None:
        own = [key for key, draft in self._drafts.items() if draft.user == user]
        over = own[: max(0, len(own) - EACH_MAX)]
        for key in over:
            del self._drafts[key]
        while len(self._drafts) > 1 and sum(len(d.data) for d in self._drafts.values()) > ALL_BYTES_MAX:
            key, _ = self._drafts.popitem(last=False)
            over.append(key)
        for key in over:
            self._looks.pop(key, None)


def _names(prepared: PreparedImport) -> dict[str, tuple[str | None, str | None]]:
    found: dict[str, tuple[str | None, str | None]] = {}
    for _, person in prepared.changed:
        known = prepared.stored.get(person.id)
        before = None if known is None else known.name
        if before != person.name:
            found[person.id] = before, person.name
    return found


def apply_draft(database: Database, draft: Draft, seen: int, *, actor: str, now: int) -> ImportReport:
    """Takes a draft over as it was looked at. `seen`: version of the people that the look was at. Raises
    ChangedMeanwhile where somebody changed people since, UnreadableFile."""
    prepared = prepared_draft(database, draft, now)
    if prepared.version != seen:
        raise ChangedMeanwhile("somebody changed people meanwhile: look at what would change now")
    with database.begin() as connection:
        if people_version(connection) != seen:
            raise ChangedMeanwhile("somebody changed people meanwhile: look at what would change now")
        report = take_over(connection, prepared, actor=actor)
        if report.applied and draft.header and draft.options.mapping != ImportMapping():
            remember_mapping(connection, draft.header, draft.options.mapping, actor=actor, at=now)
        return report


def prepared_draft(database: Database, draft: Draft, now: int) -> PreparedImport:
    """Read and worked out, which takes long, before anybody waits for the write."""
    options = msgspec.structs.replace(draft.options, dry_run=False)
    with database.read() as connection:
        return prepare_import(connection, draft.data, at=now, options=options)
