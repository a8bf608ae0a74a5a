"""Labels files through a confined process of its own, started when needed and started anew when it dies."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec

from collectors.labels.file_labels import FileLabels, failed
from collectors.labels.protocol import PIECE_BYTES_MAX, Done, Ended, Look, Piece, Used, receive, send
from collectors.labels.settings import LabelSettings

_START_SECONDS: Final = 20.0
_PIECE_SECONDS: Final = 5.0
_FILES_A_PROCESS: Final = 2_000
_encoder: Final = msgspec.msgpack.Encoder()
_from_child: Final = msgspec.msgpack.Decoder(Piece | Used | Done)


class Source(Protocol):
    """A file's bytes, wherever they lie. Both raise OSError where they cannot be had."""

    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """Fewer bytes at the end; called from the thread that labels."""


class OpenFile:
    """A Source over a descriptor of a regular file, whose position stays as it is."""

    def __init__(self, fd: int) -> None:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("not a regular file")
        self._fd, self._status = fd, status

    def size(self) -> int:
        return self._status.st_size

    def read(self, offset: int, length: int) -> bytes:
        now = os.fstat(self._fd)
        if (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns):
            raise OSError("it changed while it was read")
        return os.pread(self._fd, length, offset)


class Labeller:
    """Use from one thread at a time. Holds no process until the first file; `rest()` gives it back."""

    def __init__(self, settings: LabelSettings, pause: Callable[[float], None] | None = None) -> None:
        """`pause` is told what CPU time was used since the last time, and returns when work may go on."""
        self._settings = settings
        self._pause = pause
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._files = 0
        self.held: list[str] = []
        """How the process is confined, in words."""
        self.deaths = 0

    def label(self, source: Source) -> FileLabels:
        """Never raises for what the file is or does: then the outcome is a failed one that says why."""
        try:
            size = source.size()
        except OSError:
            return failed("the file could not be read")
        try:
            channel = self._started()
        except (OSError, Ended, msgspec.ValidationError, msgspec.DecodeError, subprocess.SubprocessError):
            self.rest()
            return failed("the reading process does not start")
        try:
            return self._ask(channel, source, size)
        except (OSError, Ended, msgspec.ValidationError, msgspec.DecodeError) as error:
            why = self._end()
            self.deaths += 1
            return failed("took too long" if isinstance(error, TimeoutError) else why)

    def rest(self) -> None:
        """Ends the process until the next file. From the thread that labels, at any time, and twice."""
        self._end()

    def give_up(self) -> None:
        """From any thread: the file that is being read fails now."""
        process = self._process
        if process is not None:
            process.kill()

    def pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._process is None else self._process.pid

    def _ask(self, channel: socket.socket, source: Source, size: int) -> FileLabels:
        deadline = (
            time.monotonic() + 3 * self._settings.cpu_seconds / self._settings.cpu_share + _PIECE_SECONDS
        )
        send(channel, _encoder.encode(Look(size)))
        left = 2 * self._settings.read_bytes_max + 16 * PIECE_BYTES_MAX
        left_s = self._settings.cpu_seconds + _PIECE_SECONDS
        while True:
            said = _from_child.decode(receive(channel, deadline))
            if not isinstance(said, Piece):
                left_s -= said.seconds
                if left_s < 0:
                    raise Ended("claims more time than it may use")
            if isinstance(said, Done):
                self._files += 1
                if self._pause is not None:
                    self._pause(said.seconds)
                return said.labels
            if isinstance(said, Used):
                began = time.monotonic()
                if self._pause is not None:
                    self._pause(said.seconds)
                deadline += time.monotonic() - began
                send(channel, b"")
                continue
            left -= said.length
            if left < 0:
                raise Ended("asks for more than there is to ask for")
            try:
                data = source.read(said.offset, said.length)[: said.length]
            except OSError:
                send(channel, b"\0")
            else:
                send(channel, b"\1" + data)

    def _started(self) -> socket.socket:
        if self._files >= _FILES_A_PROCESS:
            # Whatever its libraries leak goes with it.
            self._end()
        if self._process is not None and self._process.poll() is not None:
            # Killed while it had nothing to do, as the kernel does when memory is short: no file's fault.
            self._end()
        if self._socket is not None:
            return self._socket
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "collectors.labels.child"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={"LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._socket, self._files = ours, 0
        ours.settimeout(_START_SECONDS)
        send(ours, _encoder.encode(self._settings))
        self.held = msgspec.msgpack.decode(receive(ours, time.monotonic() + _START_SECONDS), type=list[str])
        return ours

    def _end(self) -> str:
        """Why the process ended, if it did so by itself."""
        channel, self._socket = self._socket, None
        process, self._process = self._process, None
        if channel is not None:
            channel.close()
        if process is None:
            return "the reading process ended"
        try:
            code = process.wait(0.2)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        return f"the reading process ended ({_ending(code)})"


def _ending(code: int) -> str:
    """PDFium ends itself by abort, or by an instruction that does not exist, where it gets no more memory."""
    causes = {-24: "CPU time", -9: "killed", -6: "abort", **dict.fromkeys((-4, -5, -7, -11), "crash")}
    return causes.get(code, f"code {code}")


def label_file(file: int | Path, labeller: Labeller) -> FileLabels:
    """A descriptor or a path. FIFOs, devices and links are not opened. For those who label now and then."""
    if isinstance(file, int):
        try:
            return labeller.label(OpenFile(file))
        except OSError:
            return failed("not a regular file")
    try:
        if not stat.S_ISREG(os.lstat(file).st_mode):
            return failed("not a regular file")
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return failed("the file could not be opened")
    try:
        return label_file(fd, labeller)
    finally:
        os.close(fd)
