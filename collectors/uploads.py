"""Uploads: which file was handed to a program that sent it out, whose, how much went where, and how sure
that is.

Orchestration only. What is opened: linux/openings; who connects: linux/audit_connects; how many bytes:
linux/tcp_sockets; what acts together: linux/process_tree; what an upload is: upload_join; whose place it
is, and its file: upload_telling. All but the fanotify reader (a program), the name service and
those that read files (threads) runs in the thread that pulls `observe`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import ClassVar, Final, Protocol

from collectors.contract import Observation, Unsupported
from collectors.destination_settings import DestinationSettings
from collectors.destinations import Destinations
from collectors.dump_files import DumpFiles
from collectors.labels import LabelSettings
from collectors.linux import openings
from collectors.linux.audit_connects import AuditConnects, ConnectFact
from collectors.linux.opened_files import OpenedFile
from collectors.linux.openings import Openings
from collectors.linux.process_tree import ProcessFacts, ProcessTree
from collectors.linux.tcp_sockets import TcpClosings, held_by, open_sockets
from collectors.linux.user_names import UserNames
from collectors.sent_files import SentFiles
from collectors.steady_clock import SteadyClock
from collectors.upload_events import ObservedBy, dump_event
from collectors.upload_facts import Read, Upload
from collectors.upload_join import UploadJoin
from collectors.upload_telling import UploadTelling
from collectors.uploads_config import UploadsConfig
from event_schema.ocsf_events import Event, FileSystemActivity
from event_schema.ocsf_objects import Host
from event_schema.ocsf_transfer_events import FileHostingActivity
from event_schema.printable import printable_name

__all__ = ["UploadsCollector", "UploadsConfig"]

_TURN_S: Final = 0.2
_GATHER_S: Final = 0.02
"""What comes within a moment is taken together; longer, and when a connection closed is not well known."""
_LOOK_S: Final = 0.008
"""Processes are looked at meanwhile: a small dump is gone from /proc after 10 ms."""
_GATHER_OPENINGS_S: Final = 0.1
"""They bring their own time and program."""
_COUNT_S: Final = 0.5
_BASELINE_S: Final = 5.0
_OBSERVED: Final[Mapping[str, ObservedBy]] = {
    "permission": "fanotify_permission",
    "open": "fanotify_open",
    "polling": "polling",
}
_SYSTEM_PROGRAMS: Final = ("/usr/bin/", "/usr/sbin/", "/usr/lib", "/bin/", "/sbin/", "/lib")
_LONG_LIVED: Final = ("messenger", "cloud_drive", "browser")


class _Source(Protocol):
    def dropped(self) -> Mapping[str, int]: ...


class UploadsCollector:
    """See Collector. `clock` gives ms since 1970 UTC. `destinations` may be given by tests."""

    name: ClassVar[str] = "uploads"
    emits: ClassVar[tuple[type, ...]] = (FileHostingActivity, FileSystemActivity)

    def __init__(
        self,
        config: UploadsConfig,
        host: Host,
        version: str,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        destinations: Destinations | None = None,
        label_settings: LabelSettings | None = None,
        destination_settings: DestinationSettings | None = None,
    ) -> None:
        self._places = destination_settings or DestinationSettings()
        self._config = config
        self._sent_files = SentFiles(config, label_settings)
        self._source = (self.name, version, host)
        self._clock = SteadyClock(clock)
        self._catalogue = self._places.catalogue()
        self._given = destinations
        self._networks = [ipaddress.ip_network(each) for each in config.inside_networks]
        self.is_outside = lru_cache(4096)(self._is_outside)
        self._closing = threading.Event()
        self._dropped: Counter[str] = Counter()
        self._reasons: dict[str, str] = {}
        self._tree: ProcessTree | None = None
        self._connects: AuditConnects | None = None
        self._closings: TcpClosings | None = None
        self._openings: Openings | None = None
        self._destinations: Destinations | None = None
        self._names: UserNames | None = None
        self._join: UploadJoin | None = None
        self._dumps: DumpFiles | None = None
        self._telling: UploadTelling | None = None
        self._count_at = self._baseline_at = 0.0

    def check_supported(self) -> None:
        if not sys.platform.startswith("linux"):
            raise Unsupported("only Linux tells who opens files and connections; this is " + sys.platform)
        TcpClosings().close()
        openings.check(self._config.step)

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        self._closing.clear()
        try:
            yield from self._observe(stop)
        finally:
            self._release()

    def dropped(self) -> Mapping[str, int]:
        total = Counter(self._dropped)
        for source in (*self._sources(), self._sent_files):
            total.update(source.dropped())
        return dict(total)

    def detail(self) -> str | None:
        opened, tree = self._openings, self._tree
        if opened is None or tree is None:
            return None
        parts = [opened.describe(), self._how_connected(), self._left_out()]
        if tree.fileno() < 0:
            parts.append("which processes belong together: /proc only")
        confined = self._sent_files.describe()
        if confined is not None:
            parts.append(f"labels: read by a process confined by {confined}")
        parts += [f"{what}: {why}" for what, why in sorted((self._reasons | opened.reasons).items())]
        return printable_name("; ".join(parts))

    def close(self) -> None:
        self._closing.set()
        self._release()

    def _left_out(self) -> str:
        """What is never told of, so that nobody waits for it."""
        inside = ", ".join(self._config.inside_networks)
        files = f"files outside {', '.join(self._config.folders)} and in hidden folders there"
        return f"left out: {files}" + (f", and what goes to {inside}" if inside else "")

    def _how_connected(self) -> str:
        if self._connects is None:
            return "connections: by time and size, so uploads are likely at best"
        trouble = self._connects.trouble()
        return "connections: kernel audit" + (f" ({trouble})" if trouble else "")

    def _observe(self, stop: threading.Event) -> Iterator[Observation | None]:
        self._start()
        while not (stop.is_set() or self._closing.is_set()):
            self._wait()
            yield from self._observations(self._turn())
        if self._closing.is_set():
            return
        if self._join is not None and self._telling is not None:
            self._take()
            self._tell(self._telling, self._join.due(self._clock.now_ms(), everything=True))
            ready = self._telling.ready(at_end=True)
            yield from self._observations(ready + self._dump_events(at_end=True))

    def _observations(self, events: list[Event]) -> Iterator[Observation | None]:
        if not events:
            yield None
        for event in events:
            yield Observation(event)

    def _start(self) -> None:
        config = self._config
        self._names = UserNames()
        domains = [place for place in self._places.trusted if self._catalogue.is_trusted(host=place)]
        self._destinations = self._given or Destinations(self._catalogue, trusted_domains=domains)
        self._tree = tree = ProcessTree(self._catalogue, self._clock.now_ms)
        # A home may be a link; what is opened is told by its real path.
        folders = tuple(os.path.realpath(folder) for folder in config.folders)
        if config.export_files:
            self._dumps = DumpFiles(self._sent_files, tree, folders)
            tree.started = self._dumps.writers.started
        with self._or_reason("which processes belong together"):
            tree.follow()
        with self._or_reason("who connects"):
            self._connects = AuditConnects(config.first_user_uid)
        with self._or_reason("how much is sent"):
            self._closings = TcpClosings()
        self._openings = Openings(config.step, folders, config.most_folders, config.first_user_uid)
        self._join = UploadJoin(
            tree,
            self.is_outside,
            window_ms=int(config.window_s * 1000),
            guesses=self._connects is None,
            late_ms=openings.LATE_MS[self._openings.step],
        )
        self._telling = UploadTelling(
            self._source,
            folders,
            self._clock,
            self._destinations,
            self._names,
            self._sent_files,
        )

    @contextlib.contextmanager
    def _or_reason(self, what: str) -> Iterator[None]:
        try:
            yield
        except Unsupported as reason:
            self._reasons[what] = str(reason)
        else:
            self._reasons.pop(what, None)

    def _wait(self) -> None:
        """Until there is something to join, or the turn is over. Processes are only noted meanwhile."""
        tree, opened = self._tree, self._openings
        ready = select.poll()
        for source in (tree, self._connects, self._closings):
            if source is not None and source.fileno() >= 0:
                ready.register(source.fileno(), select.POLLIN)
        born = -1 if tree is None else tree.fileno()
        told = -1 if opened is None else opened.fileno()
        for descriptor in [] if opened is None else opened.descriptors():
            ready.register(descriptor, select.POLLIN)
        until = time.monotonic() + (0.01 if opened is not None and opened.is_walking else _TURN_S)
        while (left := until - time.monotonic()) > 0:
            found = {descriptor for descriptor, _ in ready.poll(left * 1000)}
            if not found <= {born, told}:
                until = time.monotonic() + _GATHER_S
                while time.monotonic() < until and not self._closing.wait(_LOOK_S):
                    if tree is not None:
                        tree.pump()
                return
            if told in found:
                until = min(until, time.monotonic() + _GATHER_OPENINGS_S)
                ready.unregister(told)
            if born in found and tree is not None:
                if self._closing.wait(_LOOK_S):
                    return
                tree.pump()

    def _turn(self) -> list[Event]:
        join, tree, telling = self._join, self._tree, self._telling
        if join is None or tree is None or telling is None:
            return []
        self._look_after()
        # What is due is judged by what was known then: a busy machine may take its time in between.
        known_ms = self._clock.now_ms()
        self._take()
        now = time.monotonic()
        if now >= self._count_at:
            self._count_at = now + _COUNT_S
            self._count(join, tree, now)
        join.guesses = self._connects is None or not self._connects.is_complete()
        self._tell(telling, join.due(known_ms))
        return telling.ready() + self._dump_events()

    def _tell(self, telling: UploadTelling, uploads: list[Upload]) -> None:
        step = "polling" if self._openings is None else self._openings.step
        for upload in uploads:
            telling.add(upload, "proc_events" if upload.read is None else _OBSERVED[step])

    def _dump_events(self, *, at_end: bool = False) -> list[Event]:
        names, opened, dumps = self._names, self._openings, self._dumps
        if names is None or opened is None or dumps is None:
            return []
        seen, clock = _OBSERVED[opened.step], self._clock
        return [
            dump_event(self._source, each, names.name(each.client.uid), seen, clock.wall_ms(each.closed_ms))
            for each in dumps.ready(at_end=at_end)
        ]

    def _take(self) -> None:
        join, tree = self._join, self._tree
        if join is None or tree is None:
            return
        # What happens last is fetched first: then nothing that came before it is missing. A process is born
        # before it does anything.
        closed = [] if self._closings is None else self._closings.read()
        closed_ms = self._clock.now_ms()
        connects = [] if self._connects is None else self._connects.read()
        opened = [] if self._openings is None else self._openings.read()
        tree.pump()
        tree.launches()
        # Who is in whose party must not change between what it opened and where it connected.
        seen: tuple[OpenedFile | ConnectFact, ...] = (*opened, *connects)
        for each in seen:
            at_ms = self._clock.steady_ms(each.at_ms)
            tree.learn(each.pid, each.parent, each.uid, each.login_uid, each.executable, at_ms)
        for file in opened:
            self._opening(join, tree, file)
        for fact in connects:
            join.connected(fact.pid, fact.address, fact.port, self._clock.steady_ms(fact.at_ms))
        join.closed(closed, closed_ms)

    def _opening(self, join: UploadJoin, tree: ProcessTree, opened: OpenedFile) -> None:
        if opened.written:
            if self._dumps is not None:
                # Also of those who are no person: what they export, a person may take.
                self._dumps.closed(opened, self._clock.steady_ms(opened.at_ms))
            join.written(opened.pid, (opened.device, opened.inode))
            return
        facts = tree.of(opened.pid)
        uid = opened.uid if opened.uid is not None or facts is None else facts.uid
        if opened.pid == os.getpid() or (uid is not None and self._is_no_person(uid, opened.login_uid)):
            return
        if facts is not None and (_only_reads(facts) or _is_synchronised(facts, opened.path)):
            return
        join.opened(
            Read(
                at_ms=self._clock.steady_ms(opened.at_ms),
                pid=opened.pid,
                uid=uid,
                login_uid=opened.login_uid
                if opened.login_uid is not None or facts is None
                else facts.login_uid,
                executable=opened.executable,
                path=opened.path.removesuffix(" (deleted)"),
                key=(opened.device, opened.inode),
                size=opened.size,
                modified_ns=opened.modified_ns,
                polled=self._openings is not None and self._openings.step == "polling",
            )
        )

    def _is_no_person(self, uid: int, login_uid: int | None) -> bool:
        first = self._config.first_user_uid
        return uid < first and (login_uid is None or not first <= login_uid < 0xFFFF_FFFF)

    def _count(self, join: UploadJoin, tree: ProcessTree, now: float) -> None:
        """Bytes of connections that stay open: of parties that read something, and now and then of all
        programs that keep connections for hours, so that there is something to compare with."""
        tops = set(join.wants_counts())
        pids = set(tree.members(tops)) if tops else set[int]()
        if now >= self._baseline_at:
            self._baseline_at = now + _BASELINE_S
            pids |= {each.pid for each in tree.of_kind(*_LONG_LIVED)}
        if pids:
            join.counted(held_by(pids, open_sockets()), self._clock.now_ms())

    def _look_after(self) -> None:
        """Whatever ended by itself is started anew."""
        if self._connects is not None:
            self._connects.look_after()
        if self._openings is not None:
            self._openings.look_after()

    def _is_outside(self, address: str) -> bool:
        try:
            number = ipaddress.ip_address(address)
        except ValueError:
            return False
        return not any(number in network for network in self._networks)

    def _sources(self) -> list[_Source]:
        seen = (self._tree, self._connects, self._closings, self._openings)
        return [each for each in (*seen, self._join, self._telling, self._dumps) if each is not None]

    def _release(self) -> None:
        for source in self._sources():
            self._dropped.update(source.dropped())
        for closing in (self._openings, self._connects, self._closings, self._tree, self._names):
            if closing is not None:
                closing.close()
        if self._destinations is not None:
            self._destinations.close()
        self._openings = self._connects = self._closings = self._tree = None
        self._names = self._join = self._destinations = self._telling = self._dumps = None
        self._sent_files.close()


def _is_synchronised(facts: ProcessFacts, path: str) -> bool:
    """Whether a cloud drive's client reads in its own sync folder: sync_folders tells of that, when
    the file appears there."""
    folders = () if facts.application is None else facts.application.sync_folders
    return any(f"/{folder}/" in path for folder in folders)


def _only_reads(facts: ProcessFacts) -> bool:
    """Whether it is an indexer, a thumbnailer … of the catalogue. Anybody can give a program such a name, so
    it counts only where the system's programs lie."""
    application, executable = facts.application, facts.executable
    return (
        application is not None
        and application.kind == "local_reader"
        and executable is not None
        and executable.startswith(_SYSTEM_PROGRAMS)
    )
