"""The kernel's audit system as the source of who wrote what: no daemon needed, and none disturbed.

A rule per watched folder has the kernel record each writing call below it; the read-only multicast group
delivers the records, beside auditd if one runs. What this does to the system, and gives back on `close`:

- Auditing is switched on if it was off, and off again if no rule is left and no daemon took over.
- The kernel's backlog limit is raised if it is small: those who copy would be made to wait on it.
- Without a daemon the kernel prints records to its log, at most 10 lines in 5 s (printk_ratelimit), file
  names among them; a multicast reader does not prevent that. So that no command line gets there, PROCTITLE
  records are switched off as long as no daemon takes records.
- With auditd, or with journald reading audit, the records of writes on watched devices land in their logs
  as well.

It steps back, and says so, where rules are locked (`auditctl -e 2`), and where a lost record would halt
the system (`-f 2`). Rules of an agent that was killed are recognised by key and process id and removed.
Processes that started before auditing was first switched on since boot are never recorded; for them the
caller falls back to other sources, which do well with long-lived processes.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from collectors.contract import Unsupported
from collectors.linux import packet_filter as bpf
from collectors.linux.audit_control import (
    LOCKED,
    NETLINK_AUDIT,
    PANIC,
    AuditControl,
    AuditStatus,
    QuietMark,
    key_of,
    quiet_mark_of,
    rule_against_command_lines,
    rule_for_writes_below,
)
from collectors.linux.audit_records import CONFIG_CHANGE, CWD, PATH, SYSCALL, AuditRecords
from collectors.linux.mounts import read_mounts

KEY: Final = "leaver-removable"
BACKLOG_RECORDS: Final = 8192
SOCKET_BYTES: Final = 8 << 20
REPAIR_S: Final = 5.0
"""Shortest time between two looks at whether the rules still stand."""

_WANTED: Final = (SYSCALL, PATH, CWD, CONFIG_CHANGE)
_HEADER: Final = struct.Struct("=IHHII")
_SO_RCVBUFFORCE: Final = 33
_SOL_NETLINK: Final = 270
_ADD_MEMBERSHIP: Final = 1
_READLOG: Final = 1
_LONGEST_RECORD: Final = 16_384
_MOST_AT_ONCE: Final = 512
_OUR_KEY: Final = re.compile(rf"{KEY}-(\d+)-(\d+)")
_instances: Final = itertools.count(1)


class _Watched(msgspec.Struct, frozen=True):
    rule: bytes
    device: int
    """st_dev of the folder when it was first watched."""
    superblock: int
    """The device number that audit shows; another one than `device` on btrfs."""


def check() -> None:
    """Raises Unsupported where the kernel cannot be made to tell who writes."""
    control = _open_control()
    try:
        check_status(control.status())
        _listen().close()
    except OSError as problem:
        raise Unsupported(f"audit refuses: {problem.strerror}; {_NEEDED}") from problem
    finally:
        control.close()


_NEEDED: Final = "the agent needs CAP_AUDIT_CONTROL and CAP_AUDIT_READ, outside of containers"


class AuditSource:
    """Feeds AuditRecords from the kernel. The caller keeps threads apart."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises Unsupported. Nothing is changed before the first `watch`."""
        self.records = AuditRecords()
        self._monotonic = monotonic
        self._dropped: Counter[str] = Counter()
        self._watched: dict[str, _Watched] = {}
        self._key = f"{KEY}-{os.getpid()}-{next(_instances)}"
        self._quiet_rule: bytes | None = None
        self._backlog_before: int | None = None
        self._switched_on = False
        self._trouble: str | None = None
        self._repair_due = False
        self._repaired_at = -REPAIR_S
        self._buffer = bytearray(_LONGEST_RECORD)
        self._control = _open_control()
        try:
            status = self._control.status()
            check_status(status)
            self._lost_before = status.lost
            self._socket = _listen()
        except OSError as problem:
            self._control.close()
            raise Unsupported(f"audit refuses: {problem.strerror}; {_NEEDED}") from problem
        except Unsupported:
            self._control.close()
            raise

    def fileno(self) -> int:
        """The descriptor to poll for records."""
        return self._socket.fileno()

    def watch(self, target: str) -> None:
        """Raises OSError, or Unsupported if the system has been locked meanwhile."""
        if target in self._watched:
            return
        folder = os.fsencode(target).rstrip(b"/") or b"/"
        watched = _Watched(
            rule=rule_for_writes_below(folder, self._key),
            device=Path(target).stat().st_dev,
            superblock=_superblock(target),
        )
        self._prepare()
        self._control.add_rule(watched.rule)
        if self._control.status().enabled == 0:
            # Another agent's last act fell between.
            self._control.set_enabled(1)
        self._watched[target] = watched
        self._set_devices()

    def unwatch(self, target: str) -> None:
        """Takes the rule back. The kernel did so by itself if the folder was unmounted.

        What was recorded stays known, and its device recognised, for events still being worked on.
        """
        watched = self._watched.pop(target, None)
        if watched is not None:
            self._try_delete(watched.rule)

    def watches(self, target: str) -> bool:
        """Whether a rule of ours stands for the folder, as far as known."""
        return target in self._watched

    def pump(self) -> bool:
        """Takes the records that are there. True if there may be more."""
        for _ in range(_MOST_AT_ONCE):
            try:
                size = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                return False
            except OSError as problem:
                # ENOBUFS: the kernel had to drop records for us. The next call goes on behind the gap.
                self._dropped["audit_socket_overflow" if problem.errno == 105 else "audit_socket_error"] += 1
                return problem.errno == 105
            # The length in an audit record's header does not count the header; the datagram's does.
            kind = _HEADER.unpack_from(self._buffer)[1]
            text = bytes(self._buffer[_HEADER.size : size]).rstrip(b"\0\n")
            if kind == CONFIG_CHANGE:
                self._config_changed(text)
            else:
                self.records.feed(kind, text)
        return True

    def repair_wait_s(self) -> float | None:
        """When `repair` is next to be called; None while there is no reason to."""
        if not self._repair_due:
            return None
        return max(0.0, self._repaired_at + REPAIR_S - self._monotonic())

    def repair(self) -> None:
        """Puts rules back that somebody removed (auditd's start does), as long as the folder is mounted."""
        self._repair_due = False
        self._repaired_at = self._monotonic()
        try:
            status = self._control.status()
            self._trouble = None
            if status.enabled == 0:
                self._trouble = "somebody switched auditing off"
            if status.daemon_pid and self._quiet_rule is not None:
                self._try_delete(self._quiet_rule)
                self._quiet_rule = None
            standing = sum(1 for rule in self._control.list_rules() if key_of(rule) == self._key)
            if standing < len(self._watched):
                self._put_back(status)
        except OSError as problem:
            self._trouble = f"rules cannot be put back: {problem.strerror}"

    def trouble(self) -> str | None:
        """Why records are missing just now, in words; None while all is well."""
        return self._trouble

    def dropped(self) -> dict[str, int]:
        """What was lost on the way, by reason."""
        lost = self._dropped + self.records.dropped
        try:
            by_kernel = self._control.status().lost - self._lost_before
            if by_kernel > 0:
                lost["audit_lost_by_kernel"] = by_kernel
        except OSError:
            pass
        return dict(lost)

    def close(self) -> None:
        """Gives back what was changed, as far as others do not need it. May be called twice."""
        if self._socket.fileno() < 0:
            return
        for target in list(self._watched):
            self.unwatch(target)
        if self._quiet_rule is not None:
            self._try_delete(self._quiet_rule)
        try:
            status = self._control.status()
            if not self._control.list_rules() and status.enabled == 1 and not status.daemon_pid:
                if self._backlog_before is not None and status.backlog_limit == BACKLOG_RECORDS:
                    self._control.set_backlog_limit(self._backlog_before)
                if self._switched_on:
                    self._control.set_enabled(0)
                    if self._control.list_rules():
                        self._control.set_enabled(1)
        except OSError:
            self._dropped["audit_not_restored"] += 1
        self._socket.close()
        self._control.close()

    def _prepare(self) -> None:
        """Switches auditing on, and clears up behind an agent that was killed."""
        status = self._control.status()
        check_status(status)
        for rule in self._control.list_rules():
            mark = quiet_mark_of(rule)
            key = _OUR_KEY.fullmatch(key_of(rule) or "")
            # An agent that switched auditing on left that in its rule, so that the last one out knows.
            self._switched_on = self._switched_on or (mark is not None and mark.switched_auditing_on)
            pid = mark.pid if mark is not None else int(key[1]) if key is not None else os.getpid()
            if not Path(f"/proc/{pid}").exists():
                self._try_delete(rule)
        if not status.enabled:
            self._switched_on = True
        if not status.daemon_pid and self._quiet_rule is None:
            quiet_rule = rule_against_command_lines(QuietMark(os.getpid(), self._switched_on))
            try:
                self._control.add_rule(quiet_rule)
            except FileExistsError:
                pass  # another source in this process did
            else:
                self._quiet_rule = quiet_rule
        if 0 < status.backlog_limit < BACKLOG_RECORDS:
            self._control.set_backlog_limit(BACKLOG_RECORDS)
            self._backlog_before = status.backlog_limit
        if not status.enabled:
            self._control.set_enabled(1)

    def _put_back(self, status: AuditStatus) -> None:
        check_status(status)
        for target, watched in list(self._watched.items()):
            self._try_delete(watched.rule)
            try:
                mounted = Path(target).stat().st_dev == watched.device
            except OSError:
                mounted = False
            if mounted:
                self._control.add_rule(watched.rule)
                self._dropped["audit_rule_put_back"] += 1
            else:
                del self._watched[target]

    def _config_changed(self, text: bytes) -> None:
        ours_removed = b"remove_rule" in text and self._key.encode("ascii") in text
        if ours_removed or b"audit_enabled=0" in text or b"audit_pid=" in text:
            self._repair_due = True

    def _set_devices(self) -> None:
        self.records.set_devices({each.superblock: each.device for each in self._watched.values()})

    def _try_delete(self, rule: bytes) -> None:
        try:
            self._control.delete_rule(rule)
        except FileNotFoundError:
            pass
        except OSError:
            self._dropped["audit_rule_not_removed"] += 1


def _open_control() -> AuditControl:
    try:
        return AuditControl()
    except OSError as problem:
        raise Unsupported(
            f"the kernel has no audit system ({problem.strerror}): boot without audit=0"
        ) from problem


def check_status(status: AuditStatus) -> None:
    """Raises Unsupported where the system's audit settings forbid rules, or make them dangerous."""
    if status.enabled == LOCKED:
        raise Unsupported("audit rules are locked until the next boot (auditctl -e 2): add the agent's first")
    if status.failure == PANIC:
        raise Unsupported("a lost audit record would halt this system (auditctl -f 2): left alone")


def _listen() -> socket.socket:
    """A socket on the read-only group that lets only the wanted records in."""
    listener = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, NETLINK_AUDIT
    )
    try:
        steps = [bpf.load_half(4)]
        steps += [bpf.if_half(kind, len(_WANTED) - at, 0) for at, kind in enumerate(_WANTED)]
        bpf.attach(listener, [*steps, bpf.RETURN_NONE, bpf.RETURN_ALL])
        listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, SOCKET_BYTES)
        listener.bind((0, 0))
        listener.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _READLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _superblock(target: str) -> int:
    path = os.path.realpath(target)
    over = [mount for mount in read_mounts() if path == mount.target or path.startswith(_below(mount.target))]
    if not over:
        return Path(target).stat().st_dev
    deepest = max(len(mount.target) for mount in over)
    return [mount for mount in over if len(mount.target) == deepest][-1].device


def _below(folder: str) -> str:
    return folder if folder.endswith("/") else folder + "/"
