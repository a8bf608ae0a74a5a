"""The kernel's audit system as the source of who wrote what: no daemon needed, and none disturbed.

A rule per watched folder (audit_rules.py) has the kernel record each writing call below it; the read-only
multicast group delivers the records, beside auditd if one runs. With auditd, or with journald reading
audit, the records of writes on watched devices land in their logs as well.

Processes that started before auditing was first switched on since boot are never recorded; for them the
caller falls back to other sources, which do well with long-lived processes. Writes through io_uring are
not recorded either.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from collectors.contract import Unsupported
from collectors.linux import packet_filter as bpf
from collectors.linux.audit_control import NETLINK_AUDIT, AuditControl
from collectors.linux.audit_records import CONFIG_CHANGE, PATH, SYSCALL, AuditRecords
from collectors.linux.audit_rules import AuditRules, check_status

SOCKET_BYTES: Final = 8 << 20

_WANTED: Final = (SYSCALL, PATH, CONFIG_CHANGE)
_NEEDED: Final = "the agent needs CAP_AUDIT_CONTROL and CAP_AUDIT_READ, outside of containers"
_OF_A_FOLDER: Final = tuple(
    b"PARENT cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0" + newer for newer in (b" cap_frootid=0", b"")
)
"""How the record of a file's folder ends: half of all records, which nobody needs."""
_HEADER_BYTES: Final = 16
_KIND: Final = struct.Struct("=H")
_SO_RCVBUFFORCE: Final = 33
_SOL_NETLINK: Final = 270
_ADD_MEMBERSHIP: Final = 1
_READLOG: Final = 1
_LONGEST_RECORD: Final = 16_384
_MOST_AT_ONCE: Final = 512


def check() -> None:
    """Raises Unsupported where the kernel cannot be made to tell who writes."""
    AuditSource().close()


class AuditSource:
    """Feeds AuditRecords from the kernel. The caller keeps threads apart."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises Unsupported. Nothing is changed before `clear_up` or the first `watch`."""
        self._dropped: Counter[str] = Counter()
        self._buffer = bytearray(_LONGEST_RECORD)
        self._view = memoryview(self._buffer)
        try:
            self._control = AuditControl()
        except OSError as problem:
            raise Unsupported(
                f"the kernel has no audit system ({problem}): boot without audit=0"
            ) from problem
        self._rules = AuditRules(self._control, self._dropped, monotonic)
        self.records = AuditRecords(self._rules.key)
        try:
            status = self._control.status()
            check_status(status)
            self._lost_before = status.lost
            self._socket = listen(_WANTED, _OF_A_FOLDER)
        except OSError as problem:
            self._control.close()
            raise Unsupported(f"audit refuses ({problem}): {_NEEDED}") from problem
        except Unsupported:
            self._control.close()
            raise

    def fileno(self) -> int:
        """The descriptor to poll for records."""
        return self._socket.fileno()

    def clear_up(self) -> None:
        """Ends what killed agents left in the kernel."""
        self._rules.clear_up()

    def watch(self, target: str) -> None:
        """Raises OSError, or Unsupported if the system has been locked meanwhile."""
        self._rules.watch(target)
        self.records.set_devices(self._rules.devices())

    def unwatch(self, target: str) -> None:
        """What was recorded stays known, and its device recognised, for events still being worked on."""
        self._rules.unwatch(target)

    def pump(self) -> bool:
        """Takes the records that are there. True if there may be more."""
        for _ in range(_MOST_AT_ONCE):
            try:
                size = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                return False
            except OSError as problem:
                # ENOBUFS: the kernel had to drop records for us. The next call goes on behind the gap.
                overflow = problem.errno == errno.ENOBUFS
                self._dropped["audit_socket_overflow" if overflow else "audit_socket_error"] += 1
                return overflow
            # The length in an audit record's header does not count the header; the datagram's does.
            (kind,) = _KIND.unpack_from(self._buffer, 4)
            text = bytes(self._view[_HEADER_BYTES:size])
            if kind == CONFIG_CHANGE:
                self._rules.config_changed(text)
            else:
                self.records.feed(kind, text)
        return True

    def repair_wait_s(self) -> float | None:
        """When `repair` is next to be called; None while there is no reason to."""
        return self._rules.repair_wait_s()

    def repair(self) -> None:
        """Puts rules back that somebody removed."""
        self._rules.repair()

    def trouble(self) -> str | None:
        """Why records are missing just now, in words; None while all is well."""
        return self._rules.trouble()

    def dropped(self) -> dict[str, int]:
        """What was lost on the way, by reason."""
        lost = self._dropped + self.records.dropped
        try:
            by_kernel = self._control.status().lost - self._lost_before
            if by_kernel > 0:
                lost["audit_lost_by_kernel"] = by_kernel
        except OSError:
            lost["audit_losses_unknown"] = 1
        return dict(lost)

    def close(self) -> None:
        """Gives everything back, the kernel's settings too. May be called twice."""
        if self._socket.fileno() >= 0:
            self._rules.restore()
            self._socket.close()
            self._control.close()


def listen(wanted: Sequence[int], unwanted_endings: Sequence[bytes] = ()) -> socket.socket:
    """A socket on the read-only group that lets only these kinds of records in. Raises OSError."""
    listener = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, NETLINK_AUDIT
    )
    try:
        steps = [bpf.load_half(4)]
        steps += [bpf.if_half(kind, len(wanted) - at, 0) for at, kind in enumerate(wanted)]
        steps.append(bpf.RETURN_NONE)
        for ending in unwanted_endings:
            steps += bpf.drop_what_ends_with(ending)
        bpf.attach(listener, [*steps, bpf.RETURN_ALL])
        listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, SOCKET_BYTES)
        listener.bind((0, 0))
        listener.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _READLOG)
    except OSError:
        listener.close()
        raise
    return listener
