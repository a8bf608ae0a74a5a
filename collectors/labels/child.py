"""The process that reads files: `python -m collectors.labels.child`, started by the agent, with a socket as
its standard input. What it may do: confinement.py. What it says: protocol.py."""

from __future__ import annotations

import codecs
import gc
import io
import resource
import socket
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from collectors.labels import file_kind, phone, source_code
from collectors.labels.confinement import confine
from collectors.labels.file_labels import FileLabels, failed
from collectors.labels.keyword_lists import KeywordLists
from collectors.labels.protocol import PIECE_BYTES_MAX, Done, Ended, Look, Piece, Used, receive, send
from collectors.labels.reading import label_stream
from collectors.labels.settings import LabelSettings

_READ_AHEAD: Final = 262_144
_CPU_BEYOND_S: Final = 3
"""Python ends by itself at the limit; a library that does not come back is ended by the kernel then."""
_CODECS: Final = (
    *("ascii", "latin-1", "cp437", "cp1252", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"),
    *("utf-32", "utf-32-le", "utf-32-be", "gb18030", "idna", "unicode_escape", "cp1251", "mac_roman"),
)
_encoder: Final = msgspec.msgpack.Encoder()


class _Remote(io.RawIOBase):
    """The agent's file, as far as `limit`. What could not be read shows as OSError."""

    def __init__(self, agent: socket.socket, size: int, limit: int) -> None:
        super().__init__()
        self._agent, self._size, self._limit = agent, size, limit
        self._at = self._read = 0
        self.is_cut = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        length = min(len(buffer), self._size - self._at, PIECE_BYTES_MAX)
        if length <= 0:
            return 0
        if self._read + length > self._limit:
            self.is_cut = True
            return 0
        send(self._agent, _encoder.encode(Piece(self._at, length)))
        answer = receive(self._agent)
        if not answer[:1] == b"\1":
            raise OSError("the file cannot be read")
        got = len(answer) - 1
        buffer[:got] = answer[1:]
        self._at += got
        self._read += got
        return got


class _Told:
    """What CPU time was used and not told yet."""

    def __init__(self) -> None:
        self._at = time.process_time()

    def untold_s(self) -> float:
        """Since the last call, or the beginning."""
        before, self._at = self._at, time.process_time()
        return max(0.0, self._at - before)


def _rest(agent: socket.socket, clock: _Told, _used_s: float) -> None:
    send(agent, _encoder.encode(Used(clock.untold_s())))
    receive(agent)


def _label(
    agent: socket.socket, look: Look, settings: LabelSettings, keywords: KeywordLists, clock: _Told
) -> FileLabels:
    remote = _Remote(agent, look.size, settings.read_bytes_max)
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime + settings.cpu_seconds) + _CPU_BEYOND_S
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    try:
        labels = label_stream(
            io.BufferedReader(remote, _READ_AHEAD), settings, keywords, partial(_rest, agent, clock)
        )
    except OSError:
        return failed("the file could not be read")
    except (MemoryError, RecursionError) as error:
        return failed(f"reading it took too much: {type(error).__name__}")
    except Exception as error:  # noqa: BLE001 - the edge: a library's own error must not end the process
        return failed(f"a reader failed: {type(error).__name__}")
    if remote.is_cut:
        gap = "; ".join(filter(None, ("limit read_bytes_max", labels.gap)))
        status = max(labels.status, type(labels.status).PARTIAL)
        return msgspec.structs.replace(labels, status=status, gap=gap[:200])
    return labels


def _load_all() -> None:
    """What opens files of its own must do so before none can be opened any more."""
    file_kind.mime_type_of(b"\0")
    source_code.language_of("int main(void) { return 0; } " * 10)
    for name in _CODECS:
        codecs.lookup(name)
    phone.load_all()


def main() -> int:
    agent = socket.socket(fileno=0)
    try:
        settings = msgspec.msgpack.decode(receive(agent), type=LabelSettings)
    except (Ended, OSError):
        return 0
    keywords = KeywordLists(settings.keyword_lists)
    _load_all()
    gc.collect()
    # What is loaded stays: looking through it again after each small file cost thirty times the file itself.
    gc.freeze()
    held = confine(settings.memory_bytes_max)
    decoder = msgspec.msgpack.Decoder(Look)
    clock = _Told()
    with suppress(Ended, OSError):
        send(agent, _encoder.encode(held))
        while True:
            look = decoder.decode(receive(agent))
            labels = _label(agent, look, settings, keywords, clock)
            gc.collect()
            send(agent, _encoder.encode(Done(labels, clock.untold_s())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
