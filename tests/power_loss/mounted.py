"""The file system of durable_files.py, mounted through FUSE, as a program: MOUNT-POINT CONTROL-SOCKET.

It is a process of its own, so that whoever uses the mount never waits for itself. On the socket it takes
one JSON object a line and answers with one: {"cut": PATH, "seed": N} writes out what a power cut at this
moment leaves, and everything goes on; {"fail": GLOB, "times": N} makes the next N syncs of files or folders
with such a path fail with EIO; {"failed": true} asks how many did.
"""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import socketserver
import stat
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from mfusepy import FUSE, Operations  # type: ignore[import-untyped]

from tests.power_loss.durable_files import File, Folder, Link, Node, Truncate, Write, write_out

BLOCK = 4096


class Disk(Operations):  # type: ignore[misc]
    """One lock: a cut sees every operation whole or not at all."""

    use_ns = True

    def __init__(self) -> None:
        self.whole = threading.Lock()
        self.root = Folder(stat.S_IFDIR | 0o755)
        self._opened: dict[int, File] = {}
        self._next = 1
        self._failing: list[str] = []
        self.failed = 0

    def fail_syncs(self, pattern: str, times: int) -> None:
        self._failing = [pattern] * times

    def _node(self, path: str) -> Node:
        node: Node = self.root
        for part in filter(None, path.split("/")):
            if not isinstance(node, Folder):
                raise OSError(errno.ENOTDIR, path)
            if part not in node.now:
                raise OSError(errno.ENOENT, path)
            node = node.now[part]
        return node

    def _folder(self, path: str) -> tuple[Folder, str]:
        above, _, name = path.rpartition("/")
        folder = self._node(above)
        if not isinstance(folder, Folder):
            raise OSError(errno.ENOTDIR, path)
        return folder, name

    def _file(self, path: str | None, handle: int | None) -> File:
        if handle:
            return self._opened[handle]
        node = self._node(path or "")
        if not isinstance(node, File):
            raise OSError(errno.EISDIR, path)
        return node

    def _open(self, file: File) -> int:
        handle, self._next = self._next, self._next + 1
        self._opened[handle] = file
        return handle

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        with self.whole:
            node: Node = self._opened[fh] if fh else self._node(path)
            if isinstance(node, Link):
                return {"st_mode": stat.S_IFLNK | 0o777, "st_nlink": 1, "st_size": len(node.target)}
            size = len(node.now) if isinstance(node, File) else BLOCK
            return {"st_mode": node.mode, "st_nlink": 1, "st_size": size, "st_blocks": -(-size // 512)}

    def readdir(self, path: str, fh: int) -> Iterable[str]:
        with self.whole:
            node = self._node(path)
            assert isinstance(node, Folder)
            return [".", "..", *node.now]

    def readlink(self, path: str) -> str:
        with self.whole:
            node = self._node(path)
            assert isinstance(node, Link)
            return node.target

    def mkdir(self, path: str, mode: int) -> int:
        with self.whole:
            folder, name = self._folder(path)
            folder.change({name: Folder(stat.S_IFDIR | mode)})
        return 0

    def symlink(self, target: str, source: str) -> int:
        with self.whole:
            folder, name = self._folder(target)
            folder.change({name: Link(source)})
        return 0

    def unlink(self, path: str) -> int:
        with self.whole:
            folder, name = self._folder(path)
            folder.change({name: None})
        return 0

    def rmdir(self, path: str) -> int:
        with self.whole:
            folder, name = self._folder(path)
            node = folder.now[name]
            if isinstance(node, Folder) and node.now:
                raise OSError(errno.ENOTEMPTY, path)
            folder.change({name: None})
        return 0

    def rename(self, old: str, new: str) -> int:
        with self.whole:
            source, before = self._folder(old)
            target, after = self._folder(new)
            if source is not target:
                raise OSError(errno.EXDEV, new)
            source.change({before: None, after: source.now[before]})
        return 0

    def create(self, path: str, mode: int, fi: object = None) -> int:
        with self.whole:
            folder, name = self._folder(path)
            made = File(stat.S_IFREG | stat.S_IMODE(mode))
            folder.change({name: made})
            return self._open(made)

    def open(self, path: str, flags: int) -> int:
        with self.whole:
            return self._open(self._file(path, None))

    def release(self, path: str, fh: int) -> int:
        with self.whole:
            self._opened.pop(fh, None)
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        with self.whole:
            return bytes(self._file(path, fh).now[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        with self.whole:
            self._file(path, fh).change(Write(offset, bytes(data)))
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        with self.whole:
            self._file(path, fh).change(Truncate(length))
        return 0

    def chmod(self, path: str, mode: int) -> int:
        with self.whole:
            node = self._node(path)
            if not isinstance(node, Link):
                node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        with self.whole:
            self._sync(path, self._file(path, fh))
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        with self.whole:
            node = self._node(path)
            assert isinstance(node, Folder)
            self._sync(path, node)
        return 0

    def _sync(self, path: str | None, node: File | Folder) -> None:
        if self._failing and fnmatch.fnmatch(path or "", self._failing[-1]):
            self._failing.pop()
            self.failed += 1
            node.forget()
            raise OSError(errno.EIO, path)
        node.sync()

    def statfs(self, path: str) -> dict[str, int]:
        blocks = 1 << 22
        return {
            "f_bsize": BLOCK,
            "f_frsize": BLOCK,
            "f_blocks": blocks,
            "f_bfree": blocks,
            "f_bavail": blocks,
        }


def _answer(disk: Disk, asked: dict[str, Any]) -> dict[str, Any]:
    with disk.whole:
        if "cut" in asked:
            write_out(disk.root, Path(asked["cut"]), Random(asked["seed"]))
        elif "fail" in asked:
            disk.fail_syncs(asked["fail"], asked["times"])
        return {"failed": disk.failed}


def main() -> None:
    disk = Disk()

    class Control(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(json.dumps(_answer(disk, json.loads(line))).encode() + b"\n")

    server = socketserver.ThreadingUnixStreamServer(sys.argv[2], Control)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.umask(0)
    FUSE(disk, sys.argv[1], foreground=True, nothreads=True, hard_remove=True, fsname="power-loss")


if __name__ == "__main__":
    main()
