"""Export folders: what is finished in a folder that an administrator named is remembered by its hash.

For file servers and applications that write exports: the report folder of a shop, a share from which lists
are fetched. Changes: watched_place (inotify), finished files only; hash and labels: sent_files. Who wrote a
file is not told by inotify: its owner is named, and evidence says so. On a share that another machine
serves, only what this machine writes is seen: the collector belongs on the server.

Cursor: as removable_storage's (storage_cursor.py), without places and devices: what was finished while the
agent was away is looked for when it resumes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from collectors.contract import Observation, Unsupported
from collectors.export_folders_config import ExportFoldersConfig
from collectors.file_changes import Change, FileFacts
from collectors.finished_files import FinishedFile
from collectors.folder_watching import check_folder_watching
from collectors.labels import LabelSettings
from collectors.linux.process_identity import Who
from collectors.linux.user_names import UserNames
from collectors.sent_files import SentFile, SentFiles
from collectors.steady_clock import SteadyClock
from collectors.storage_config import RemovableStorageConfig
from collectors.storage_cursor import MOST_DONE, file_id, read_cursor, write_cursor
from collectors.storage_events import Volume
from collectors.upload_events import actor_of, file_of, gap_of
from collectors.watched_place import WatchedPlace
from event_schema.ocsf_events import (
    Event,
    FileActivity,
    FileSystemActivity,
    event_metadata,
    file_system_activity,
)
from event_schema.ocsf_objects import FileType, Host, PeripheralDevice, PeripheralType
from event_schema.ocsf_unmapped import Evidence, Unmapped
from event_schema.printable import printable_name

__all__ = ["ExportFoldersCollector", "ExportFoldersConfig"]

_TURN_S: Final = 0.2
_LOOK_FOR_FOLDERS_S: Final = 30.0
_MOST_WAITING: Final = 10_000
_TOO_MANY: Final = "exports_waiting_for_their_hash_over_the_limit"
_GAP: Final = "who wrote it is not known, only whose it is"
_STOPPED: Final = "the file was still being written when the agent was stopped"
_NEW: Final = (FileActivity.CREATE, FileActivity.UPDATE, FileActivity.RENAME)
_PLACE: Final = Volume(PeripheralDevice(name="export folder", type_id=PeripheralType.UNKNOWN), None)


class _Export(msgspec.Struct, frozen=True):
    finished: FinishedFile
    path: str
    facts: FileFacts
    sent: SentFile
    earliest_ms: int


class ExportFoldersCollector:
    """See Collector. `clock` gives ms since 1970 UTC."""

    name: ClassVar[str] = "export_folders"
    emits: ClassVar[tuple[type, ...]] = (FileSystemActivity,)

    def __init__(
        self,
        config: ExportFoldersConfig,
        host: Host,
        version: str,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        label_settings: LabelSettings | None = None,
    ) -> None:
        self._config = config
        self._host = host
        self._version = version
        self._clock = SteadyClock(clock)
        self._sent_files = SentFiles(config, label_settings)
        self._storage = RemovableStorageConfig(settle_s=config.settle_s)
        self._closing = threading.Event()
        self._dropped: Counter[str] = Counter()
        self._places: dict[str, WatchedPlace] = {}
        self._names: UserNames | None = None
        self._reading: deque[_Export] = deque()
        self._done: deque[str] = deque(maxlen=MOST_DONE)

    def check_supported(self) -> None:
        check_folder_watching("export folders")

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        self._closing.clear()
        self._names = UserNames()
        self._done.clear()
        look_at = 0.0
        try:
            self._watch(resume_from)
            while not (stop.is_set() or self._closing.is_set()):
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + _LOOK_FOR_FOLDERS_S
                    self._watch(None)
                for place in self._places.values():
                    self._keep(place, place.step(self._clock.now_ms(), _owner)[1])
                yield from self._observations()
                stop.wait(_TURN_S)
            if not self._closing.is_set():
                for place in self._places.values():
                    finished = place.step(self._clock.now_ms(), _owner)[1]
                    self._keep(place, finished + place.flush(_STOPPED))
                yield from self._observations(at_end=True)
        finally:
            self._release()

    def dropped(self) -> Mapping[str, int]:
        total = Counter(self._dropped)
        for place in list(self._places.values()):
            total.update(place.dropped())
        total.update(self._sent_files.dropped())
        return dict(total)

    def detail(self) -> str | None:
        if self._names is None:
            return None
        missing = [folder for folder in self._config.folders if folder not in self._places]
        words = f"{len(self._places)} of {len(self._config.folders)} export folders are watched"
        return printable_name(words + (f"; not there: {', '.join(missing[:5])}" if missing else ""))

    def close(self) -> None:
        self._closing.set()
        self._release()

    def _watch(self, resume_from: str | None) -> None:
        """Takes folders in that are there by now, and lets those go that are not."""
        resume = read_cursor(resume_from)
        for folder in self._config.folders:
            place, is_there = self._places.get(folder), Path(folder).is_dir()
            if place is not None and not is_there:
                self._dropped.update(self._places.pop(folder).dropped())
                place.close()
            if place is not None or not is_there:
                continue
            try:
                place = WatchedPlace(
                    folder, _PLACE, self._storage, whole_file_system=False, clock=self._clock
                )
            except (OSError, Unsupported):
                self._dropped["folders_that_cannot_be_watched"] += 1
                continue
            self._places[folder] = place
            if resume is not None:
                place.rescan(self._clock.steady_ms(resume.at), resume=resume)
        if resume is not None:
            self._done.extend(resume.done)

    def _keep(self, place: WatchedPlace, finished: list[FinishedFile]) -> None:
        for each in finished:
            facts, path = each.facts, each.new_path or each.path
            if each.activity not in _NEW or each.is_folder or each.is_deleted or facts is None:
                continue
            if facts.type_id is not FileType.REGULAR or path.rpartition("/")[2].startswith("."):
                continue
            if len(self._reading) >= _MOST_WAITING:
                self._dropped[_TOO_MANY] += 1
                continue
            sent = self._sent_files.begin(place.root, path, facts)
            self._reading.append(_Export(each, path, facts, sent, place.earliest_ms(each)))

    def _observations(self, *, at_end: bool = False) -> Iterator[Observation | None]:
        self._sent_files.turn()
        ready, reading = list[_Export](), deque[_Export]()
        for each in self._reading:
            is_ready = self._sent_files.is_ready(each.sent, at_end=at_end)
            (ready if is_ready else reading).append(each)
        self._reading = reading
        if not ready:
            yield None
            return
        # What was stopped before its hash was there is told again after the next start.
        again = [each for each in ready if at_end and each.sent.sha256 is None]
        self._done.extend(file_id(each.path, each.facts) for each in ready if each not in again)
        cursor = self._cursor(again)
        for each in ready[:-1]:
            yield Observation(self._event(each))
        # The place to resume from is behind all of them.
        yield Observation(self._event(ready[-1]), cursor)

    def _cursor(self, again: list[_Export]) -> str:
        oldest = [place.oldest_ms() for place in self._places.values()]
        oldest += [each.earliest_ms for each in (*self._reading, *again)]
        waiting = [(each.finished.held_ns is not None, each.path) for each in (*self._reading, *again)]
        waiting += [each for place in self._places.values() for each in place.files.unreported()]
        at_ms = self._clock.wall_ms(min(oldest, default=self._clock.now_ms()))
        return write_cursor(at_ms, [], [], list(self._done), waiting)

    def _event(self, export: _Export) -> Event:
        finished, facts = export.finished, export.facts
        file = file_of(export.path, facts.size, export.sent)
        name = None if self._names is None else self._names.name(facts.owner_uid)
        return file_system_activity(
            FileActivity.CREATE if finished.activity is FileActivity.RENAME else finished.activity,
            time=max(0, self._clock.wall_ms(finished.at_ms)),
            metadata=event_metadata(self.name, self._version, labelled=file.data_classifications is not None),
            actor=actor_of(facts.owner_uid, name, 0, None, None),
            device=self._host,
            file=file,
            unmapped=Unmapped(
                evidence=Evidence(
                    fidelity="likely",
                    observed_by="rescan" if finished.from_rescan else "watchdog",
                    actor_from="file_owner",
                    gap=gap_of(_GAP, export.sent),
                ),
                origin="file_server",
            ),
        )

    def _release(self) -> None:
        for place in list(self._places.values()):
            self._dropped.update(place.dropped())
            place.close()
        self._places.clear()
        names, self._names = self._names, None
        if names is not None:
            names.close()
        self._sent_files.close()
        self._reading.clear()


def _owner(change: Change, look: Callable[[str], FileFacts | None]) -> Who:
    facts = change.facts or look(change.new_path or change.path)
    return Who(None if facts is None else facts.owner_uid, None, None, 0, None, "file_owner")
