"""What the agent and its reading process say to each other, over a pair of sockets.

Each message is a u32 (little-endian) length and so many bytes of MessagePack; only the agent's answer
with a piece of the file is plain bytes. The agent begins with LabelSettings, and the process tells how it
is confined (a list of words). Then for each file: the agent sends Look; the process asks for pieces by
Piece and gets, for each, a byte 1 and the bytes, or a byte 0 where it cannot be had; it says by Used what CPU
time it took, and goes on when it gets an empty answer; it ends with a Done, and the time that was not told.
The process is not trusted: lengths and numbers are checked here."""

from __future__ import annotations

import socket
import struct
import time
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from collectors.labels.file_labels import FileLabels

PIECE_BYTES_MAX: Final = 1 << 20
_LENGTH: Final = struct.Struct("<I")
_MESSAGE_BYTES_MAX: Final = 4 << 20

_Offset = Annotated[int, Meta(ge=0, le=2**62)]


class Look(msgspec.Struct, frozen=True, tag=True):
    """Label a file of so many bytes."""

    size: _Offset


class Piece(msgspec.Struct, frozen=True, tag=True):
    """Some of the file's bytes are wanted."""

    offset: _Offset
    length: Annotated[int, Meta(ge=1, le=PIECE_BYTES_MAX)]


class Used(msgspec.Struct, frozen=True, tag=True):
    """So much CPU time since the last time; the answer comes after a rest."""

    seconds: Annotated[float, Meta(ge=0, le=3_600)]


class Done(msgspec.Struct, frozen=True, tag=True):
    """`seconds`: of CPU time since the last Used, so that many small files rest too."""

    labels: FileLabels
    seconds: Annotated[float, Meta(ge=0, le=3_600)]


class Ended(Exception):
    """The other side is gone, or says what it must not."""


def send(to: socket.socket, body: bytes) -> None:
    """OSError where the other side is gone."""
    to.sendall(_LENGTH.pack(len(body)) + body)


def receive(come: socket.socket, until: float | None = None) -> bytes:
    """One message. until: monotonic; when it must be here as a whole. Raises Ended, TimeoutError."""
    (length,) = _LENGTH.unpack(_exactly(come, _LENGTH.size, until))
    if length > _MESSAGE_BYTES_MAX:
        raise Ended("a message that is too long")
    return _exactly(come, length, until)


def _exactly(come: socket.socket, size: int, until: float | None) -> bytes:
    whole = bytearray(size)
    view = memoryview(whole)
    at = 0
    while at < size:
        if until is not None:
            # Anew for each piece: one that comes byte by byte must not take longer.
            come.settimeout(max(0.01, until - time.monotonic()))
        got = come.recv_into(view[at:])
        if got == 0:
            raise Ended("gone")
        at += got
    return bytes(whole)
