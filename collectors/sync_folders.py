"""Sync folders: a file that appears where a cloud drive's client carries it away is an upload.

Which folders and whose clients: the catalogue. Changes: watched_place (inotify), finished files only. A
file is told once the client runs; what appears while it does not is kept, and told when it starts. Who put
the file there is not told by inotify: its owner is named. The client itself also writes what comes down
from other machines, so an event is `likely` at best, and `possible` where no running client can be seen for
lack of rights. Hash and labels: sent_files, of the file as it was when it came to rest.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final

import msgspec
import psutil

from collectors.contract import Observation, Unsupported
from collectors.file_changes import Change, FileFacts
from collectors.finished_files import FinishedFile
from collectors.folder_watching import check_folder_watching
from collectors.labels import LabelSettings
from collectors.linux.beneath import Root
from collectors.linux.process_identity import Who
from collectors.linux.user_names import UserNames
from collectors.sent_files import SentFile, SentFiles
from collectors.steady_clock import SteadyClock
from collectors.storage_config import RemovableStorageConfig
from collectors.storage_events import Volume
from collectors.sync_folders_config import SyncFoldersConfig
from collectors.upload_events import actor_of, file_of, gap_of
from collectors.watched_place import WatchedPlace
from event_schema.catalogue import Application, load_catalogue
from event_schema.ocsf_events import Event, FileActivity, event_metadata
from event_schema.ocsf_network import DestinationEndpoint
from event_schema.ocsf_objects import FileType, Host, PeripheralDevice, PeripheralType
from event_schema.ocsf_transfer_events import FileHostingActivity, file_upload
from event_schema.ocsf_unmapped import Evidence, Transfer, TransferUnmapped
from event_schema.printable import printable_name

__all__ = ["SyncFoldersCollector", "SyncFoldersConfig"]

_TURN_S: Final = 0.2
_CALM_S: Final = 0.4
"""While no file is under way."""
_LOOK_FOR_FOLDERS_S: Final = 30.0
_LOOK_FOR_CLIENTS_S: Final = 5.0
_LOOK_IDLE_S: Final = 60.0
_CLIENTS_CPU_SHARE: Final = 0.005
"""Of one core: where there are many processes, clients are looked for more seldom."""
_MOST_WAITING: Final = 10_000
_MOST_HOMES: Final = 1_000
_GAP: Final = "who put it there is not known, only whose it is"
_LATER: Final = "; the client was not running then"
_NEW: Final = (FileActivity.CREATE, FileActivity.UPDATE, FileActivity.RENAME)


class _Carried(msgspec.Struct, eq=False):
    """A file that a client carries away. `sent` once its client runs."""

    application: Application
    finished: FinishedFile
    root: Root
    late: bool = False
    sent: SentFile | None = None


class SyncFoldersCollector:
    """See Collector. `clock` gives ms since 1970 UTC."""

    name: ClassVar[str] = "sync_folders"
    emits: ClassVar[tuple[type, ...]] = (FileHostingActivity,)

    def __init__(
        self,
        config: SyncFoldersConfig,
        host: Host,
        version: str,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        label_settings: LabelSettings | None = None,
    ) -> None:
        self._sent_files = SentFiles(config, label_settings)
        self._config = config
        self._host = host
        self._version = version
        self._clock = SteadyClock(clock)
        self._catalogue = load_catalogue()
        self._storage = RemovableStorageConfig(settle_s=config.settle_s)
        self._closing = threading.Event()
        self._dropped: Counter[str] = Counter()
        self._places: dict[str, tuple[Application, WatchedPlace]] = {}
        self._names: UserNames | None = None
        self._running: frozenset[str] = frozenset()
        self._has_looked = False
        self._look_s = _LOOK_FOR_CLIENTS_S
        self._waiting: deque[_Carried] = deque()
        self._reading: deque[_Carried] = deque()

    def check_supported(self) -> None:
        check_folder_watching("sync folders")

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        self._closing.clear()
        self._names = UserNames()
        folders_at = clients_at = idle_at = 0.0
        try:
            while not (stop.is_set() or self._closing.is_set()):
                now = time.monotonic()
                if now >= folders_at:
                    folders_at = now + _LOOK_FOR_FOLDERS_S
                    self._update_places()
                self._turn()
                if now >= (clients_at if self._waiting else idle_at) and self._places:
                    began = time.thread_time()
                    self._running = self._clients()
                    took = time.thread_time() - began
                    self._look_s = max(_LOOK_FOR_CLIENTS_S, took / _CLIENTS_CPU_SHARE)
                    if self._waiting:
                        clients_at = now + self._look_s
                    # Else only so that `detail` can say that none runs: a file has a look of its own.
                    idle_at = now + max(self._look_s, _LOOK_IDLE_S)
                    self._has_looked = True
                yield from self._observations()
                stop.wait(_TURN_S if self._is_busy() else _CALM_S)
            if not self._closing.is_set():
                self._turn()
                for application, place in self._places.values():
                    found = place.flush("the file was still being written when the agent was stopped")
                    self._keep(application, place, found)
                if self._waiting:
                    self._running = self._clients()
                yield from self._observations(at_end=True)
        finally:
            self._release()

    def dropped(self) -> Mapping[str, int]:
        total = Counter(self._dropped)
        for _, place in list(self._places.values()):
            total.update(place.dropped())
        total.update(self._sent_files.dropped())
        return dict(total)

    def detail(self) -> str | None:
        if self._names is None:
            return None
        clients = Counter(application.name for application, _ in list(self._places.values()))
        if not clients:
            return "no sync folder of a known cloud drive is here"
        parts = [f"{count} × {name}" if count > 1 else name for name, count in sorted(clients.items())]
        ids = {application.id for application, _ in list(self._places.values())}
        if self._has_looked and not ids & self._running:
            parts[-1] += "; no client of theirs runs: nothing is told until one does"
        waiting = f"; {len(self._waiting)} files wait for their client" if self._waiting else ""
        confined = self._sent_files.describe()
        labels = f"; labels: read by a process confined by {confined}" if confined else ""
        return printable_name("sync folders: " + ", ".join(parts) + waiting + labels)

    def close(self) -> None:
        self._closing.set()
        self._release()

    def _is_busy(self) -> bool:
        return bool(self._waiting or self._reading) or any(place.files for _, place in self._places.values())

    def _update_places(self) -> None:
        wanted = self._folders()
        for path in [path for path in self._places if path not in wanted]:
            _, gone = self._places.pop(path)
            self._dropped.update(gone.dropped())
            gone.close()
        for path, application in wanted.items():
            if path in self._places:
                continue
            volume = Volume(PeripheralDevice(name=application.name, type_id=PeripheralType.UNKNOWN), None)
            try:
                place = WatchedPlace(path, volume, self._storage, whole_file_system=False, clock=self._clock)
            except (OSError, RuntimeError, Unsupported):
                # RuntimeError: no more threads, of which each folder takes three.
                self._dropped["folders_that_cannot_be_watched"] += 1
                continue
            self._places[path] = (application, place)

    def _folders(self) -> dict[str, Application]:
        drives = self._catalogue.of_kind("cloud_drive")
        found: dict[str, Application] = {}
        for home in self._homes():
            for application in drives:
                for folder in application.sync_folders:
                    path = home / folder
                    with contextlib.suppress(OSError):
                        if path.is_dir() and not path.is_symlink():
                            found[str(path)] = application
        for application in drives:
            for extra in self._config.extra.get(application.id, ()):
                if Path(extra).is_dir():
                    found[extra] = application
        return found

    def _homes(self) -> list[Path]:
        homes: list[Path] = []
        for each in self._config.homes:
            homes.append(Path(each))
            with contextlib.suppress(OSError):
                for entry in Path(each).iterdir():
                    if len(homes) < _MOST_HOMES and not entry.name.startswith(".") and not entry.is_symlink():
                        homes.append(entry)
        return homes

    def _turn(self) -> None:
        now_ms = self._clock.now_ms()
        for application, place in self._places.values():
            _, finished = place.step(now_ms, self._owner)
            self._keep(application, place, finished)

    def _keep(self, application: Application, place: WatchedPlace, finished: list[FinishedFile]) -> None:
        for each in finished:
            facts = each.facts
            if each.activity not in _NEW or each.is_folder or each.is_deleted or facts is None:
                continue
            if facts.type_id is not FileType.REGULAR:
                continue
            if len(self._waiting) >= _MOST_WAITING:
                self._waiting.popleft()
                self._dropped["files_waiting_for_a_client_over_the_limit"] += 1
            self._waiting.append(_Carried(application, each, place.root))

    def _owner(self, change: Change, look: Callable[[str], FileFacts | None]) -> Who:
        facts = change.facts or look(change.new_path or change.path)
        uid = None if facts is None else facts.owner_uid
        return Who(uid, None, None, 0, None, "file_owner")

    def _clients(self) -> frozenset[str]:
        """Ids of the cloud drives whose client runs."""
        found: set[str] = set()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                application = self._catalogue.of_program(process.exe(), process.cmdline()[:3])
                if application is not None and application.kind == "cloud_drive":
                    found.add(application.id)
        return frozenset(found)

    def _observations(self, *, at_end: bool = False) -> Iterator[Observation | None]:
        keep = deque[_Carried]()
        now_ms = self._clock.now_ms()
        for each in self._waiting:
            facts = each.finished.facts
            if each.application.id not in self._running or facts is None:
                keep.append(each)
                continue
            waited_ms = now_ms - each.finished.at_ms
            each.late = waited_ms > 1000 * (self._look_s + 2 * self._config.settle_s + 1)
            path = each.finished.new_path or each.finished.path
            each.sent = self._sent_files.begin(each.root, path, facts)
            self._reading.append(each)
        self._waiting = keep
        self._sent_files.turn()
        told, reading = deque[_Carried](), deque[_Carried]()
        for each in self._reading:
            is_ready = each.sent is None or self._sent_files.is_ready(each.sent, at_end=at_end)
            (told if is_ready else reading).append(each)
        self._reading = reading
        if not told:
            yield None
        for each in told:
            yield Observation(self._event(each))

    def _event(self, carried: _Carried) -> Event:
        application, finished, facts = carried.application, carried.finished, carried.finished.facts
        assert facts is not None
        file = file_of(finished.new_path or finished.path, facts.size, carried.sent)
        name = None if self._names is None else self._names.name(facts.owner_uid)
        return file_upload(
            time=max(0, self._clock.wall_ms(finished.at_ms)),
            metadata=event_metadata(self.name, self._version, labelled=file.data_classifications is not None),
            actor=actor_of(facts.owner_uid, name, 0, None, None),
            device=self._host,
            file=file,
            unmapped=TransferUnmapped(
                evidence=Evidence(
                    fidelity="likely",
                    observed_by="watchdog",
                    actor_from="file_owner",
                    gap=gap_of(_GAP + (_LATER if carried.late else ""), carried.sent),
                ),
                transfer=Transfer(category="cloud_drive", application=application.name),
            ),
            dst_endpoint=DestinationEndpoint(svc_name=application.name),
        )

    def _release(self) -> None:
        for _, place in list(self._places.values()):
            place.close()
        self._places.clear()
        names, self._names = self._names, None
        if names is not None:
            names.close()
        self._sent_files.close()
        self._waiting.clear()
        self._reading.clear()
        self._running, self._has_looked = frozenset(), False
