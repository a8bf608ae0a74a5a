"""Thirteen ways in which files get onto a mounted drive, each with the acts that must be reported for it.

Run as a program it takes another user's identity first, does one of them, and prints what it did as JSON:
a list of [activity, path] (and the new path of a rename). Used by copy_completeness and by the tests.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

Acts = list[tuple[str, ...]]


class Size:
    """How much each workload does. `files` are spread over `files // 100` folders, at least two."""

    def __init__(self, files: int, big_bytes: int) -> None:
        self.files = files
        self.folders = max(2, files // 100)
        self.some = max(20, files // 5)
        self.few = max(10, files // 10)
        self.big_bytes = big_bytes


def make_source(source: Path, size: Size) -> None:
    """The files to copy: one big one, a tree of small ones, and the same tree as a tar file."""
    source.mkdir(parents=True, exist_ok=True)
    with open(source / "big.bin", "wb") as big:
        for _ in range(max(1, size.big_bytes >> 20)):
            big.write(os.urandom(1 << 20))
    per_folder = size.files // size.folders
    for folder in range(size.folders):
        (source / "small" / f"d{folder:03d}" / "sub").mkdir(parents=True)
        for file in range(per_folder):
            path = f"d{folder:03d}/{'sub/' if file % 2 else ''}f{file:03d}.txt"
            (source / "small" / path).write_bytes(os.urandom(1024) * 2)
    subprocess.run(["tar", "-C", source, "-cf", source / "small.tar", "small"], check=True)


def _created_below(folder: Path) -> Acts:
    return [("create", f"{at}/{name}") for at, _, names in os.walk(folder) for name in names]


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


def bigcp(root: Path, source: Path, size: Size) -> Acts:
    """One big file."""
    _run("cp", source / "big.bin", root / "big.bin")
    return [("create", str(root / "big.bin"))]


def cpr(root: Path, source: Path, size: Size) -> Acts:
    """A tree of small files."""
    _run("cp", "-r", source / "small", root / "cpr")
    return _created_below(root / "cpr")


def rsync(root: Path, source: Path, size: Size) -> Acts:
    """The same by rsync, which writes under temporary names."""
    _run("rsync", "-a", f"{source}/small/", f"{root}/rs/")
    return _created_below(root / "rs")


def tar(root: Path, source: Path, size: Size) -> Acts:
    """The same out of an archive."""
    (root / "tar").mkdir()
    _run("tar", "-xf", source / "small.tar", "-C", root / "tar")
    return _created_below(root / "tar")


def mvin(root: Path, source: Path, size: Size) -> Acts:
    """A tree moved in from another file system."""
    own = Path(f"/tmp/mvin-{os.getpid()}")
    shutil.copytree(source / "small" / "d000", own)
    _run("mv", own, root / "mvin")
    return _created_below(root / "mvin")


def mvdir(root: Path, source: Path, size: Size) -> Acts:
    """A folder renamed on the drive, then files in it."""
    (root / "before" / "d001").rename(root / "renamed")
    acts: Acts = [("rename", str(root / "before" / "d001"), str(root / "renamed"))]
    for number, path in enumerate(sorted((root / "renamed").glob("*.txt"))):
        new = path.with_name(f"g{number:03d}.txt")
        path.rename(new)
        acts.append(("rename", str(path), str(new)))
    return acts


def wren(root: Path, source: Path, size: Size) -> Acts:
    """Written under a temporary name and renamed at once, as office programs save."""
    (root / "wren").mkdir()
    for number in range(size.some):
        temporary = root / "wren" / f".tmp{number}"
        temporary.write_bytes(b"x" * 3000)
        temporary.rename(root / "wren" / f"doc{number}.docx")
    return _created_below(root / "wren")


def wdel(root: Path, source: Path, size: Size) -> Acts:
    """Written and deleted at once."""
    (root / "wdel").mkdir()
    acts: Acts = []
    for number in range(size.some):
        path = root / "wdel" / f"s{number}.txt"
        path.write_bytes(b"x" * 3000)
        path.unlink()
        acts.append(("create", str(path)))
    return acts


def deep(root: Path, source: Path, size: Size) -> Acts:
    """Chains of twenty folders made at once, a file in each."""
    acts: Acts = []
    for chain in range(size.few // 5):
        folder = root / f"deep{chain}" / Path(*(f"l{level}" for level in range(20)))
        folder.mkdir(parents=True)
        for _ in range(20):
            (folder / "f.txt").write_bytes(b"y" * 500)
            acts.append(("create", str(folder / "f.txt")))
            folder = folder.parent
    return acts


def deepdel(root: Path, source: Path, size: Size) -> Acts:
    """Trees made and deleted at once."""
    acts: Acts = []
    for tree in range(size.few // 5):
        folder = root / f"dd{tree}" / "a" / "b" / "c"
        folder.mkdir(parents=True)
        (folder / "f.txt").write_bytes(b"y" * 500)
        acts.append(("create", str(folder / "f.txt")))
        # A FUSE drive may refuse to delete a folder while a watcher has its last file open.
        shutil.rmtree(root / f"dd{tree}", ignore_errors=True)
    return acts


def link(root: Path, source: Path, size: Size) -> Acts:
    """Hard links to one file."""
    (root / "link").mkdir()
    (root / "link" / "orig").write_bytes(b"z" * 1000)
    for number in range(size.few):
        os.link(root / "link" / "orig", root / "link" / f"h{number}")
    return _created_below(root / "link")


def proc1(root: Path, source: Path, size: Size) -> Acts:
    """One short-lived process for each file."""
    (root / "proc1").mkdir()
    for number in range(size.few):
        _run("cp", source / "small" / "d000" / "f000.txt", root / "proc1" / f"c{number}.txt")
    return _created_below(root / "proc1")


def mapped(root: Path, source: Path, size: Size) -> Acts:
    """Written through memory only, after the descriptor was closed."""
    (root / "mm").mkdir()
    for number in range(max(10, size.few // 10)):
        fd = os.open(root / "mm" / f"m{number}", os.O_RDWR | os.O_CREAT, 0o644)
        os.ftruncate(fd, 8192)
        memory = mmap.mmap(fd, 8192)
        os.close(fd)
        memory[:8192] = b"q" * 8192
        memory.close()
    return _created_below(root / "mm")


WORKLOADS: Final[dict[str, Callable[[Path, Path, Size], Acts]]] = {
    "bigcp": bigcp,
    "cpr": cpr,
    "rsync": rsync,
    "tar": tar,
    "mvin": mvin,
    "mvdir": mvdir,
    "wren": wren,
    "wdel": wdel,
    "deep": deep,
    "deepdel": deepdel,
    "link": link,
    "proc1": proc1,
    "mmap": mapped,
}
"""By name, in the order in which they can run on one drive."""


def prepare(name: str, root: Path, source: Path, uid: int | None) -> None:
    """What must lie on the drive before the workload, and before anybody watches."""
    if name == "mvdir":
        shutil.copytree(source / "small", root / "before")
        if uid is not None:
            _run("chown", "-R", str(uid), root / "before")


def run_as(name: str, root: Path, source: Path, size: Size, uid: int | None) -> Acts:
    """Does one workload in a process of its own, as this user; what must be reported for it."""
    arguments = [name, root, source, size.files, size.big_bytes, -1 if uid is None else uid]
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)], check=True, stdout=subprocess.PIPE, cwd="/"
    )
    acts: Acts = [tuple(act) for act in json.loads(done.stdout)]
    return acts


def main() -> None:
    """The program: see the module."""
    name, root, source, files, big_bytes, uid = sys.argv[1:]
    if int(uid) >= 0:
        os.setgroups([])
        os.setgid(int(uid))
        os.setuid(int(uid))
    acts = WORKLOADS[name](Path(root), Path(source), Size(int(files), int(big_bytes)))
    json.dump(acts, sys.stdout)


if __name__ == "__main__":
    main()
