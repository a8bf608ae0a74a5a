"""Requests to the kernel's audit system over netlink: its state, and rules that watch a folder.

Needs CAP_AUDIT_CONTROL in the first user and process namespaces; neither auditd nor auditctl. Layouts
(linux/audit.h, native byte order):

    struct audit_status: u32 mask, enabled, failure, pid, rate_limit, backlog_limit, lost, backlog, ...
    struct audit_rule_data: u32 list, action, field_count, syscalls[64], fields[64], values[64],
                            comparisons[64], text_length; then the text fields, one after another

Rules are matched for deletion by their whole content, so a rule is kept as the bytes that made it.
"""

from __future__ import annotations

import os
import platform
import socket
import struct
from typing import Final

import msgspec

NETLINK_AUDIT: Final = 9
LOCKED: Final = 2
"""`enabled` of a system whose rules cannot be changed until it is booted again."""
PANIC: Final = 2
"""`failure` of a system that halts when it loses an audit record."""
PROCTITLE: Final = 1327

_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_REQUEST_AND_ACK: Final = 1 | 4
_AUDIT_GET: Final = 1000
_AUDIT_SET: Final = 1001
_AUDIT_ADD_RULE: Final = 1011
_AUDIT_DEL_RULE: Final = 1012
_AUDIT_LIST_RULES: Final = 1013
_SET_ENABLED: Final = 0x1
_SET_BACKLOG_LIMIT: Final = 0x10

_HEADER: Final = struct.Struct("=IHHII")
_STATUS: Final = struct.Struct("=8I")
_RULE: Final = struct.Struct("=3I64I64I64I64II")
_LIST_EXIT: Final = 4
_LIST_EXCLUDE: Final = 5
_ACTION_ALWAYS: Final = 2
_EVERY_SYSCALL: Final = (0xFFFF_FFFF,) * 64
_EQUALS: Final = 0x4000_0000
_DIFFERS: Final = 0x3000_0000
_BELOW: Final = 0x1000_0000
_AT_LEAST: Final = 0x6000_0000
_AT_MOST: Final = 0x5000_0000
_PID: Final = 0
_UID: Final = 1
_MSGTYPE: Final = 12
_SUCCESS: Final = 104
_ARCH: Final = 11
_LOGIN_UID: Final = 9
_ADDRESS_FAMILY: Final = 113
_PERM: Final = 106
_DIR: Final = 107
_KEY: Final = 210
_TEXT_FIELDS: Final = frozenset({*range(13, 18), *range(19, 24), 105, _DIR, 112, _KEY})
_WRITE: Final = 2
_PID_BITS: Final = 22
"""Process ids are smaller than 2**22 on every Linux."""
_NO_PROCESS: Final = 1 << 30
"""Makes a process id a number that no process can have."""
_MARK_ON: Final = 4_294_967_294
_MARK_OFF: Final = 4_294_967_293
_NO_LOGIN: Final = 0xFFFF_FFFF
_MACHINES: Final = {"x86_64": (0xC000_003E, 42), "aarch64": (0xC000_00B7, 203), "riscv64": (0xC000_00F3, 203)}
"""What audit calls the architecture, and the number of connect(2) there."""
_REPLY_WAIT_S: Final = 2.0
_MOST_RULES: Final = 10_000


class AuditStatus(msgspec.Struct, frozen=True):
    """The audit system's state, as far as Leaver needs it."""

    enabled: int
    failure: int
    daemon_pid: int
    """auditd, or another program that takes the records; 0: none."""
    backlog_limit: int
    lost: int


class AuditControl:
    """A socket for requests. Each method raises OSError with the kernel's own errno."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_AUDIT)
        self._socket.bind((0, 0))
        self._socket.settimeout(_REPLY_WAIT_S)
        self._sequence = 0

    def status(self) -> AuditStatus:
        """The state just now."""
        reply = self._request(_AUDIT_GET, b"", until=_AUDIT_GET)[0]
        _, enabled, failure, daemon, _, limit, lost, _ = _STATUS.unpack_from(reply)
        return AuditStatus(
            enabled=enabled, failure=failure, daemon_pid=daemon, backlog_limit=limit, lost=lost
        )

    def set_enabled(self, enabled: int) -> None:
        """Switches auditing on (1) or off (0)."""
        self._request(_AUDIT_SET, _STATUS.pack(_SET_ENABLED, enabled, 0, 0, 0, 0, 0, 0))

    def set_backlog_limit(self, records: int) -> None:
        """How many records may wait in the kernel before those who cause them are made to wait."""
        self._request(_AUDIT_SET, _STATUS.pack(_SET_BACKLOG_LIMIT, 0, 0, 0, 0, records, 0, 0))

    def add_rule(self, rule: bytes) -> None:
        """Appends the rule: rules that others made come first and keep their effect."""
        self._request(_AUDIT_ADD_RULE, rule)

    def delete_rule(self, rule: bytes) -> None:
        """FileNotFoundError where no rule is exactly this one."""
        self._request(_AUDIT_DEL_RULE, rule)

    def list_rules(self) -> list[bytes]:
        """All rules, also those of others."""
        return self._request(_AUDIT_LIST_RULES, b"", until=_NLMSG_DONE)

    def close(self) -> None:
        """Gives the socket back. May be called twice."""
        self._socket.close()

    def _request(self, kind: int, payload: bytes, until: int | None = None) -> list[bytes]:
        """Sends, and collects the replies up to the acknowledgement and a message of type `until`."""
        self._sequence += 1
        size = _HEADER.size + len(payload)
        self._socket.send(_HEADER.pack(size, kind, _REQUEST_AND_ACK, self._sequence, 0) + payload)
        replies: list[bytes] = []
        acknowledged, complete = False, until is None
        # The kernel sends lists from a thread of its own: the acknowledgement may come before or after.
        while not (acknowledged and complete):
            message = self._socket.recv(65_536)
            _, answer, _, sequence, _ = _HEADER.unpack_from(message)
            if sequence != self._sequence:
                continue
            if answer == _NLMSG_ERROR:
                (error,) = struct.unpack_from("=i", message, _HEADER.size)
                if error:
                    raise OSError(-error, f"audit: {os.strerror(-error)}")
                acknowledged = True
            elif answer == until == _NLMSG_DONE:
                complete = True
            else:
                replies.append(message[_HEADER.size :])
                complete = complete or answer == until
                if len(replies) > _MOST_RULES:
                    raise OSError(f"audit: more than {_MOST_RULES} rules")
        return replies


class QuietMark(msgspec.Struct, frozen=True):
    """What a rule against command lines tells of the agent that made it."""

    pid: int
    instance: int
    """Which of the process's sources, modulo 256."""
    switched_auditing_on: bool


def rule_for_writes_below(folder: bytes, key: str) -> bytes:
    """Records each successful call that opens for writing, creates, renames, links or removes below it.

    The kernel's own class of writing calls decides (perm=w): it fits every architecture and also knows
    calls that came later, such as openat2.
    """
    return _rule(
        _LIST_EXIT,
        [
            (_DIR, _EQUALS, len(folder)),
            (_PERM, _EQUALS, _WRITE),
            (_SUCCESS, _EQUALS, 1),
            (_KEY, _EQUALS, len(key)),
        ],
        folder + key.encode("ascii"),
    )


def rules_for_connects(key: str, first_user: int) -> list[bytes]:
    """Record each attempt to connect to an internet address by a user's program: by uid, and by login uid
    for what runs with other rights (sudo). `first_user`: smallest uid of a person. Empty where the machine's
    system calls are not known."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return []
    arch, connect = machine
    calls = tuple(1 << connect % 32 if word == connect // 32 else 0 for word in range(64))
    internet = [(_ARCH, _EQUALS, arch), (_ADDRESS_FAMILY, _AT_LEAST, 2), (_ADDRESS_FAMILY, _AT_MOST, 10)]
    by_user = [(_UID, _AT_LEAST, first_user)]
    by_login = [
        (_UID, _BELOW, first_user),
        (_LOGIN_UID, _AT_LEAST, first_user),
        (_LOGIN_UID, _DIFFERS, _NO_LOGIN),
    ]
    return [
        _rule(_LIST_EXIT, [*internet, *who, (_KEY, _EQUALS, len(key))], key.encode("ascii"), calls)
        for who in (by_user, by_login)
    ]


def rule_against_command_lines(mark: QuietMark) -> bytes:
    """Keeps the kernel from making PROCTITLE records, which hold command lines.

    A rule of this list that has a key never takes effect, so the mark stands in two conditions that are
    always true: neither a process nor a user with these numbers can exist.
    """
    nobody = _MARK_ON if mark.switched_auditing_on else _MARK_OFF
    return _rule(
        _LIST_EXCLUDE,
        [
            (_MSGTYPE, _EQUALS, PROCTITLE),
            (_PID, _DIFFERS, _NO_PROCESS | mark.instance % 256 << _PID_BITS | mark.pid),
            (_UID, _DIFFERS, nobody),
        ],
        b"",
    )


def quiet_mark_of(rule: bytes) -> QuietMark | None:
    """The mark, if the rule was made by `rule_against_command_lines`."""
    if len(rule) < _RULE.size:
        return None
    words = _RULE.unpack_from(rule)
    process = words[132]
    mark = QuietMark(
        pid=process % (1 << _PID_BITS),
        instance=process >> _PID_BITS & 0xFF,
        switched_auditing_on=words[133] == _MARK_ON,
    )
    # The kernel lists its exclusions without their system calls: only the fields tell.
    same = _RULE.unpack_from(rule_against_command_lines(mark))
    return mark if words[0] == same[0] and words[67:] == same[67:] else None


def key_of(rule: bytes) -> str | None:
    """The rule's key; None where it has none."""
    if len(rule) < _RULE.size:
        return None
    words = _RULE.unpack_from(rule)
    fields, values = words[67 : 67 + words[2]], words[131 : 131 + words[2]]
    offset = _RULE.size
    for field, value in zip(fields, values, strict=True):
        if field == _KEY:
            return rule[offset : offset + value].decode("ascii", "replace")
        if field in _TEXT_FIELDS:
            offset += value
    return None


def _rule(
    where: int,
    fields: list[tuple[int, int, int]],
    text: bytes,
    calls: tuple[int, ...] = _EVERY_SYSCALL,
) -> bytes:
    padding = (0,) * (64 - len(fields))
    names = tuple(name for name, _, _ in fields) + padding
    comparisons = tuple(comparison for _, comparison, _ in fields) + padding
    values = tuple(value for _, _, value in fields) + padding
    head = (where, _ACTION_ALWAYS, len(fields), *calls, *names, *values, *comparisons, len(text))
    return _RULE.pack(*head) + text
