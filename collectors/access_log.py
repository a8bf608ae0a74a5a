"""Acts in a company's own applications, from the access logs that an administrator mapped.

Orchestration only. What a line holds: access_log_lines; which act it is: access_log_rules; equal acts put
together where a rule says so: gathering; where to resume: replay.

Cursor (JSON, see replay): {"v": 1, "sources": {"shop": {…}, …}}
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from collectors.access_log_config import AccessLogConfig, AccessLogSource
from collectors.access_log_events import act_event
from collectors.access_log_lines import LINE_BYTES_MAX, AccessLine, LineReader, Unreadable
from collectors.access_log_rules import Mapped, Rules
from collectors.contract import Advice, Observation, Unsupported
from collectors.gathering import KINDS_MAX, Gathering
from collectors.log_tail import Line, LogTail
from collectors.replay import Mark, Replay
from collectors.storage_events import EventSource
from event_schema.ocsf_account_events import ApiActivity
from event_schema.ocsf_events import Event
from event_schema.ocsf_objects import Host

__all__ = ["AccessLogCollector", "AccessLogConfig"]

_TURN_S: Final = 0.4
"""While nothing is written to it: each turn costs a look at the file."""
_WINDOW: Final = "window"
_TOO_MANY: Final = f"more than {KINDS_MAX} different acts within the window: the rest is put together"


class Cursor(msgspec.Struct, frozen=True):
    """See the module."""

    v: int
    sources: dict[str, Mark]


class AccessLogCollector:
    """See Collector. `steady` gives seconds."""

    name: ClassVar[str] = "access_log"
    emits: ClassVar[tuple[type, ...]] = (ApiActivity,)

    def __init__(
        self,
        config: AccessLogConfig,
        host: Host,
        version: str,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._origin = EventSource(self.name, version, host)
        self._steady = steady
        self._logs: list[_Log] = []
        self._closing = threading.Event()
        self._dropped: Counter[str] = Counter()

    def check_supported(self) -> None:
        troubles = [(source, _trouble(source)) for source in self._config.sources]
        if not troubles:
            raise Unsupported(AccessLogConfig.to_enable)
        if all(trouble is not None for _, trouble in troubles):
            raise Unsupported("; ".join(f"{source.name}: {trouble}" for source, trouble in troubles))

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        self._closing.clear()
        marks = _read_marks(resume_from)
        self._logs = [
            _Log(source, marks.get(source.name), self._origin, self._steady)
            for source in self._config.sources
        ]
        try:
            while not (stop.is_set() or self._closing.is_set()):
                began, found = self._steady(), False
                for log in self._logs:
                    for event in log.turn():
                        found = True
                        yield Observation(event, self._cursor())
                        if self._closing.is_set():
                            return
                yield None
                if not found:
                    stop.wait(max(0.0, _TURN_S - (self._steady() - began)))
            for log in self._logs:
                for event in log.flush():
                    yield Observation(event, self._cursor())
        finally:
            self._release()

    def dropped(self) -> Mapping[str, int]:
        total = Counter(self._dropped)
        for log in list(self._logs):
            total.update(log.dropped())
        return {reason: count for reason, count in total.items() if count}

    def detail(self) -> str | None:
        logs = list(self._logs)
        if logs:
            return "; ".join(log.describe() for log in logs)
        return None

    def advice(self) -> Sequence[Advice]:
        """The logs that are not there or cannot be read."""
        troubles = ((source.name, _trouble(source)) for source in self._config.sources)
        return [Advice(name, is_met=False, text=text) for name, text in troubles if text is not None]

    def close(self) -> None:
        self._closing.set()
        self._release()

    def _cursor(self) -> str:
        marks = {log.source.name: log.mark for log in self._logs}
        return msgspec.json.encode(Cursor(1, marks)).decode()

    def _release(self) -> None:
        logs, self._logs = self._logs, []
        for log in logs:
            self._dropped.update(log.dropped())
            log.close()


class _Log:
    """One source while it is followed."""

    def __init__(
        self, source: AccessLogSource, mark: Mark | None, origin: EventSource, steady: Callable[[], float]
    ) -> None:
        self.source = source
        self.mark = mark or Mark()
        """Where to resume once the event that was yielded last is safe."""
        self._origin, self._steady = origin, steady
        self._tail: LogTail | None = None
        self._trouble: str | None = None
        self._replay = Replay(self.mark)
        self._open()
        self._reader, self._rules = LineReader(source), Rules(source.rules)
        self._gathering: Gathering[tuple[AccessLine, Mapped]] = Gathering(60_000)
        self._latest = self.mark.time
        self._unreadable: Counter[str] = Counter()
        self.read = self.mapped = self.left_out = 0

    def turn(self) -> Iterator[Event]:
        """Events of what is there now. A log that cannot be read now is told, and tried again."""
        if self._tail is None:
            self._open()
        lines: list[Line] = []
        if self._tail is not None:
            try:
                lines = self._tail.take()
            except OSError as error:
                self._trouble = error.strerror or type(error).__name__
            else:
                self._trouble = None
        # Also of a log that is never silent: its clock may have been set back.
        if self._gathering.is_over(self._steady()):
            yield from self.flush()
        for line in lines:
            yield from self._line(line)

    def flush(self) -> Iterator[Event]:
        """What was put together so far."""
        groups = self._gathering.take()
        done = self._replay.given_before
        for number, ((line, mapped), count) in enumerate(groups, start=1):
            if number <= done:
                continue
            if number == len(groups):
                self._end_window()
                self.mark = self._replay.mark()
            else:
                self.mark = self._replay.mark(number)
            gap = _TOO_MANY if line.user is line.address is line.device is None else None
            yield act_event(self._origin, self.source, line, mapped, count, gap)
        self._end_window()

    def dropped(self) -> Mapping[str, int]:
        name = self.source.name
        return {
            **{f"{name}: a line that cannot be read: {why}": n for why, n in self._unreadable.items()},
            f"{name}: a line that is too long": 0 if self._tail is None else self._tail.too_long,
            f"{name}: a place in the log that is gone": 0 if self._tail is None else self._tail.lost_places,
        }

    def describe(self) -> str:
        if self._trouble is not None:
            return f"{self.source.name}: {self.source.path} cannot be read: {self._trouble}"
        if not os.path.exists(self.source.path):  # noqa: PTH110 - never raises
            return f"{self.source.name}: {self.source.path} is not there"
        return (
            f"{self.source.name}: {self.read} lines read, {self.mapped} mapped, {self.left_out} match no rule"
        )

    def close(self) -> None:
        if self._tail is not None:
            self._tail.close()

    def _open(self) -> None:
        """One log that cannot be opened is told, and keeps none of the others from being read."""
        try:
            self._tail = LogTail(Path(self.source.path), self.mark.at, line_bytes_max=LINE_BYTES_MAX)
        except OSError as error:
            self._trouble = error.strerror or type(error).__name__
            return
        if self.mark.at is None:
            self.mark = Mark(at=self._tail.position())
            self._replay = Replay(self.mark)

    def _line(self, line: Line) -> Iterator[Event]:
        self.read += 1
        if self._replay.is_window_whole:
            yield from self.flush()
        try:
            access = self._reader.read(line.content)
        except Unreadable as error:
            self._unreadable[str(error)] += 1
            self._replay.line(line.cursor, self._latest)
            return
        self._latest = access.time
        if self._gathering.ends_before(access.time):
            yield from self.flush()
        replay = self._replay
        replay.line(line.cursor, access.time)
        mapped = self._rules.find(access)
        if not isinstance(mapped, Mapped):
            self.left_out += 1
            return
        self.mapped += 1
        if self._is_due(access, mapped) and not replay.is_done:
            self.mark = replay.mark()
            yield act_event(self._origin, self.source, access, mapped, mapped.count)

    def _is_due(self, access: AccessLine, mapped: Mapped) -> bool:
        rule = mapped.rule
        if not rule.aggregate_s:
            return True
        if self._replay.is_grouped:
            return False
        if not self._gathering.is_open:
            self._replay.hold(_WINDOW)
        key = (mapped.number, access.user, access.address, access.device, mapped.object, access.worked)
        others = (AccessLine(access.time), msgspec.structs.replace(mapped, object=None, count=None))
        return self._gathering.add(
            key,
            (msgspec.structs.replace(access, values={}), mapped),
            rest=(mapped.number, others),
            count=1 if mapped.count is None else mapped.count,
            time=access.time,
            now=self._steady(),
            window_ms=int(rule.aggregate_s * 1000),
        )

    def _end_window(self) -> None:
        self._replay.flushed()
        self._replay.release(_WINDOW)


def _trouble(source: AccessLogSource) -> str | None:
    path = source.path
    if not os.path.exists(path):  # noqa: PTH110 - never raises
        return f"{path} is not there (yet)"
    if not os.path.isfile(path):  # noqa: PTH113 - never raises
        return f"{path} is no file"
    return None if os.access(path, os.R_OK) else f"{path} cannot be read by this user"


def _read_marks(text: str | None) -> dict[str, Mark]:
    """Empty also for a cursor that nobody of us wrote."""
    if text is None:
        return {}
    try:
        cursor = msgspec.json.decode(text, type=Cursor)
    except msgspec.DecodeError:
        return {}
    return cursor.sources if cursor.v == 1 else {}
