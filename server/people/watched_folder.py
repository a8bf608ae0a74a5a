"""A folder in which HR's nightly exports appear: each is taken over once and moved aside, with its report.

A file (.csv, .txt, .xlsx; not one that begins with a dot) counts as whole when its size and time are those of
the look before. What was taken over goes to done/, what was stopped or cannot be read to refused/, as
`20261122T031500-NAME`, and beside it `….report.json`, an ImportReport, or {"stopped": why}. Nothing is ever
deleted or written over. A file that cannot be opened is on the record once, and tried again at every look,
after the others. Killed between the import and the move, the file is imported again, which changes
nothing. Links and folders are left alone; so is all of it where others than its owner and group may write.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from server.people.csv_encoding import UnreadableFile
from server.people.csv_table import FILE_BYTES_MAX
from server.people.hr_import import ImportOptions, note_unreadable, prepare_import, take_over
from server.people.import_mapping import MappingUnreadable, read_mapping
from server.people.import_report import ImportReport
from server.people.undo import FOLDER_ACTOR as ACTOR
from server.pulse import Pulse
from server.store.database import Database, StoreUnavailable

LOOK_SECONDS: Final = 15.0
TURN_SECONDS_MAX: Final = 1800.0
FILES_AT_ONCE: Final = 20
DONE, REFUSED = "done", "refused"
_ENDINGS: Final = (".csv", ".txt", ".xlsx")
_NAME_CHARACTERS: Final = 150

_logger = logging.getLogger("leaver.people")

_Seen = dict[str, tuple[int, int]]
"""Size and time of change by name."""


class WatchedFolder:
    """The loop; `run` is a SupervisedThread's work. `options` but for the mapping, which is read anew."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        clock: Callable[[], int],
        options: ImportOptions,
        mapping: Path | None = None,
        look_seconds: float = LOOK_SECONDS,
        pulse: Pulse | None = None,
    ) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock
        self._options = options
        self._mapping = mapping
        self._look_seconds = look_seconds
        self._pulse = pulse or Pulse(TURN_SECONDS_MAX)
        self._seen: _Seen = {}
        self._stuck: _Seen = {}
        """What was taken over and could not be moved aside."""
        self._stuck_since: tuple[int, ...] = ()
        self._closed: _Seen = {}
        """What could not be opened."""
        self._said = ""
        self._fault: str | None = None

    @property
    def fault(self) -> str | None:
        """Why nothing is taken from the folder, or stays in it; None while all is well."""
        return self._fault

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._pulse.beat()
            try:
                self.look()
            except (OSError, StoreUnavailable, MappingUnreadable) as error:
                # Without the path of a file: its name may be somebody's.
                why = getattr(error, "strerror", None) or str(error)
                self._say("hr_folder_waits", why)
                if not isinstance(error, StoreUnavailable):
                    self._fault = why
            else:
                self._said = ""
                self._fault = self._why_stuck()
            stop.wait(self._look_seconds)

    def look(self) -> int:
        """Takes what is whole; how many files. Raises OSError, StoreUnavailable, MappingUnreadable: what is
        there stays for the next time."""
        found = self._files()
        if self._stuck and self._permissions() != self._stuck_since:
            self._stuck = {}
        whole = [
            name for name, state in found.items() if self._seen.get(name) == state != self._stuck.get(name)
        ]
        self._seen = found
        self._stuck = {name: state for name, state in self._stuck.items() if found.get(name) == state}
        if not whole:
            return 0
        options = self._options
        if self._mapping is not None:
            options = msgspec.structs.replace(options, mapping=read_mapping(self._mapping))
        ordered = sorted(whole, key=lambda name: (name in self._closed, found[name][1], name))[:FILES_AT_ONCE]
        for name in ordered:
            try:
                data = self._read(name)
            except OSError as error:
                self._note_closed(name, error.strerror or "it is no file any more")
            else:
                self._closed.pop(name, None)
                self._take(name, data, options)
            self._pulse.beat()
        self._closed = {name: state for name, state in self._closed.items() if name in found}
        return len(ordered)

    def _files(self) -> _Seen:
        mode = self._folder.stat().st_mode
        if mode & stat.S_IWOTH:
            raise OSError(f"{self._folder}: everybody may write there; nothing in it is believed")
        found: _Seen = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                name = entry.name
                if (
                    not name.lower().endswith(_ENDINGS)
                    or name.startswith(".")
                    or len(name) > _NAME_CHARACTERS
                ):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        found[name] = (status.st_size, status.st_mtime_ns)
        return found

    def _note_closed(self, name: str, why: str) -> None:
        if self._closed.get(name) == self._seen[name]:
            return
        with self._database.begin() as connection:
            note_unreadable(connection, b"", f"cannot be opened: {why}", actor=ACTOR, at=self._clock())
        self._closed[name] = self._seen[name]
        _logger.warning("hr_file_unopened", extra={"detail": why})

    def _take(self, name: str, data: bytes, options: ImportOptions) -> None:
        report: ImportReport | dict[str, str]
        try:
            with self._database.read() as connection:
                prepared = prepare_import(connection, data, at=self._clock(), options=options)
            with self._database.begin() as connection:
                report = take_over(connection, prepared, actor=ACTOR)
        except UnreadableFile as error:
            report = {"stopped": str(error)}
            with self._database.begin() as connection:
                note_unreadable(connection, data, error.why, actor=ACTOR, at=self._clock())
        taken = isinstance(report, ImportReport) and report.applied
        if isinstance(report, ImportReport):
            counts = {"added": report.added, "changed": report.changed, "refused": report.refused}
            _logger.info("hr_file", extra={"import": report.import_id, "taken": taken, **counts})
        else:
            _logger.warning("hr_file_unreadable")
        try:
            self._move(name, DONE if taken else REFUSED, report)
        except OSError as error:
            # It would be taken again and again, which changes nothing and helps nobody.
            self._stuck[name] = self._seen[name]
            self._stuck_since = self._permissions()
            _logger.warning("hr_file_not_moved", extra={"detail": error.strerror})

    def _read(self, name: str) -> bytes:
        with os.fdopen(
            os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb"
        ) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError("what was a file is none any more")
            return file.read(FILE_BYTES_MAX + 1)

    def _move(self, name: str, where: str, report: ImportReport | dict[str, str]) -> None:
        aside = self._folder / where
        aside.mkdir(mode=0o700, exist_ok=True)
        stamp = datetime.fromtimestamp(self._clock() / 1000, UTC).strftime("%Y%m%dT%H%M%S")
        target = next(
            path
            for number in range(1, 10_000)
            if not (path := aside / f"{stamp}{f'-{number}' if number > 1 else ''}-{name}").exists()
        )
        written = msgspec.json.format(msgspec.json.encode(report), indent=1)
        with os.fdopen(
            os.open(f"{target}.report.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
        ) as file:
            file.write(written)
        (self._folder / name).rename(target)

    def _why_stuck(self) -> str | None:
        number = len(self._stuck)
        return f"files that were worked on cannot be moved aside, {number} so far" if number else None

    def _permissions(self) -> tuple[int, ...]:
        """When the folder's and its subfolders' entries, modes or owners were last changed, ns."""
        found = [self._folder.stat().st_ctime_ns]
        for name in (DONE, REFUSED):
            with contextlib.suppress(FileNotFoundError):
                found.append((self._folder / name).stat().st_ctime_ns)
        return tuple(found)

    def _say(self, what: str, detail: str) -> None:
        if detail != self._said:
            _logger.warning(what, extra={"detail": detail})
            self._said = detail
