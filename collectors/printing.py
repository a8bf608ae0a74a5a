"""Printing: how many pages somebody printed on which printer, from CUPS's page_log. Never what.

The cursor (JSON) holds the jobs that are not quiet yet, and those told of whose lines may still go on:

    {"v": 1, "log": "…", "jobs": [{"printer": …, "user": …, "job": …, "time": …, "counted": …, "told": …}]}
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from collectors.contract import Advice, Observation, Unsupported
from collectors.log_tail import LogTail
from collectors.page_log import NEEDED_FORMAT, PageLine, PrintedJob, parse_page_line
from collectors.printing_config import PrintingConfig
from collectors.steady_clock import SteadyClock
from event_schema.ocsf_endpoint_events import PeripheralActivity, PeripheralActivityKind, peripheral_activity
from event_schema.ocsf_events import event_metadata
from event_schema.ocsf_objects import Actor, Host, PeripheralDevice, PeripheralType, User
from event_schema.ocsf_unmapped import DeviceUnmapped, Evidence, PrintJob

_TURN_S: Final = 0.1
_CALM_S: Final = 0.4
"""While no pages are printed."""
DUE_MAX: Final = 8
"""Jobs that are not told of yet; beyond that the oldest is told of at once."""
REMEMBERED_MAX: Final = 256
_JOBS_IN_CURSOR: Final = 12
_CURSOR_BYTES: Final = 3_500
_DUE_BYTES: Final = 3_000
"""Names may be long: what is not told of yet must fit into a cursor."""

NOT_A_PAGE: Final = "lines of page_log that are not in a known form"
LOST_LINES: Final = "times that page_log went on elsewhere than where we had stopped"
LONG_LINES: Final = "lines of page_log that are too long"
NO_PAGES: Final = "the queue tells no pages: raw, or its driver does not count"
MORE_PAGES: Final = "further pages of a job that was told of before"

_Key = tuple[str, str, int]


class _Cursor(msgspec.Struct, frozen=True):
    v: int
    log: str | None
    jobs: tuple[PrintedJob, ...]


class _Waiting(msgspec.Struct):
    job: PrintedJob
    quiet_at_ms: int
    """Steady milliseconds."""


class PrintingCollector:
    """See Collector. `clock` gives ms since 1970 UTC."""

    name: ClassVar[str] = "printing"
    emits: ClassVar[tuple[type, ...]] = (PeripheralActivity,)

    def __init__(
        self,
        config: PrintingConfig,
        host: Host,
        version: str,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._config, self._host = config, host
        self._metadata = event_metadata(self.name, version)
        self._clock = SteadyClock(clock)
        self._tail: LogTail | None = None
        self._at: str | None = None
        self._jobs: OrderedDict[_Key, _Waiting] = OrderedDict()
        self._trouble: str | None = None
        self._dropped: Counter[str] = Counter()
        self._closing = threading.Event()

    def check_supported(self) -> None:
        path = self._config.page_log
        if not path:
            raise Unsupported('tell where CUPS logs pages: page_log = "/var/log/cups/page_log"')
        try:
            with contextlib.suppress(FileNotFoundError), Path(path).open("rb"):
                pass
        except OSError as error:
            raise Unsupported(f"{path}: {error.strerror}; run the agent as root") from error

    def advice(self) -> Sequence[Advice]:
        """What this host does not give, and what would bring it."""
        config, found = self._config, []
        if config.page_log:
            is_there = Path(config.page_log).exists()
            files = Path(config.cupsd_conf).with_name("cups-files.conf")
            missing = f"{config.page_log} is not there yet: set PageLog in {files}, and print a page"
            found.append(Advice("page_log", is_there, config.page_log if is_there else missing))
        form = _page_log_format(Path(config.cupsd_conf))
        if form is not None:
            why = "is empty, so no pages are logged" if not form else f"does not begin with {NEEDED_FORMAT}"
            wrong = f"PageLogFormat in {config.cupsd_conf} {why}: write PageLogFormat {NEEDED_FORMAT}"
            is_met = form.startswith(NEEDED_FORMAT)
            found.append(
                Advice("PageLogFormat", is_met, f"{form}, in {config.cupsd_conf}" if is_met else wrong)
            )
        return found

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        self._closing.clear()
        try:
            self._start(resume_from)
            while not (stop.is_set() or self._closing.is_set()):
                yield from self._read()
                yield from self._quiet(everything=False)
                stop.wait(_TURN_S if self._jobs else _CALM_S)
                yield None
            if not self._closing.is_set():
                yield from self._read()
                yield from self._quiet(everything=True)
        finally:
            self._release()

    def dropped(self) -> Mapping[str, int]:
        total = Counter(self._dropped)
        if self._tail is not None:
            total.update({LOST_LINES: self._tail.lost_places, LONG_LINES: self._tail.too_long})
        return {reason: count for reason, count in total.items() if count}

    def detail(self) -> str | None:
        if self._tail is None:
            return None
        told = f"page_log: {self._config.page_log}"
        return told if self._trouble is None else f"{told}; {self._trouble}"

    def close(self) -> None:
        self._closing.set()
        self._release()

    def _start(self, resume_from: str | None) -> None:
        resume = _read_cursor(resume_from)
        self._tail = LogTail(Path(self._config.page_log), None if resume is None else resume.log)
        self._at = self._tail.position()
        self._jobs.clear()
        for job in () if resume is None else resume.jobs:
            self._jobs[job.printer, job.user, job.job] = _Waiting(job, self._quiet_at())

    def _read(self) -> Iterator[Observation]:
        """Takes the lines that came. Yields where more jobs are under way than a cursor holds."""
        if self._tail is None:
            return
        self._trouble = None
        try:
            lines = self._tail.take()
        except OSError as error:
            self._trouble = f"it cannot be read: {error.strerror}"
            return
        for line in lines:
            self._at = line.cursor
            found = parse_page_line(line.content)
            if found is None:
                self._dropped[NOT_A_PAGE] += 1
                continue
            self._add(found)
            due = [each.job for each in self._jobs.values() if each.job.due]
            while len(due) > DUE_MAX or len(msgspec.json.encode(due)) > _DUE_BYTES:
                yield self._tell(due.pop(0))

    def _add(self, line: PageLine) -> None:
        key = (line.printer, line.user, line.job)
        waiting = self._jobs.get(key)
        if waiting is None:
            job = PrintedJob(line.printer, line.user, line.job, line.time)
            waiting = self._jobs[key] = _Waiting(job, 0)
        waiting.job.add(line)
        waiting.quiet_at_ms = self._quiet_at()
        self._jobs.move_to_end(key)
        if len(self._jobs) > REMEMBERED_MAX:
            self._jobs.popitem(last=False)

    def _quiet(self, *, everything: bool) -> Iterator[Observation]:
        """Jobs that are quiet; each is remembered a while, since lines of it may still come."""
        now = self._clock.now_ms()
        for waiting in list(self._jobs.values()):
            if waiting.job.due and (everything or waiting.quiet_at_ms <= now):
                yield self._tell(waiting.job)

    def _tell(self, job: PrintedJob) -> Observation:
        event = self._event(job)
        job.told, job.due = max(job.told, job.pages), False
        return Observation(event, self._cursor())

    def _cursor(self) -> str:
        """What is not told of, and as much of what was told last as a cursor may hold."""
        jobs = sorted((each.job for each in self._jobs.values()), key=lambda job: job.due)[-_JOBS_IN_CURSOR:]
        while True:
            text = msgspec.json.encode(_Cursor(1, self._at, tuple(jobs))).decode()
            if len(text.encode()) <= _CURSOR_BYTES or not jobs:
                return text
            jobs = jobs[1:]

    def _quiet_at(self) -> int:
        return self._clock.now_ms() + int(self._config.quiet_s * 1000)

    def _event(self, job: PrintedJob) -> PeripheralActivity:
        gap = MORE_PAGES if job.told else None if job.pages else NO_PAGES
        return peripheral_activity(
            PeripheralActivityKind.OTHER,
            time=job.time,
            metadata=self._metadata,
            actor=Actor(user=User(name=job.user[:512])),
            device=self._host,
            peripheral_device=PeripheralDevice(name=job.printer[:512], type_id=PeripheralType.PRINTER),
            unmapped=DeviceUnmapped(
                # CUPS believes what the client calls its user, unless it is told to ask for a password.
                evidence=Evidence(fidelity="likely", observed_by="log_file", actor_from="server", gap=gap),
                print_job=PrintJob(pages=max(0, job.pages - job.told)),
            ),
        )

    def _release(self) -> None:
        self._dropped = Counter(self.dropped())
        if self._tail is not None:
            self._tail.close()
            self._tail = None


def _read_cursor(text: str | None) -> _Cursor | None:
    if text is not None:
        with contextlib.suppress(msgspec.DecodeError):
            cursor = msgspec.json.decode(text, type=_Cursor)
            return cursor if cursor.v == 1 else None
    return None


def _page_log_format(path: Path) -> str | None:
    """PageLogFormat as it is set; None where the file says nothing, or cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        word, _, value = line.strip().partition(" ")
        if word.lower() == "pagelogformat":
            return value.strip().strip('"')
    return None
