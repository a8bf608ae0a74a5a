"""Remembers processes by the kernel's process events, so that a short-lived one is still known afterwards.

The kernel tells of each fork, exec, change of user and exit of a process (those of threads are dropped inside
the kernel); what the process is must then be read from
/proc, which one that ends at once may win. Its user is right even then (inherited from its parent); its
program is not known then, rather than guessed.

Layout (linux/cn_proc.h, native byte order), after the 16-byte netlink and the 20-byte connector header:

    u32 what, u32 cpu, u64 nanoseconds since boot, then
    fork: parent_pid, parent_tgid, child_pid, child_tgid    exec, exit: pid, tgid, …
    uid:  pid, tgid, real uid, effective uid

Needs CAP_NET_ADMIN in the first network and process namespaces. Costs some CPU for every process that
starts anywhere on the machine, which is why audit comes first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from collectors.contract import Unsupported
from collectors.linux import packet_filter as bpf
from collectors.linux.proc import process_facts
from collectors.linux.process_identity import Who, acting_uid

MOST_PROCESSES: Final = 32_768
KEPT_AFTER_EXIT_S: Final = 30.0
SOCKET_BYTES: Final = 8 << 20

_NETLINK_CONNECTOR: Final = 11
_CN_IDX_PROC: Final = 1
_LISTEN: Final = 1
_IGNORE: Final = 2
_SO_RCVBUFFORCE: Final = 33
FORK: Final = 0x1
EXEC: Final = 0x2
UID: Final = 0x4
EXIT: Final = 0x8000_0000
_ALL: Final = (EXEC, FORK, EXIT, UID)
_WHAT_AT: Final = 16 + 20
_WORDS_AT: Final = _WHAT_AT + 16
_WORDS: Final = struct.Struct("=4I")
_MOST_AT_ONCE: Final = 512


def check() -> None:
    """Raises Unsupported where process events cannot be heard."""
    _listen().close()


class ProcessEventSocket:
    """The kernel's events as they come: (what, four words), see the layout above."""

    def __init__(self, wanted: Sequence[int] = _ALL) -> None:
        """Raises Unsupported."""
        self._socket = _listen(wanted)
        self._buffer = bytearray(4096)

    def fileno(self) -> int:
        """The descriptor to poll for events."""
        return self._socket.fileno()

    def next(self) -> tuple[int, int, int, int, int] | None:
        """None when no event waits. OSError ENOBUFS: events were lost; the next call goes on behind them."""
        while True:
            try:
                size = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                return None
            if size >= _WORDS_AT + _WORDS.size:
                (what,) = struct.unpack_from("=I", self._buffer, _WHAT_AT)
                return (what, *_WORDS.unpack_from(self._buffer, _WORDS_AT))

    def close(self) -> None:
        """Gives the socket back. May be called twice."""
        if self._socket.fileno() >= 0:
            with contextlib.suppress(OSError):
                # Kernels before 6.6 count listeners by this message, not by their sockets.
                _operate(self._socket, _IGNORE)
            self._socket.close()


class ProcessEvents:
    """The table of processes. The caller keeps threads apart."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises Unsupported."""
        self._monotonic = monotonic
        self._dropped: Counter[str] = Counter()
        self._known: OrderedDict[int, Who] = OrderedDict()
        self._ended: deque[tuple[float, int, Who]] = deque()
        self._socket = ProcessEventSocket()
        self._rescan()

    def fileno(self) -> int:
        """The descriptor to poll for events."""
        return self._socket.fileno()

    def pump(self) -> bool:
        """Takes the events that are there. True if there may be more."""
        for _ in range(_MOST_AT_ONCE):
            try:
                event = self._socket.next()
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    self._dropped["process_event_error"] += 1
                    return False
                # ENOBUFS: events were lost, so the table may be wrong about any process.
                self._dropped["process_events_overflow"] += 1
                self._rescan()
                continue
            if event is None:
                self._forget()
                return False
            self._take(*event)
        self._forget()
        return True

    def find(self, pid: int) -> Who | None:
        """The process as last known; also some seconds after its end."""
        return self._known.get(pid)

    def dropped(self) -> dict[str, int]:
        """What was lost, by reason."""
        return dict(self._dropped)

    def close(self) -> None:
        """Gives the socket back. May be called twice."""
        self._socket.close()

    def _take(self, what: int, first: int, second: int, third: int, fourth: int) -> None:
        if what == EXEC:
            self._executed(second)
        elif what == FORK:
            # A thread (its own pid, but its leader's tgid) is no process of its own.
            if third == fourth:
                self._forked(second, fourth)
        elif what == UID:
            known = self._known.get(second)
            if known is not None and first == second:
                self._known[second] = msgspec.structs.replace(known, uid=acting_uid(third, fourth))
        elif what == EXIT and first == second:
            known = self._known.get(second)
            if known is not None:
                self._ended.append((self._monotonic(), second, known))

    def _executed(self, pid: int) -> None:
        facts = process_facts(pid)
        before = self._known.get(pid)
        if facts is not None and facts.exe is not None:
            self._remember(pid, msgspec.structs.replace(facts, source="proc_events"))
        elif before is not None:
            # Too late for /proc. The user stays; which program it became is not known.
            self._dropped["process_ended_before_it_was_read"] += 1
            self._remember(pid, msgspec.structs.replace(before, exe=None))

    def _forked(self, parent: int, child: int) -> None:
        known = self._known.get(parent)
        if known is not None:
            self._remember(child, msgspec.structs.replace(known, pid=child))

    def _remember(self, pid: int, who: Who) -> None:
        self._known[pid] = who
        self._known.move_to_end(pid)
        if len(self._known) > MOST_PROCESSES:
            self._known.popitem(last=False)
            self._dropped["process_evicted"] += 1

    def _forget(self) -> None:
        """Lets ended processes go after their time, unless the number was taken by a new one."""
        horizon = self._monotonic() - KEPT_AFTER_EXIT_S
        while self._ended and (self._ended[0][0] < horizon or len(self._ended) > MOST_PROCESSES):
            _, pid, who = self._ended.popleft()
            if self._known.get(pid) is who:
                del self._known[pid]

    def _rescan(self) -> None:
        for entry in os.listdir("/proc"):  # noqa: PTH208 - names only, thousands of them
            if entry.isdigit():
                facts = process_facts(int(entry))
                if facts is not None:
                    self._remember(int(entry), msgspec.structs.replace(facts, source="proc_events"))


def _listen(wanted: Sequence[int] = _ALL) -> socket.socket:
    if Path("/proc/self/ns/net").exists() and not Path("/proc/net/connector").exists():
        raise Unsupported("the kernel has no process events (CONFIG_PROC_EVENTS), or this is a container")
    listener: socket.socket | None = None
    try:
        listener = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
            _NETLINK_CONNECTOR,
        )
        bpf.attach(listener, _of_processes(wanted))
        listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, SOCKET_BYTES)
        listener.bind((0, _CN_IDX_PROC))
        _operate(listener, _LISTEN)
    except OSError as problem:
        if listener is not None:
            listener.close()
        raise Unsupported(
            f"process events are refused ({problem.strerror}): the agent needs CAP_NET_ADMIN"
        ) from problem
    return listener


def _of_processes(wanted: Sequence[int]) -> list[bpf.Instruction]:
    """These events, but not of threads (their own pid, their leader's tgid), which may be most of them."""
    steps: list[bpf.Instruction] = []
    for what in wanted:
        pid_at = _WORDS_AT + (8 if what == FORK else 0)
        same = bpf.if_same_words(pid_at, pid_at + 4, 0, 1)
        steps += [bpf.load_word(_WHAT_AT), bpf.if_word(what, 0, len(same) + 2), *same]
        steps += [bpf.RETURN_ALL, bpf.RETURN_NONE]
    return [*steps, bpf.RETURN_NONE]


def _operate(on: socket.socket, operation: int) -> None:
    payload = struct.pack("=I", operation)
    connector = struct.pack("=4I2H", _CN_IDX_PROC, 1, 0, 0, len(payload), 0) + payload
    on.send(struct.pack("=I2H2I", 16 + len(connector), 3, 0, 0, 0) + connector)
