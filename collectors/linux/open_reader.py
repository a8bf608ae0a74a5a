"""A program of its own, run by opened_files.py: answers fanotify, and tells the agent what was opened.

With permission events every opener in a marked folder waits for this process, so it must not hang:

- It answers first and looks afterwards, and makes no call that could wait for a disk, a network or the agent:
  what is marked comes as open descriptors, the agent's socket is never waited for, its memory is locked. The
  kernel opens each file for it without waiting (a FIFO's other end, a lease that somebody holds).
- A kernel timer kills it (SIGKILL) when it has not come round for DEADLINE_S: that also works while it is
  stopped, frozen or traced, and needs nobody else to be alive. With its end the kernel lets everybody go on.
- When the agent is gone its socket says so, and it ends. When the agent hangs, what cannot be told is
  dropped and counted, and openers notice nothing.

It imports nothing but the standard library and runs isolated (python -I -S).

Arguments: the socket's descriptor; "permission" or "open". Messages on that socket (SOCK_SEQPACKET, numbers
in the machine's own byte order):

    from the agent  "+" and up to 200 descriptors of folders: mark them; "-": no longer
    to the agent    "=" u32 marked, u32 refused, i32 errno of the last refusal; for each "+" or "-"
                    "!" u32 events that could not be told since the last one
                    "o" then one or more of
                        u8 what (1 opened, 2 closed after writing)  u32 pid  u32 parent (0: not known)
                        u32 uid  u32 uid on files  u32 login uid (all ones: not known)
                        u64 device  u64 inode  u64 size  i64 last change, ns
                        u64 CLOCK_REALTIME ns
                        u16 length of the program's path  u16 length of the file's path  then both
                        (of a program that is ending, and has no path any more: its name, without a "/")
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import os
import resource
import select
import signal
import socket
import struct
import sys
import time

DEADLINE_S = 0.4
"""Longest time that an opener can be made to wait."""
_REARM_S = 0.1
_LONGEST_SPIN_US = 300_000
"""The kernel kills it when it runs for so long without waiting."""
OPENED = 1
WRITTEN = 2
RECORD = struct.Struct("=BIIIIIQQQqQHH")
MARKED = struct.Struct("=IIi")
_EVENT = struct.Struct("=IBBHQii")
_RESPONSE = struct.Struct("=iI")
_ALLOW = 1
_FAN_CLOSE_WRITE = 0x8
_FAN_OPEN = 0x20
_FAN_Q_OVERFLOW = 0x4000
_FAN_OPEN_PERM = 0x10000
_FAN_EVENT_ON_CHILD = 0x08000000
_CLASS_CONTENT = 0x4
_INIT = 0x1 | 0x2 | 0x10 | 0x20
"""Close on exec, do not block, queue and marks without limits."""
_NO_ATIME = 0o1000000
_OPENED_AS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | _NO_ATIME
_BREATH_S = 0.000_05
"""Also in a flood it must block now and then: the limit of _LONGEST_SPIN_US counts from the last time."""
_MARK_ADD = 0x1
_MARK_REMOVE = 0x2
_READ_BYTES = 24 * 32
_MOST_IN_MESSAGE = 60_000
_MOST_KNOWN = 256
_KNOWN_S = 1.0
_NOT_KNOWN = 0xFFFF_FFFF
_LONGEST_PATH = 8192

_libc = ctypes.CDLL(None, use_errno=True)
_Program = tuple[int, int, int, int, bytes]
"""Parent, uid, uid on files, login uid, path or name of the program."""


class _SignalEvent(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("padding", ctypes.c_char * 48),
    )


class _TimerSpec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class DeadMansSwitch:
    """Has the kernel kill this process unless `hold` is called often enough. Raises OSError."""

    def __init__(self, seconds: float) -> None:
        library = _libc if hasattr(_libc, "timer_create") else ctypes.CDLL("librt.so.1", use_errno=True)
        self._set = library.timer_settime
        self._timer = ctypes.c_void_p()
        event = _SignalEvent(signal=signal.SIGKILL, notify=0)
        if library.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(self._timer)) < 0:
            raise OSError(ctypes.get_errno(), "timer_create")
        whole = int(seconds)
        self._spec = _TimerSpec(0, 0, whole, int((seconds - whole) * 1e9))
        self._held = 0.0
        self.hold(time.monotonic())

    def hold(self, now: float) -> None:
        """Still here."""
        if now - self._held >= _REARM_S:
            self._held = now
            time.sleep(_BREATH_S)
            if self._set(self._timer, 0, ctypes.byref(self._spec), None) < 0:
                raise OSError(ctypes.get_errno(), "timer_settime")


class OpenReader:
    """One fanotify group and the socket to the agent."""

    def __init__(self, agent: socket.socket, *, permission: bool) -> None:
        self._agent = agent
        self._permission = permission
        self._group: int = _libc.fanotify_init(_INIT | (_CLASS_CONTENT if permission else 0), _OPENED_AS)
        if self._group < 0:
            raise OSError(ctypes.get_errno(), "fanotify_init")
        self._mask = _FAN_EVENT_ON_CHILD | _FAN_CLOSE_WRITE | (_FAN_OPEN_PERM if permission else _FAN_OPEN)
        self._known: dict[int, tuple[float, _Program]] = {}
        self._untold = 0
        self._own = {os.getpid(), os.getppid()}

    def run(self) -> None:
        """Until the agent is gone."""
        # Only then: what was opened before was nobody's business to wait for.
        switch = DeadMansSwitch(DEADLINE_S) if self._permission else None
        ready = select.poll()
        ready.register(self._group, select.POLLIN)
        ready.register(self._agent, select.POLLIN)
        while True:
            woken = ready.poll(_REARM_S * 1000 if switch is not None else None)
            if switch is not None:
                switch.hold(time.monotonic())
            for descriptor, _ in woken:
                if descriptor == self._group:
                    self._read()
                elif not self._obey():
                    return

    def _read(self) -> None:
        try:
            data = os.read(self._group, _READ_BYTES)
        except OSError:
            # The file could not be opened for us (somebody holds a lease on it). The kernel refuses it to its
            # opener as well then; there is no descriptor to answer with.
            self._untold += 1
            return
        events = [_EVENT.unpack_from(data, at) for at in range(0, len(data) - _EVENT.size + 1, _EVENT.size)]
        if self._permission:
            answers = [
                _RESPONSE.pack(event[5], _ALLOW)
                for event in events
                if event[4] & _FAN_OPEN_PERM and event[5] >= 0
            ]
            for answer in answers:
                # Refused where the opener was killed meanwhile.
                with contextlib.suppress(OSError):
                    os.write(self._group, answer)
        message = bytearray(b"o")
        held = 0
        for _, _, _, _, mask, fd, pid in events:
            if mask & _FAN_Q_OVERFLOW or fd < 0:
                self._untold += 1
                continue
            try:
                record = b"" if pid in self._own else self._record(mask, fd, pid)
                if record:
                    message += record
                    held += 1
            except (OSError, ValueError, struct.error):
                self._untold += 1
            finally:
                os.close(fd)
            if len(message) > _MOST_IN_MESSAGE:
                self._tell(bytes(message), held)
                message, held = bytearray(b"o"), 0
        if held:
            self._tell(bytes(message), held)

    def _record(self, mask: int, fd: int, pid: int) -> bytes:
        """Nothing of a file that was opened while it was empty, as each new one is: nothing can be read."""
        now_ns = time.time_ns()
        status = os.fstat(fd)
        what = WRITTEN if mask & _FAN_CLOSE_WRITE else OPENED
        if what == OPENED and status.st_size == 0:
            return b""
        # Before the path: what ends while it closes the file is gone in a moment.
        parent, uid, on_files, login, program = self._program(pid)
        path = os.readlink(b"/proc/self/fd/%d" % fd)[:_LONGEST_PATH]  # noqa: PTH115 - bytes, and speed
        return (
            RECORD.pack(
                what,
                pid,
                parent,
                uid,
                on_files,
                login,
                status.st_dev,
                status.st_ino,
                status.st_size,
                status.st_mtime_ns,
                now_ns,
                len(program),
                len(path),
            )
            + program
            + path
        )

    def _program(self, pid: int) -> _Program:
        now = time.monotonic()
        try:
            program = os.readlink(b"/proc/%d/exe" % pid)[:_LONGEST_PATH]  # noqa: PTH115 - bytes, and speed
        except OSError:
            # Over, or about to be: a process that ends has no program when its files close.
            program = b""
        known = self._known.get(pid)
        is_fresh = known is not None and now - known[0] < _KNOWN_S
        if known is not None and is_fresh and known[1][4] == program != b"":
            return known[1]
        found = _look_at(pid, program)
        if known is not None and is_fresh and not found[4]:
            # Of one that has ended the user is known, but not what it had become.
            return (*known[1][:4], b"")
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[pid] = (now, found)
        return found

    def _tell(self, message: bytes, events: int) -> None:
        try:
            if self._untold:
                self._agent.send(b"!" + struct.pack("=I", min(self._untold, _NOT_KNOWN)))
                self._untold = 0
            self._agent.send(message)
        except BlockingIOError:
            self._untold += events
        except OSError:
            # Gone; the next poll says so.
            self._untold += events

    def _obey(self) -> bool:
        """False when the agent is gone."""
        try:
            data, extra, _, _ = self._agent.recvmsg(1, socket.CMSG_SPACE(4 * 253))
        except BlockingIOError:
            return True
        except OSError:
            return False
        folders = array.array("i")
        for level, kind, payload in extra:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                folders.frombytes(payload[: len(payload) - len(payload) % folders.itemsize])
        done = refused = error = 0
        for folder in folders:
            flags = _MARK_ADD if data == b"+" else _MARK_REMOVE
            if _libc.fanotify_mark(self._group, flags, ctypes.c_uint64(self._mask), folder, None) < 0:
                refused, error = refused + 1, ctypes.get_errno()
            else:
                done += 1
            os.close(folder)
        if data:
            with contextlib.suppress(OSError):
                self._agent.send(b"=" + MARKED.pack(done, refused, error))
        return bool(data)


def _look_at(pid: int, program: bytes) -> _Program:
    parent, uid, on_files, login = 0, _NOT_KNOWN, _NOT_KNOWN, _NOT_KNOWN
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = _read_file(b"/proc/%d/status" % pid)
        parent = int(status.partition(b"\nPPid:")[2].split(None, 1)[0])
        words = status.partition(b"\nUid:")[2].split(None, 4)
        uid, on_files = int(words[0]), int(words[3])
        login = int(_read_file(b"/proc/%d/loginuid" % pid))
    return parent, uid, on_files, login, program


def _read_file(path: bytes) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def _come_first() -> None:
    """Before everything else, as long as it is for moments; somebody waits for each of them."""
    with contextlib.suppress(OSError):
        os.nice(-10)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_RTTIME, (_LONGEST_SPIN_US, _LONGEST_SPIN_US))
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def main() -> int:
    """Runs until the agent is gone. Exit code 1: refused, with the errno as the only message."""
    agent = socket.socket(fileno=int(sys.argv[1]))
    agent.setblocking(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    permission = sys.argv[2] == "permission"
    try:
        if permission:
            _come_first()
            # A page that must be fetched from swap would make openers wait for a disk.
            _libc.mlockall(1 | 2)
        reader = OpenReader(agent, permission=permission)
        agent.send(b"=" + MARKED.pack(0, 0, 0))
    except OSError as error:
        with contextlib.suppress(OSError):
            agent.send(b"=" + MARKED.pack(0, 0, error.errno or 1))
        return 1
    reader.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
