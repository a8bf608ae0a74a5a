"""TCP connections and how much went over them: those that are open, and each one's last count as it closes.

Asked of the kernel by sock_diag(7) over netlink. Layout (linux/inet_diag.h), after the 16-byte netlink
header:

    u8 family, state, timer, retrans;  be16 source port, destination port;  16 bytes source, destination;
    u32 interface;  u32[2] cookie;  u32 expires, receive queue, send queue, uid, inode;  then attributes
    attribute INET_DIAG_INFO (2): struct tcp_info; at 120 u64 bytes acknowledged by the other side

A closing socket (group SKNLGRP_INET_TCP_DESTROY and its sister for IPv6) has no inode any more, so who held
it is told by its cookie where it was seen open, or else by who connected there. UDP, and so QUIC, has no
counter.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from collectors.contract import Unsupported
from collectors.linux.audit_connects import plain_address

_SOCK_DIAG: Final = 4
_BY_FAMILY: Final = 20
_REQUEST_DUMP: Final = 0x301
_GROUPS: Final = 0b101
_SO_RCVBUFFORCE: Final = 33
_BODY: Final = struct.Struct("=BBBBHH16s16sI2I5I")
_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_INFO: Final = 2
_ACKNOWLEDGED_AT: Final = 120
_OPEN_STATES: Final = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9
"""Established, being set up, and closing: what may still have bytes under way."""
_MOST_AT_ONCE: Final = 2048
_MOST_DESCRIPTORS: Final = 4096


class TcpSocket(msgspec.Struct, frozen=True, gc=False):
    """A connection as the kernel has it. `inode` 0: nobody holds it any more."""

    cookie: int
    address: str
    port: int
    local_port: int
    uid: int
    inode: int
    bytes_sent: int


class TcpClosings:
    """Each TCP connection of the machine as it closes. Raises Unsupported at construction."""

    def __init__(self) -> None:
        self._dropped: Counter[str] = Counter()
        try:
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, _SOCK_DIAG
            )
        except OSError as problem:
            raise Unsupported(f"the kernel does not tell of its sockets ({problem})") from problem
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 4 << 20)
            self._socket.bind((0, _GROUPS))
        except OSError as problem:
            self._socket.close()
            raise Unsupported(
                f"the end of connections is not told ({problem}): the agent needs CAP_NET_ADMIN"
            ) from problem

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._socket.fileno()

    def read(self) -> list[TcpSocket]:
        """What closed since the last call."""
        closed: list[TcpSocket] = []
        for _ in range(_MOST_AT_ONCE):
            try:
                data = self._socket.recv(65_536)
            except BlockingIOError:
                break
            except OSError as problem:
                self._dropped[
                    "closings_overflow" if problem.errno == errno.ENOBUFS else "closings_error"
                ] += 1
                break
            closed += _sockets_in(data)
        return closed

    def dropped(self) -> dict[str, int]:
        """What was lost on the way, by reason."""
        return dict(self._dropped)

    def close(self) -> None:
        """May be called twice."""
        self._socket.close()


def check() -> None:
    """Raises Unsupported where the end of connections, and with it what went over them, is not told."""
    TcpClosings().close()


def open_sockets() -> list[TcpSocket]:
    """All TCP connections just now. Empty where the kernel does not tell."""
    found: list[TcpSocket] = []
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as asking,
    ):
        asking.settimeout(1.0)
        for family in (socket.AF_INET, socket.AF_INET6):
            body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, _OPEN_STATES)
            body += b"\0" * 48
            asking.send(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _REQUEST_DUMP, 1, 0) + body)
            while True:
                data = asking.recv(1 << 18)
                found += _sockets_in(data)
                if _HEADER.unpack_from(data)[1] != _BY_FAMILY or _ends(data):
                    break
    return found


def socket_inodes(pid: int) -> set[int]:
    """The sockets that a process holds; empty once it is gone."""
    inodes: set[int] = set()
    with contextlib.suppress(OSError):
        for at, name in enumerate(os.listdir(f"/proc/{pid}/fd")):  # noqa: PTH208 - names only
            if at >= _MOST_DESCRIPTORS:
                break
            with contextlib.suppress(OSError):
                link = os.readlink(f"/proc/{pid}/fd/{name}")  # noqa: PTH115 - speed
                if link.startswith("socket:["):
                    inodes.add(int(link[8:-1]))
    return inodes


def held_by(pids: Collection[int], sockets: Collection[TcpSocket]) -> dict[int, list[TcpSocket]]:
    """Of these sockets those that each of the processes holds."""
    by_inode = {each.inode: each for each in sockets if each.inode}
    held = {pid: [by_inode[each] for each in socket_inodes(pid) & by_inode.keys()] for pid in pids}
    return {pid: found for pid, found in held.items() if found}


def _ends(data: bytes) -> bool:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        if kind != _BY_FAMILY:
            return True
        at += max(_HEADER.size, (length + 3) & ~3)
    return False


def _sockets_in(data: bytes) -> Iterator[TcpSocket]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        if kind == _BY_FAMILY and length >= _HEADER.size + _BODY.size:
            yield _socket(data, at + _HEADER.size, at + length)
        at += (length + 3) & ~3


def _socket(data: bytes, at: int, end: int) -> TcpSocket:
    body = _BODY.unpack_from(data, at)
    family, local_port, remote_port, remote = body[0], body[4], body[5], body[7]
    cookie, uid, inode = body[9] | body[10] << 32, body[14], body[15]
    v4 = family == socket.AF_INET
    address = socket.inet_ntop(socket.AF_INET, remote[:4]) if v4 else plain_address(remote)
    sent = 0
    info = at + _BODY.size
    while info + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, info)
        if length < _ATTRIBUTE.size:
            break
        if kind == _INFO and length >= _ATTRIBUTE.size + _ACKNOWLEDGED_AT + 8:
            (sent,) = struct.unpack_from("=Q", data, info + _ATTRIBUTE.size + _ACKNOWLEDGED_AT)
        info += (length + 3) & ~3
    return TcpSocket(cookie, address, socket.ntohs(remote_port), socket.ntohs(local_port), uid, inode, sent)
