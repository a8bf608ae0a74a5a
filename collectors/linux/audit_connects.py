"""Which process connected where: facts from the kernel's audit system, without anything of a command line.

One act is a SYSCALL record (who) and a SOCKADDR record (where to), tied together by their serial number:

    audit(1732246314.123:456): arch=… syscall=42 success=no exit=-115 … ppid=6 pid=7 auid=1000 uid=1000 …
        fsuid=1000 … comm="curl" exe="/usr/bin/curl" … key="…"
    audit(1732246314.123:456): saddr=020001BB5DB8D822…     hexadecimal: family (host order), port, address

The rules record connect(2) only, not execve(2): the kernel would write command lines beside it, into the logs
of whoever else listens. Which program a process runs comes with each record anyway; what starts is told by
process events (process_tree.py). A connect through io_uring is not recorded.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec

from collectors.contract import Unsupported
from collectors.linux.audit import listen
from collectors.linux.audit_control import AuditControl, rules_for_connects
from collectors.linux.audit_records import CONFIG_CHANGE, SYSCALL
from collectors.linux.audit_rules import CONNECTS_KEY, KEY, AuditRules, check_status
from collectors.linux.proc import plain_path
from collectors.linux.process_identity import acting_uid

SOCKADDR: Final = 1306
MOST_PENDING: Final = 256
_MOST_AT_ONCE: Final = 2048
_LONGEST_RECORD: Final = 16_384
_HEADER_BYTES: Final = 16
_WHO: Final = re.compile(
    rb" ppid=(\d+) pid=(\d+) auid=(\d+) uid=(\d+) .* fsuid=(\d+) .*"
    rb" exe=(?:\"([^\"]*)\"|([0-9A-F]+)|\(null\))",
    re.DOTALL,
)
_ADDRESS: Final = re.compile(rb" saddr=([0-9A-Fa-f]{8,256})")
_STAMP: Final = re.compile(rb"audit\((\d+)\.(\d{3}):(\d+)\):")
_GAP_S: Final = 60.0
_INSTANCES: Final = 9
"""Whoever watches drives begins anew seldom: the filter in the kernel stays short, and a later one costs
only time."""
_NEEDED: Final = "the agent needs CAP_AUDIT_CONTROL and CAP_AUDIT_READ, outside of containers"


def _of_watched_drives() -> list[bytes]:
    """How the records end that this agent asks for elsewhere: thousands a second while somebody copies."""
    return [f'key="{KEY}-{os.getpid()}-{instance}"'.encode("ascii") for instance in range(1, _INSTANCES)]


def check() -> None:
    """Raises Unsupported where the kernel cannot be made to tell who connects. Adds no rule."""
    if not rules_for_connects(CONNECTS_KEY, 1000):
        raise Unsupported("the system calls of this kind of machine are not known")
    try:
        control = AuditControl()
        try:
            check_status(control.status())
            listen((SOCKADDR,)).close()
        finally:
            control.close()
    except OSError as problem:
        raise Unsupported(f"audit refuses ({problem}): {_NEEDED}; uploads are likely at best") from problem


class ConnectFact(msgspec.Struct, frozen=True, gc=False):
    """A process tried to connect to an internet address. `at_ms`: ms since 1970 UTC."""

    at_ms: int
    pid: int
    parent: int
    uid: int
    login_uid: int
    executable: str | None
    address: str
    port: int


class AuditConnects:
    """Raises Unsupported at construction, where the kernel cannot be made to tell. Not for several
    threads."""

    def __init__(self, first_user: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._dropped: Counter[str] = Counter()
        self._pending: OrderedDict[bytes, bytes] = OrderedDict()
        self._buffer = bytearray(_LONGEST_RECORD)
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._gap_at = -_GAP_S
        try:
            self._control = AuditControl()
        except OSError as problem:
            raise Unsupported(
                f"the kernel has no audit system ({problem}): boot without audit=0"
            ) from problem
        self._rules = AuditRules(self._control, self._dropped, monotonic, CONNECTS_KEY)
        rules = rules_for_connects(self._rules.key, first_user)
        try:
            if not rules:
                raise Unsupported("the system calls of this kind of machine are not known")
            check_status(self._control.status())
            self._lost = self._control.status().lost
            self._socket = listen((SYSCALL, SOCKADDR, CONFIG_CHANGE), _of_watched_drives())
        except OSError as problem:
            self._control.close()
            raise Unsupported(f"audit refuses ({problem}): {_NEEDED}") from problem
        except Unsupported:
            self._control.close()
            raise
        try:
            self._rules.record(rules)
        except (OSError, Unsupported) as problem:
            self.close()
            raise Unsupported(f"audit takes no rule ({problem}): {_NEEDED}") from problem

    def fileno(self) -> int:
        """The descriptor to poll for records."""
        return self._socket.fileno()

    def read(self) -> list[ConnectFact]:
        """What came since the last call."""
        facts: list[ConnectFact] = []
        for _ in range(_MOST_AT_ONCE):
            try:
                size = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                break
            except OSError as problem:
                overflow = problem.errno == errno.ENOBUFS
                self._gap_at = self._monotonic()
                self._dropped["audit_socket_overflow" if overflow else "audit_socket_error"] += 1
                if overflow:
                    continue
                break
            kind = int.from_bytes(self._buffer[4:6], "little" if _LITTLE else "big")
            fact = self._take(kind, bytes(self._buffer[_HEADER_BYTES:size]))
            if fact is not None:
                facts.append(fact)
        return facts

    def look_after(self) -> None:
        """Puts rules back that somebody removed. Call it now and then."""
        if self._monotonic() - self._looked_at > 10:
            self._looked_at = self._monotonic()
            self._rules.repair()
            with contextlib.suppress(OSError):
                lost = self._control.status().lost
                if lost != self._lost:
                    # A count that was set back by somebody is no loss.
                    self._dropped["audit_lost_by_kernel"] += max(0, lost - self._lost)
                    self._gap_at, self._lost = self._monotonic(), lost

    def is_complete(self) -> bool:
        """Whether every connect of the last minute is known."""
        return self._rules.trouble() is None and self._monotonic() - self._gap_at > _GAP_S

    def trouble(self) -> str | None:
        """Why records are missing just now, in words; None while all is well."""
        return self._rules.trouble()

    def dropped(self) -> dict[str, int]:
        """What was lost on the way, by reason."""
        return dict(self._dropped)

    def close(self) -> None:
        """Gives everything back, the kernel's settings too. May be called twice."""
        if self._socket.fileno() >= 0:
            self._rules.restore()
            self._socket.close()
            self._control.close()

    def _take(self, kind: int, text: bytes) -> ConnectFact | None:
        end = text.find(b"):")
        if end < 0:
            return None
        stamp = text[: end + 2]
        if kind == CONFIG_CHANGE:
            self._rules.config_changed(text)
            if b"audit_enabled=0" in text or (b"remove_rule" in text and self._rules.key.encode() in text):
                self._dropped["audit_switched_off"] += 1
                self._gap_at = self._monotonic()
                self._looked_at = 0.0
            return None
        if kind == SYSCALL:
            self._pending[stamp] = text
            if len(self._pending) > MOST_PENDING:
                # Records of other rules, whose acts have no address: they wait for nothing.
                self._pending.popitem(last=False)
            return None
        who = self._pending.pop(stamp, None)
        return None if who is None else self._join(stamp, who, text)

    def _join(self, stamp: bytes, who: bytes, where: bytes) -> ConnectFact | None:
        at, process, address = _STAMP.match(stamp), _WHO.search(who), _ADDRESS.search(where)
        if at is None or process is None or address is None:
            self._dropped["audit_record_unreadable"] += 1
            return None
        remote = read_address(bytes.fromhex(address[1].decode("ascii")))
        if remote is None:
            return None
        exe = process[6]
        if exe is None and process[7] is not None:
            exe = bytes.fromhex(process[7].decode("ascii"))
        return ConnectFact(
            at_ms=int(at[1]) * 1000 + int(at[2]),
            pid=int(process[2]),
            parent=int(process[1]),
            uid=acting_uid(int(process[4]), int(process[5])),
            login_uid=int(process[3]),
            executable=plain_path(os.fsdecode(exe)) if exe else None,
            address=remote[0],
            port=remote[1],
        )


_LITTLE: Final = bool(memoryview(b"\x01\0").cast("H")[0] == 1)


def read_address(raw: bytes) -> tuple[str, int] | None:
    """Address and port of a struct sockaddr of the internet families; None for others."""
    family = int.from_bytes(raw[:2], "little" if _LITTLE else "big")
    port = int.from_bytes(raw[2:4], "big")
    if family == socket.AF_INET and len(raw) >= 8:
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), port
    if family == socket.AF_INET6 and len(raw) >= 24:
        return plain_address(raw[8:24]), port
    return None


def plain_address(raw: bytes) -> str:
    """An IPv6 address in words; one that stands for an IPv4 address as that."""
    if raw[:12] == b"\0" * 10 + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, raw[12:16])
    return socket.inet_ntop(socket.AF_INET6, raw[:16])
