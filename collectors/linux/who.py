"""Who did it: asks the best source that this host has, and says which one that was.

In this order: the kernel's audit record of the act itself; the table of process events, which runs only
while audit does not cover a watched folder, because it costs CPU for every process on the machine; /proc,
if the process still lives; nobody.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from collectors.contract import Unsupported
from collectors.linux import proc
from collectors.linux.audit import AuditSource
from collectors.linux.proc_events import ProcessEvents
from collectors.linux.process_identity import Who, WhoFrom
from collectors.linux.user_names import UserNames
from event_schema.printable import printable_name

__all__ = ["Who", "WhoFrom", "WhoSource"]

Source = Literal["audit", "proc_events"]
BATCH_S: Final = 0.1
"""Pause after reading audit records: a busy copier then costs ten wake-ups a second, not thousands."""
CONFIRM_S: Final = 0.03
"""How long to wait for the record of the very file, when the process is known already."""
OVERTAKEN_MS: Final = 500
"""By how much the record of a later act may come before that of an earlier one."""
YOUNGER_MS: Final = 1000
"""A process that started so much after the act is another one with the same number. Boot time is known to
the second only."""

_MOST_READS: Final = 64
"""Some 32,000 records: more than waits for us in the kernel."""
_MOST_UNRECORDED: Final = 1024
_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "ksh", "mksh", "fish", "tcsh", "csh", "busybox"})
_log: Final = logging.getLogger(__name__)


class WhoSource:
    """The user and the program behind an act in a watched folder. Its methods may be called by any thread."""

    def __init__(
        self,
        *,
        sources: Collection[Source] = ("audit", "proc_events"),
        names: UserNames | None = None,
    ) -> None:
        """Opens nothing. `sources` may leave some out."""
        self._sources = frozenset(sources)
        self._names = UserNames() if names is None else names
        self._audit: AuditSource | None = None
        self._events: ProcessEvents | None = None
        self._uncovered: dict[str, str] = {}
        self._reasons: dict[Source, str] = {}
        self._unrecorded: OrderedDict[int, int] = OrderedDict()
        self._dropped: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake: int | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        """Begins to listen. Never raises Unsupported."""
        with self._lock:
            if self._thread is not None:
                return
            self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            if "audit" in self._sources:
                try:
                    self._audit = AuditSource()
                    self._audit.clear_up()
                except Unsupported as reason:
                    self._reasons["audit"] = str(reason)
            self._follow_events_while_needed()
            self._thread = threading.Thread(target=self._run, name="who", daemon=True)
            self._thread.start()

    def watch(self, mount_target: str) -> None:
        """Has the kernel record who writes below the folder, where it can; else falls back."""
        with self._lock:
            reason = self._reasons.get("audit", "audit is left out")
            if self._audit is not None:
                try:
                    self._audit.watch(mount_target)
                except Unsupported as problem:
                    reason = str(problem)
                except (OSError, ValueError) as problem:
                    reason = f"no audit rule on {mount_target}: {problem}"
                else:
                    reason = ""
            if reason:
                self._uncovered[mount_target] = reason
            else:
                self._uncovered.pop(mount_target, None)
            self._follow_events_while_needed()

    def unwatch(self, mount_target: str) -> None:
        """Ends that; also right after the unmount. What was recorded can still be asked for."""
        with self._lock:
            self._uncovered.pop(mount_target, None)
            if self._audit is not None:
                self._audit.unwatch(mount_target)
            self._follow_events_while_needed()

    def lookup(
        self,
        pid: int,
        path: str,
        inode: tuple[int, int] | None,
        at_ms: int,
        wait_s: float = 0.0,
    ) -> Who:
        """Who did the act that process `pid` (0: not known) did to `path` at `at_ms`.

        `inode` is (st_dev, st_ino). Waits up to `wait_s` for the kernel's record where one is due: it comes
        some milliseconds after the act. A number that names nobody gives source "unknown", never a guess.
        """
        who = self._from_audit(pid, path, inode, at_ms, wait_s)
        if who is None:
            who = self._from_events(pid)
        if who is None:
            who = _from_proc(pid, at_ms) or Who(None, None, None, pid, None, "unknown")
        elif who.exe is None or Path(who.exe).name in _SHELLS:
            # `dump > file`: the shell opened the file, then became the program that wrote it.
            now = _from_proc(who.pid, at_ms)
            if now is not None and now.exe is not None and now.uid == who.uid:
                who = msgspec.structs.replace(who, exe=now.exe)
        return msgspec.structs.replace(who, user_name=self._names.name(who.uid))

    def records_all(self) -> bool:
        """Whether audit covers all that is watched: then an answer can be had after the process has ended."""
        with self._lock:
            return self._is_covered()

    def describe(self) -> str:
        """Which source is in use, in words."""
        with self._lock:
            trouble = self._audit.trouble() if self._audit is not None else self._reasons.get("audit")
            parts: list[str] = []
            if self._audit is not None and trouble is None:
                parts.append("kernel audit")
            if self._events is not None:
                parts.append("process events")
            parts.append("/proc")
            text = ", then ".join(parts)
            reasons = {trouble, self._reasons.get("proc_events"), *self._uncovered.values()} - {
                None,
                "left out",
            }
            told = sorted(map(printable_name, filter(None, reasons)))
            return f"{text} ({'; '.join(told)})" if told else text

    def dropped(self) -> Mapping[str, int]:
        """What could not be kept or was lost on the way, by reason."""
        with self._lock:
            total = Counter(self._dropped)
            for source in (self._audit, self._events):
                if source is not None:
                    total.update(source.dropped())
            return dict(total)

    def close(self) -> None:
        """Gives everything back, the kernel's settings too. May be called twice."""
        self._stop.set()
        if self._wake is not None:
            os.eventfd_write(self._wake, 1)
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None
        with self._lock:
            for source in (self._audit, self._events):
                if source is not None:
                    source.close()
            self._audit = self._events = None
            if self._wake is not None:
                os.close(self._wake)
                self._wake = None
        self._names.close()

    def _from_audit(
        self, pid: int, path: str, inode: tuple[int, int] | None, at_ms: int, wait_s: float
    ) -> Who | None:
        begun = time.monotonic()
        while True:
            with self._lock:
                source = self._audit
                if source is None:
                    return None
                _read_all(source)
                who, of_this_file = source.records.find(pid, path, inode, at_ms, of_file=wait_s > 0)
                if of_this_file or self._is_unrecorded(pid):
                    return who
                if source.records.latest_ms > at_ms + OVERTAKEN_MS:
                    # What happened later is here already: nothing more will come about then.
                    return who
                patience = wait_s if who is None else min(wait_s, CONFIRM_S)
                left = begun + patience - time.monotonic()
                if left <= 0:
                    if who is None and wait_s > 0:
                        self._note_unrecorded(pid)
                    return who
                readable = select.poll()
                readable.register(source.fileno(), select.POLLIN)
            readable.poll(max(1.0, left * 1000))

    def _note_unrecorded(self, pid: int) -> None:
        """A living process that audit does not know started before audit did; do not wait for it again."""
        started = proc.started_at_ms(pid)
        if started is not None:
            self._unrecorded[pid] = started
            if len(self._unrecorded) > _MOST_UNRECORDED:
                self._unrecorded.popitem(last=False)

    def _is_unrecorded(self, pid: int) -> bool:
        started = self._unrecorded.get(pid)
        return started is not None and started == proc.started_at_ms(pid)

    def _from_events(self, pid: int) -> Who | None:
        with self._lock:
            if self._events is None:
                return None
            while self._events.pump():
                pass
            return self._events.find(pid)

    def _follow_events_while_needed(self) -> None:
        if "proc_events" not in self._sources:
            return
        covered = self._is_covered()
        try:
            if covered and self._events is not None:
                self._dropped.update(self._events.dropped())
                self._events.close()
                self._events = None
            elif not covered and self._events is None:
                self._events = ProcessEvents()
        except Unsupported as reason:
            self._reasons["proc_events"] = str(reason)
        if self._wake is not None:
            os.eventfd_write(self._wake, 1)

    def _is_covered(self) -> bool:
        return self._audit is not None and self._audit.trouble() is None and not self._uncovered

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except Exception:  # noqa: BLE001 - the thread must outlive any record
                self._dropped["who_reader_error"] += 1
                _log.exception("reading who wrote what failed")
                self._stop.wait(1)

    def _listen(self) -> None:
        with self._lock:
            ready = select.poll()
            if self._wake is None:
                return
            ready.register(self._wake, select.POLLIN)
            for source in (self._audit, self._events):
                if source is not None:
                    ready.register(source.fileno(), select.POLLIN)
            repair_s = self._audit.repair_wait_s() if self._audit is not None else None
        woken = ready.poll(None if repair_s is None else repair_s * 1000)
        if self._stop.is_set():
            return
        if any(descriptor == self._wake for descriptor, _ in woken):
            os.eventfd_read(self._wake)
        with self._lock:
            if self._audit is not None:
                _read_all(self._audit)
                if self._audit.repair_wait_s() == 0.0:
                    self._audit.repair()
                    self._follow_events_while_needed()
            if self._events is not None:
                self._events.pump()
        if self._events is None:
            self._stop.wait(BATCH_S)


def _read_all(source: AuditSource) -> None:
    for _ in range(_MOST_READS):
        if not source.pump():
            return


def _from_proc(pid: int, at_ms: int) -> Who | None:
    facts = proc.process_facts(pid) if pid > 0 else None
    if facts is None:
        return None
    started = proc.started_at_ms(pid)
    return None if started is None or started > at_ms + YOUNGER_MS else facts
