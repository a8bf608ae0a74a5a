"""Logins: who logged in to this machine, from where and how, who was refused and why, who became whom.

Orchestration only. Where it is told: login_sources; what a line says: login_messages; what lines say
together: login_acts; equal failures put together: gathering; where to resume: replay.

Cursor (JSON, see replay): {"v": 1, "source": "journal", "mark": {…}}
"""

from __future__ import annotations

import pwd
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from collectors.contract import Advice, Observation, Unsupported
from collectors.gathering import KINDS_MAX, Gathering
from collectors.login_acts import LoginAct, LoginActs, Withdrawn
from collectors.login_events import login_event
from collectors.login_sources import (
    ONLY_FAILURES,
    WHAT_TO_DO,
    LoginRecord,
    LoginSource,
    kind_of_source,
    open_source,
    remedy,
)
from collectors.logins_config import LoginsConfig
from collectors.replay import Mark, Replay
from collectors.storage_events import EventSource
from event_schema.ocsf_account_events import Authentication
from event_schema.ocsf_objects import Host

__all__ = ["LoginsCollector", "LoginsConfig"]

_TURN_S: Final = 0.4
"""While nothing is written to it: each turn costs a look at the file."""
_WINDOW: Final = "window"
_TOO_MANY: Final = f"more than {KINDS_MAX} different failures within the window: the rest is put together"
_TOO_MANY_OPEN: Final = "a connection without outcome that was forgotten because there are too many"
_OTHER_SOURCE: Final = "what was said before another source of logins was taken"
_PAM_SSHD: Final = Path("/etc/pam.d/sshd")


class Cursor(msgspec.Struct, frozen=True):
    """See the module."""

    v: int
    source: str
    mark: Mark


class LoginsCollector:
    """See Collector. `clock` gives ms since 1970 UTC, `steady` seconds."""

    name: ClassVar[str] = "logins"
    emits: ClassVar[tuple[type, ...]] = (Authentication,)

    def __init__(
        self,
        config: LoginsConfig,
        host: Host,
        version: str,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._origin = EventSource(self.name, version, host)
        self._clock, self._steady = clock, steady
        self._source: LoginSource | None = None
        self._kind = ""
        self._closing = threading.Event()
        self._dropped: Counter[str] = Counter()

    def check_supported(self) -> None:
        kind_of_source(self._config)

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        self._closing.clear()
        cursor = _read_cursor(resume_from)
        kind = kind_of_source(self._config)
        mark = cursor.mark if cursor is not None else Mark()
        if cursor is not None and cursor.source != kind:
            # It keeps the same logins: what it has of the past would be told twice.
            self._dropped[_OTHER_SOURCE] += 1
            mark = Mark()
        self._acts = LoginActs(uses_pam=_PAM_SSHD.exists(), is_account=_is_account)
        self._kind, self._source = kind, open_source(self._config, kind, mark, self._clock)
        self._replay = Replay(mark if mark.at is not None else Mark(at=self._source.place))
        self._gathering: Gathering[LoginAct] = Gathering(int(self._config.gather_s * 1000))
        self._held: frozenset[int] = frozenset()
        try:
            yield from self._observe(self._source, stop)
        finally:
            self._release()

    def dropped(self) -> Mapping[str, int]:
        total = Counter(self._dropped)
        source = self._source
        if source is not None:
            total.update(source.dropped())
            total[_TOO_MANY_OPEN] += self._acts.forgotten
        return {reason: count for reason, count in total.items() if count}

    def detail(self) -> str | None:
        source = self._source
        return None if source is None else source.describe()

    def advice(self) -> Sequence[Advice]:
        """What is not seen here, and what would bring it. Without any source, check_supported says so."""
        try:
            kind = kind_of_source(self._config)
        except Unsupported:
            return ()
        if kind == "btmp" and self._config.source == "auto":
            return (Advice(ONLY_FAILURES, is_met=False, text=WHAT_TO_DO, remedy=remedy()),)
        return ()

    def close(self) -> None:
        self._closing.set()
        self._release()

    def _observe(self, source: LoginSource, stop: threading.Event) -> Iterator[Observation | None]:
        while not (stop.is_set() or self._closing.is_set()):
            records = source.take(_TURN_S)
            # Also of a log that is never silent: its clock may have been set back.
            if self._gathering.is_over(self._steady()):
                yield from self._flush()
            if not records:
                yield None
            for record in records:
                yield from self._take(record)
                if self._closing.is_set():
                    return
            if records:
                yield None
        yield from self._flush()

    def _take(self, record: LoginRecord) -> Iterator[Observation]:
        replay = self._replay
        if self._gathering.ends_before(record.time) or replay.is_window_whole:
            yield from self._flush()
        replay.line(record.cursor, record.time)
        if record.said is None:
            return
        act = self._acts.said(record.said, record.time, record.pid, is_first_hand=record.is_first_hand)
        is_due = isinstance(act, LoginAct) and self._is_due(act) and not replay.is_done
        # Only now: the window must hold what this line has completed.
        self._hold_connections()
        if isinstance(act, Withdrawn):
            self._gathering.take_back(act.act.key, act.act.times)
        elif act is not None and is_due:
            yield self._observation(act, act.times if act.times > 1 else None, None, 0)

    def _is_due(self, act: LoginAct) -> bool:
        """Whether the act is an event now; else it has gone into a group, or was in one already."""
        if act.reason is None and act.kind != "switch":
            return True
        if self._replay.is_grouped:
            return False
        if not self._gathering.is_open:
            self._replay.hold_all(_WINDOW)
        others = LoginAct(
            act.kind, act.time, act.service, 0, None, act.is_first_hand, reason=act.reason and "various"
        )
        return self._gathering.add(
            act.key,
            act,
            rest=(others.key, others),
            count=act.times,
            time=act.time,
            now=self._steady(),
            at_once=not act.may_be_withdrawn,
        )

    def _hold_connections(self) -> None:
        now = self._acts.open_connections
        for pid in self._held - now:
            self._replay.release(pid)
        for pid in now - self._held:
            self._replay.hold(pid)
        self._held = now

    def _flush(self) -> Iterator[Observation]:
        groups = self._gathering.take()
        done = self._replay.given_before
        for number, (act, count) in enumerate(groups, start=1):
            if number > done:
                gap = _TOO_MANY if act.reason == "various" else None
                if number == len(groups):
                    self._end_window()
                    number = 0  # noqa: PLW2901 - the window is out as a whole
                yield self._observation(act, count, gap, number)
        self._end_window()

    def _end_window(self) -> None:
        self._replay.flushed()
        self._replay.release(_WINDOW)

    def _observation(self, act: LoginAct, count: int | None, gap: str | None, given: int) -> Observation:
        assert self._source is not None
        event = login_event(self._origin, act, self._source.seen, count, gap, _name_of_uid)
        cursor = Cursor(1, self._kind, self._replay.mark(given))
        return Observation(event, msgspec.json.encode(cursor).decode())

    def _release(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            self._dropped.update(source.dropped())
            self._dropped[_TOO_MANY_OPEN] += self._acts.forgotten
            source.close()


@lru_cache(maxsize=256)
def _name_of_uid(uid: str) -> str | None:
    try:
        return pwd.getpwuid(int(uid)).pw_name
    except (KeyError, ValueError, OverflowError):
        return None


@lru_cache(maxsize=256)
def _is_account(name: str) -> bool:
    try:
        return pwd.getpwnam(name) is not None
    except (KeyError, ValueError):
        return False


def _read_cursor(text: str | None) -> Cursor | None:
    """None also for one that nobody of us wrote."""
    if text is None:
        return None
    try:
        cursor = msgspec.json.decode(text, type=Cursor)
    except msgspec.DecodeError:
        return None
    return cursor if cursor.v == 1 else None
