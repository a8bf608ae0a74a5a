"""The kernel's audit records, joined into "this process, of this user, wrote this file".

One act is one SYSCALL record (who) and one PATH record per name (what), in this order, tied together by
the serial number; records of different acts come interleaved. Layout of a
record's text (`name` and `exe` are in hexadecimal, without quotes, where they hold a space, a quote or
anything beyond ASCII; `exe` is `(null)` where unknown):

    audit(1732246314.123:456): arch=… syscall=257 success=yes … ppid=6 pid=7 auid=1000 uid=1000 …
        fsuid=1000 … comm="cp" exe="/usr/bin/cp" … key="…"
    audit(1732246314.123:456): item=1 name="/media/x" inode=12 dev=08:11 mode=0100644 … nametype=CREATE

A name that does not begin with "/" is relative to a folder that is not looked into; its file is known by
inode. An act that carries our own rule's key is one on a watched device. Where another program's rule matched
first, the record carries that one's key, and the device that its PATH records name decides. Records that hold
command lines (EXECVE, PROCTITLE) are refused by the socket's filter before they reach this process.

Most questions are answered by the process alone, so PATH records are kept as they come and read only when a
question needs them.
"""

from __future__ import annotations

import os
import re
from collections import Counter, OrderedDict, deque
from collections.abc import Hashable, Mapping
from typing import Final, Generic, TypeVar

import msgspec

from collectors.linux.proc import plain_path
from collectors.linux.process_identity import Who, acting_uid

SYSCALL: Final = 1300
PATH: Final = 1302
CONFIG_CHANGE: Final = 1305

MOST_PENDING: Final = 512
MOST_PROCESSES: Final = 4096
MOST_FILES: Final = 16_384
MOST_PATHS: Final = 4096
MOST_UNREAD: Final = 16_384
ASKED_WITHIN_MS: Final = 5_000
"""Events are asked about at once, but for files that stay open; what had to go sooner is counted."""
KEPT_MS: Final = 4 * 3600 * 1000
"""A big file may be written for hours after it was opened."""
CLOCK_SLACK_MS: Final = 50
"""Audit stamps with the kernel's coarse clock, up to a tick behind."""

_WHO: Final = re.compile(
    rb" ppid=\d+ pid=(\d+) auid=(\d+) uid=(\d+) .* fsuid=(\d+) .* exe=(?:\"([^\"]*)\"|([0-9A-F]+)|\(null\))",
    re.DOTALL,
)
_FILE: Final = re.compile(
    rb" name=(?:\"([^\"]*)\"|([0-9A-F]+)|\(null\))"
    rb"(?: inode=(\d+) dev=([0-9a-f]+):([0-9a-f]+) .* nametype=(\w+))?",
    re.DOTALL,
)

K = TypeVar("K", bound=Hashable)


class _Span:
    """From when until when somebody was seen to act; `before` is the one before, and no further back."""

    __slots__ = ("before", "first_ms", "last_ms", "who")

    def __init__(self, at_ms: int, who: Who, before: _Span | None) -> None:
        self.first_ms = self.last_ms = at_ms
        self.who = who
        self.before = before
        if before is not None:
            before.before = None


class _Recent(Generic[K]):
    """Who acted last, by key: bounded by count, longest unused out first, and by age when read."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._spans: OrderedDict[K, _Span] = OrderedDict()

    def put(self, key: K, at_ms: int, who: Who) -> bool:
        """False when an entry that was still of use had to go."""
        span = self._spans.get(key)
        if span is not None and (span.who is who or span.who == who):
            span.last_ms = max(span.last_ms, at_ms)
        else:
            self._spans[key] = _Span(at_ms, who, span)
        self._spans.move_to_end(key)
        if len(self._spans) <= self._most:
            return True
        _, evicted = self._spans.popitem(last=False)
        return at_ms - evicted.last_ms > ASKED_WITHIN_MS

    def get(self, key: K, at_ms: int) -> Who | None:
        """Who had begun to act by then. Events are asked about late, when others may have followed."""
        span = self._spans.get(key)
        while span is not None and at_ms < span.first_ms - CLOCK_SLACK_MS:
            span = span.before
        return None if span is None or at_ms > span.last_ms + KEPT_MS else span.who

    def get_only(self, key: K, at_ms: int) -> Who | None:
        """The same, if nobody else had this key lately: then nothing more exact can be had."""
        span = self._spans.get(key)
        if span is None or span.before is not None or at_ms < span.first_ms - CLOCK_SLACK_MS:
            return None
        return None if at_ms > span.last_ms + KEPT_MS else span.who


class _Act(msgspec.Struct, eq=False, gc=False):
    """The SYSCALL record of an act whose PATH records are still to come, or still to be read."""

    at_ms: int
    record: bytes
    who: Who | None = None


class AuditRecords:
    """Who wrote what on the watched devices. The caller keeps threads apart."""

    def __init__(self, key: str = "") -> None:
        """`key` is that of our own rules."""
        self.dropped: Counter[str] = Counter()
        self.latest_ms = 0
        """Time of the newest act seen: older ones will not come any more, but for some overtaking."""
        self._ours = f' key="{key}"'.encode("ascii") if key else None
        self._unread: deque[tuple[_Act, bytes]] = deque()
        self._devices: dict[tuple[int, int], int] = {}
        self._pending: OrderedDict[bytes, _Act] = OrderedDict()
        self._files: _Recent[tuple[int, int]] = _Recent(MOST_FILES)
        self._last: tuple[bytes, Who | None] = (b"", None)
        self._processes: _Recent[int] = _Recent(MOST_PROCESSES)
        self._paths: _Recent[str] = _Recent(MOST_PATHS)

    def set_devices(self, devices: Mapping[int, int]) -> None:
        """Which devices to keep: by the superblock's number, which audit shows, the number `stat` shows.

        A file in a btrfs subvolume has yet another number; it is known by process and by path.
        """
        self._devices = {(os.major(shown), os.minor(shown)): known for shown, known in devices.items()}

    def feed(self, kind: int, text: bytes) -> None:
        """Takes one record. What does not look like one is counted and let go."""
        if kind == PATH and b" nametype=PARENT" in text:
            # The folder; the file itself follows. Half of all records: worth turning away early.
            return
        middle = text.find(b":", 6)
        serial = text[middle : text.find(b")", middle)]
        if kind == SYSCALL:
            try:
                at_ms = int(text[6:middle].replace(b".", b""))
            except ValueError:
                self.dropped["audit_record_unreadable"] += 1
                return
            self.latest_ms = max(self.latest_ms, at_ms)
            new = self._pending[serial] = _Act(at_ms, text)
            if len(self._pending) > MOST_PENDING:
                self._pending.popitem(last=False)
            if self._ours is not None and text.endswith(self._ours):
                self._acted(new, text[text.find(b" ppid=", middle) : -len(self._ours)])
        elif (act := self._pending.get(serial)) is None:
            # Acts of which this process saw only the end: the socket overflowed, which is counted there.
            return
        elif kind == PATH:
            if act.who is None:
                self._file(act, text)
                return
            self._unread.append((act, text))
            if len(self._unread) > MOST_UNREAD:
                lost, _ = self._unread.popleft()
                self._keep("file", self.latest_ms - lost.at_ms > ASKED_WITHIN_MS)

    def find(
        self, pid: int, path: str, inode: tuple[int, int] | None, at_ms: int, *, of_file: bool = False
    ) -> tuple[Who | None, bool]:
        """(who, whether the record names the very file). Best first: this process on this file; this
        process on the watched devices; another process that has this file open. The file itself is looked
        for only where the process does not tell as much, or `of_file` asks for it."""
        if not of_file and (process := self._processes.get_only(pid, at_ms)) is not None:
            return process, False
        self._read_all()
        opener = self._files.get(inode, at_ms) if inode is not None else None
        opener = opener or self._paths.get(path, at_ms)
        if opener is not None and pid in (0, opener.pid):
            return opener, True
        process = self._processes.get(pid, at_ms)
        if process is not None:
            return process, False
        return opener, opener is not None

    def _read_all(self) -> None:
        while self._unread:
            act, record = self._unread.popleft()
            self._file(act, record)

    def _acted(self, act: _Act, process: bytes) -> None:
        act.who = self._who(process)
        if act.who is not None:
            self._keep("process", self._processes.put(act.who.pid, act.at_ms, act.who))

    def _file(self, act: _Act, record: bytes) -> None:
        found = _FILE.search(record)
        if found is None:
            self.dropped["audit_record_unreadable"] += 1
            return
        if found[3] is None:
            return
        device = self._devices.get((int(found[4], 16), int(found[5], 16)))
        if device is None:
            return
        if act.who is None and b" success=yes " in act.record:
            # Between these two marks stands the process, the same bytes in all its acts.
            self._acted(act, act.record[act.record.find(b" ppid=") : act.record.rfind(b" key=")])
        if (who := act.who) is None:
            return
        self._keep("file", self._files.put((device, int(found[3])), act.at_ms, who))
        name = _name(found[1], found[2])
        if name.startswith(b"/"):
            self._keep("path", self._paths.put(os.fsdecode(name), act.at_ms, who))

    def _who(self, process: bytes) -> Who | None:
        """None for what does not look like a process."""
        if process == self._last[0]:
            return self._last[1]
        found = _WHO.match(process)
        if found is None:
            self.dropped["audit_record_unreadable"] += 1
            return None
        exe = _name(found[5], found[6])
        who = Who(
            uid=acting_uid(int(found[3]), int(found[4])),
            user_name=None,
            exe=plain_path(os.fsdecode(exe)) if exe else None,
            pid=int(found[1]),
            auid=int(found[2]),
            source="audit",
        )
        self._last = (process, who)
        return who

    def _keep(self, what: str, in_time: bool) -> None:
        if not in_time:
            self.dropped[f"audit_{what}_evicted"] += 1


def _name(quoted: bytes | None, hexadecimal: bytes | None) -> bytes:
    if quoted is not None:
        return quoted
    try:
        return bytes.fromhex((hexadecimal or b"").decode("ascii"))
    except ValueError:
        return b""
