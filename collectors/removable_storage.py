"""Removable storage: what was written to, renamed on and deleted from it, and devices in and out.

Orchestration only. Which mounts are removable: linux/block_devices; what changed on them: watched_place
and the watchers under linux/; when a file is finished: finished_files; its hash: file_hashing; its
labels: file_labelling; who: linux/who. All but hashing, labelling and the audit reader runs in the thread
that pulls `observe`."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Final

from collectors.authors import Authors
from collectors.contract import Observation, Unsupported
from collectors.drive_reading import SILENT_AFTER_S
from collectors.file_hashing import FileHasher
from collectors.file_labelling import FileLabelling
from collectors.labels import LabelSettings
from collectors.linux import fanotify, hotplug
from collectors.linux.beneath import Root
from collectors.linux.block_devices import BlockDevices
from collectors.linux.mounts import MountWatch
from collectors.linux.storage_identity import to_peripheral_device
from collectors.reported_files import ReportedFiles
from collectors.steady_clock import SteadyClock
from collectors.storage_config import RemovableStorageConfig
from collectors.storage_cursor import Cursor, place_id, read_cursor, write_cursor
from collectors.storage_events import EventSource, Volume, device_event
from collectors.storage_places import Place, PlaceFinder
from collectors.storage_reports import StorageReports
from collectors.watched_place import WHILE_WRITING, WatchedPlace
from event_schema.ocsf_events import Event, FileSystemActivity, PeripheralActivity, PeripheralActivityKind
from event_schema.ocsf_objects import Host, PeripheralDevice
from event_schema.printable import printable_name

__all__ = ["MTP_NOT_SEEN", "RemovableStorageCollector", "RemovableStorageConfig"]

MTP_NOT_SEEN: Final = (
    "Phones and cameras that are plugged in as MTP or PTP are not seen: nothing of them is mounted by the "
    "kernel. Block them by policy, or let them in as USB storage only."
)
_TURN_S: Final = 0.2
_TURN_MS: Final = 200
GATHER_S: Final = 0.1
"""A busy copier then costs ten turns a second, not one for each file."""
_MANY_WAITING: Final = 2_000
_CURSOR_EVERY_MS: Final = 1_000
_COARSEST_CLOCK_MS: Final = 2_100
_LOOK_FOR_FOLDERS_S: Final = 5.0
_MOST_DRIVES_REMEMBERED: Final = 4
_WAS_THERE: Final = "it was plugged in already when the agent started"
_AWAY: Final = ("hash skipped: the device went away first", "labels skipped: the device went away first")
_STOPPED: Final = ("hash skipped: the agent was stopped", "labels skipped: the agent was stopped")
_OPEN_AT_STOP: Final = "the file was still being written when the agent was stopped"
_log: Final = logging.getLogger(__name__)


class RemovableStorageCollector:
    """See Collector. `clock` gives ms since 1970 UTC."""

    name: ClassVar[str] = "removable_storage"
    emits: ClassVar[tuple[type, ...]] = (FileSystemActivity, PeripheralActivity)

    def __init__(
        self,
        config: RemovableStorageConfig,
        host: Host,
        version: str,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        label_settings: LabelSettings | None = None,
    ) -> None:
        self._config = config
        self._label_settings = label_settings if config.labels else None
        self._source = EventSource(self.name, version, host)
        self._clock = SteadyClock(clock)
        self._places: dict[Place, WatchedPlace] = {}
        self._troubles: dict[str, str] = {}
        self._reported: dict[tuple[str, Volume], ReportedFiles] = {}
        self._dropped: Counter[str] = Counter()
        self._authors: Authors | None = None
        self._hasher: FileHasher | None = None
        self._labelling: FileLabelling | None = None
        self._mounts: MountWatch | None = None
        self._hotplug: hotplug.Hotplug | None = None
        self._closing = threading.Event()
        self._at: tuple[float, WatchedPlace] | None = None
        self._resume: Cursor | None = None
        self._cursor: str | None = None
        self._cursor_ms = 0

    def check_supported(self) -> None:
        if not sys.platform.startswith("linux"):
            raise Unsupported("only Linux tells what is copied to removable storage; this is " + sys.platform)
        try:
            os.close(fanotify.open_fd_group())
        except OSError as refused:
            try:
                import watchdog  # noqa: F401, PLC0415 - only whether it is there
            except ImportError:
                raise Unsupported(
                    f"fanotify: {refused.strerror}; run the agent as root (CAP_SYS_ADMIN), "
                    "or install the package watchdog"
                ) from refused

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        self._closing.clear()
        self._resume = read_cursor(resume_from)
        self._cursor = resume_from
        try:
            yield from self._observe(stop)
        finally:
            self._release()

    def dropped(self) -> Mapping[str, int]:
        total = Counter(self._dropped)
        sources = (*list(self._places.values()), self._hasher, self._labelling, self._authors)
        for source in sources:
            if source is not None:
                total.update(source.dropped())
        return dict(total)

    def detail(self) -> str | None:
        if self._mounts is None:
            return None
        silent, at = self._silent(), self._at
        if at is not None and time.monotonic() - at[0] > SILENT_AFTER_S:
            # The one thread that reads waits for this drive.
            silent |= {at[1].root}
        places = [f"{printable_name(root.path)} does not answer" for root in silent]
        places += [place.describe() for place in list(self._places.values())]
        parts = ["; ".join(places) if places else "no removable storage is mounted"]
        if self._authors is not None:
            parts.append(f"who: {self._authors.describe()}")
        confined = None if self._labelling is None else self._labelling.describe()
        if confined is not None:
            parts.append(f"labels: read by a process confined by {confined}")
        parts += [printable_name(f"{where}: {trouble}") for where, trouble in sorted(self._troubles.items())]
        return "; ".join(parts)

    def close(self) -> None:
        self._closing.set()
        self._release()

    def _observe(self, stop: threading.Event) -> Iterator[Observation | None]:
        config = self._config
        self._authors = authors = Authors(self._clock)
        self._hasher = hasher = FileHasher(config.hash_cpu_share, config.hash_max_bytes)
        self._mounts = mounts = MountWatch()
        finder = PlaceFinder(config, BlockDevices())
        settings = self._label_settings
        self._labelling = labelling = (
            FileLabelling(settings) if settings is not None and settings.enabled else None
        )
        reports = StorageReports(self._source, hasher, authors, config.hash_wait_s, self._clock, labelling)
        reports.resume(self._resume)
        events = self._start_hotplug()
        events += self._update_places(finder, reports, None)
        checked_ms = self._clock.now_ms()
        look_again = time.monotonic() + _LOOK_FOR_FOLDERS_S
        while not (stop.is_set() or self._closing.is_set()):
            yield from self._observations(events, reports)
            if self._closing.is_set():
                return
            ready = self._wait(_TURN_S)
            hasher.look_after()
            if labelling is not None:
                labelling.look_after()
            events = []
            now_ms = self._clock.now_ms()
            if self._hotplug is not None and self._hotplug.fileno() in ready:
                events += self._device_changes(now_ms)
            if mounts.fileno() in ready or time.monotonic() > look_again:
                if mounts.fileno() in ready:
                    mounts.changes()
                look_again = time.monotonic() + _LOOK_FOR_FOLDERS_S
                events += self._update_places(finder, reports, checked_ms)
            checked_ms = now_ms
            events += self._turn(reports)
        events += self._turn(reports)
        for place in self._places.values():
            for finished in place.flush(_OPEN_AT_STOP, is_silent=place.root in self._silent()):
                reports.add(finished, place, self._clock.now_ms())
        events += reports.give_up(*_STOPPED)
        self._cursor_ms = 0
        yield from self._observations(events, reports)

    def _observations(self, events: list[Event], reports: StorageReports) -> Iterator[Observation | None]:
        """The last of the events moves the cursor: only then everything before it has been yielded."""
        if not events:
            yield None
            return
        *others, last = events
        for event in others:
            yield Observation(event, self._cursor)
        self._move_cursor(reports)
        yield Observation(last, self._cursor)

    def _move_cursor(self, reports: StorageReports) -> None:
        now_ms = self._clock.now_ms()
        waiting = len(reports) + sum(len(place.files) for place in self._places.values())
        if waiting > _MANY_WAITING and now_ms - self._cursor_ms < _CURSOR_EVERY_MS:
            return
        self._cursor_ms = now_ms
        oldest = [reports.oldest_ms(), *(place.oldest_ms() for place in self._places.values())]
        at_ms = min([now_ms - _TURN_MS, *(each for each in oldest if each is not None)])
        at_ms = self._clock.wall_ms(at_ms)
        pending = [each for place in self._places.values() for each in place.files.unreported()]
        self._cursor = write_cursor(
            at_ms,
            [watched.place_id for watched in self._places.values()],
            self._device_uids(),
            [each for changed_ms, each in reports.done if changed_ms >= at_ms - _COARSEST_CLOCK_MS],
            reports.unreported() + pending,
        )

    def _device_uids(self) -> list[str]:
        uids = [] if self._hotplug is None else [identity.uid for identity in self._hotplug.present()]
        return uids + [str(place.volume.device.uid) for place in self._places if place.is_extra_mount]

    def _turn(self, reports: StorageReports) -> list[Event]:
        authors, now_ms = self._authors, self._clock.now_ms()
        if authors is None:
            return []
        silent = self._silent()
        for place in self._places.values():
            if place.root in silent:
                continue
            self._at = (time.monotonic(), place)
            renames, finished = place.step(now_ms, authors.fresh)
            self._at = None
            for rename in renames:
                if rename.new_path is not None:
                    reports.renamed(rename.path, rename.new_path, is_folder=rename.is_folder)
            for each in finished:
                reports.add(each, place, now_ms)
        return reports.ready(now_ms)

    def _wait(self, seconds: float) -> set[int]:
        """What is readable. Where nothing is lost by it, what comes within a moment is taken together."""
        poll = select.poll()
        if self._mounts is not None:
            poll.register(self._mounts.fileno(), select.POLLPRI | select.POLLERR)
        readers = (self._hasher, self._labelling)
        patient = {-1 if reader is None else reader.fileno() for reader in readers}
        hurried = {-1 if self._hotplug is None else self._hotplug.fileno()}
        recorded = self._authors is not None and self._authors.are_recorded()
        silent = self._silent()
        for watcher in (place.watcher for place in self._places.values() if place.root not in silent):
            (patient if recorded and watcher.gathers else hurried).add(watcher.fileno())
        for descriptor in (patient | hurried) - {-1}:
            poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
        if ready and ready <= patient:
            for descriptor in patient - {-1}:
                poll.unregister(descriptor)
            ready |= {descriptor for descriptor, _ in poll.poll(GATHER_S * 1000)}
        return ready

    def _silent(self) -> frozenset[Root]:
        """The places whose drives do not answer: a look there would not come back."""
        readers = (self._hasher, self._labelling)
        return frozenset(root for reader in readers if reader is not None for root in reader.silent())

    def _start_hotplug(self) -> list[Event]:
        now_ms = self._clock.now_ms()
        try:
            self._hotplug = hotplug.Hotplug()
        except (OSError, ImportError) as error:
            self._troubles["devices in and out"] = f"not heard of: {error}"
            return []
        return [
            device_event(
                self._source,
                PeripheralActivityKind.CONNECT,
                to_peripheral_device(identity),
                "udev",
                self._clock.wall_ms(now_ms),
                _WAS_THERE,
            )
            for identity in self._hotplug.present()
            if self._resume is None or identity.uid not in self._resume.devices
        ]

    def _device_changes(self, now_ms: int) -> list[Event]:
        if self._hotplug is None:
            return []
        at_ms = self._clock.wall_ms(now_ms)
        kinds = {"add": PeripheralActivityKind.CONNECT, "remove": PeripheralActivityKind.DISCONNECT}
        return [
            device_event(
                self._source, kinds[change.action], to_peripheral_device(change.identity), "udev", at_ms
            )
            for change in self._hotplug.changes()
        ]

    def _update_places(
        self, finder: PlaceFinder, reports: StorageReports, checked_ms: int | None
    ) -> list[Event]:
        """Ends what is gone, begins what is new. `checked_ms`: when the mounts were last looked at."""
        if self._mounts is None:
            return []
        wanted = finder.find(self._mounts.present())
        events: list[Event] = []
        for place in [place for place in self._places if place not in wanted]:
            events += self._end(place, reports)
        for place in wanted:
            if place not in self._places:
                events += self._begin(place, checked_ms)
        for where in set(self._troubles) - {place.target for place in wanted}:
            if where.startswith("/"):
                del self._troubles[where]
        return events

    def _begin(self, place: Place, checked_ms: int | None) -> list[Event]:
        now_ms = self._clock.now_ms()
        try:
            watched = WatchedPlace(
                place.target,
                place.volume,
                self._config,
                whole_file_system=place.is_mount,
                clock=self._clock,
                fs_type=place.fs_type,
                reported=self._reported.pop((place.target, place.volume), None),
            )
        except (OSError, Unsupported) as error:
            if place.target not in self._troubles:
                # A path here names people (/media/alice/…): it is for `doctor` on this machine, not for logs.
                facts = {"errno": getattr(error, "errno", None), "is_mount": place.is_mount}
                _log.warning("a place cannot be watched", extra={"facts": facts})
                self._dropped["a place that could not be watched"] += 1
            self._troubles[place.target] = f"not watched: {error}"
            return []
        self._troubles.pop(place.target, None)
        self._places[place] = watched
        watched.place_id = place_id(place)
        if self._authors is not None:
            self._authors.watch(place.target)
        if checked_ms is not None and place.is_mount:
            # What was written between the mount and our mark.
            watched.rescan(checked_ms, self._clock.now_ms())
        if checked_ms is None and self._resume is not None and self._resume.was_watching(place):
            watched.rescan(self._clock.steady_ms(self._resume.at), resume=self._resume)
            if place.volume.device.uid in self._resume.devices:
                return []
        gap = _WAS_THERE if checked_ms is None else None
        return self._place_events(place, PeripheralActivityKind.CONNECT, now_ms, gap)

    def _end(self, place: Place, reports: StorageReports) -> list[Event]:
        watched = self._places[place]
        events = self._turn(reports)
        now_ms = self._clock.now_ms()
        for finished in watched.flush(WHILE_WRITING, is_silent=watched.root in self._silent()):
            reports.add(finished, watched, now_ms)
        events += reports.give_up(*_AWAY, lambda each: each is watched)
        self._dropped.update(watched.dropped())
        del self._places[place]
        if len(self._reported) >= _MOST_DRIVES_REMEMBERED:
            self._reported.clear()
        self._reported[place.target, place.volume] = watched.files.reported
        if self._authors is not None:
            self._authors.unwatch(place.target)
        watched.close()
        return events + self._place_events(place, PeripheralActivityKind.DISCONNECT, now_ms, None)

    def _place_events(
        self, place: Place, kind: PeripheralActivityKind, now_ms: int, gap: str | None
    ) -> list[Event]:
        """An extra mount comes and goes as a device does; for real devices the hot-plug events tell."""
        if not place.is_extra_mount:
            return []
        device: PeripheralDevice = place.volume.device
        return [device_event(self._source, kind, device, "mountinfo", self._clock.wall_ms(now_ms), gap)]

    def _release(self) -> None:
        for place in list(self._places.values()):
            self._dropped.update(place.dropped())
            place.close()
        self._places.clear()
        if self._authors is not None:
            self._dropped.update(self._authors.dropped())
        for source in (self._hotplug, self._mounts, self._authors):
            if source is not None:
                with contextlib.suppress(OSError):
                    source.close()
        readers = (self._hasher, self._labelling)
        self._hasher = self._labelling = None
        for reader in readers:
            if reader is not None:
                self._dropped.update(reader.dropped())
                reader.close()
        self._hotplug = self._mounts = self._authors = None
