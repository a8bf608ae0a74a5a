"""Files and folders with two truths: what programs see now, and what is safe on the disk. Pure.

- A write, a truncation or a change of a folder waits until that file or that folder is synced. Syncing a
  file saves its bytes and its length, not its name; names are saved by syncing their folder.
- `after_cut` is one disk that a power cut may leave: what was synced, and of what waits any part. Each
  sector of a file holds what it held at some time since the last sync, and its length is that of some such
  time; of a folder's waiting changes, one after the other or one without the other may be there.
- A sync that fails says so once, and forgets: as on Linux the program still sees its bytes, but the next
  sync does not save them unless they are written again.

A rename within a folder is one change. Nothing here is ever saved by itself: real disks save more.
"""

from __future__ import annotations

import stat
from pathlib import Path
from random import Random
from typing import Literal

import msgspec

SECTOR = 512
Entries = dict[str, "Node"]


class Write(msgspec.Struct, frozen=True):
    at: int
    data: bytes


class Truncate(msgspec.Struct, frozen=True):
    size: int


Change = Write | Truncate


class File(msgspec.Struct, eq=False):
    mode: int
    now: bytearray = msgspec.field(default_factory=bytearray)
    safe: bytearray = msgspec.field(default_factory=bytearray)
    waiting: list[Change] = []

    def change(self, change: Change) -> None:
        _apply(self.now, change)
        self.waiting.append(change)

    def sync(self) -> None:
        for change in self.waiting:
            _apply(self.safe, change)
        self.waiting.clear()

    def forget(self) -> None:
        """A sync failed."""
        self.waiting.clear()

    def after_cut(self, dice: Random) -> bytes:
        states = len(self.waiting)
        kind = dice.choice(("none", "all", "first ones", "any sectors", "any sectors"))
        if kind == "none" or not states:
            return bytes(self.safe)
        if kind != "any sectors":
            done = states if kind == "all" else dice.randint(0, states)
            left = bytearray(self.safe)
            for number, change in enumerate(self.waiting[:done], start=1):
                torn = kind == "first ones" and number == done and isinstance(change, Write)
                _apply(left, _torn(change, dice) if torn else change)
            return bytes(left)
        return self._any_sectors(dice)

    def _any_sectors(self, dice: Random) -> bytes:
        length = bytearray(self.safe)
        for change in self.waiting[: dice.randint(0, len(self.waiting))]:
            _apply(length, change)
        left = bytearray(len(length))
        chance = dice.random()
        for start in range(0, len(left), SECTOR):
            end = min(start + SECTOR, len(left))
            sector = bytearray(self.safe[start:end].ljust(end - start, b"\0"))
            touching = [change for change in self.waiting if _touches(change, start, end)]
            done = len(touching) if dice.random() < chance else dice.randint(0, len(touching))
            for change in touching[:done]:
                _apply_within(sector, change, start)
            left[start:end] = sector
        return bytes(left)


class Link(msgspec.Struct, eq=False, frozen=True):
    """A symbolic link: written once, so whole or not there."""

    target: str


class Folder(msgspec.Struct, eq=False):
    """`waiting`: what each change puts under which names; None takes the name away."""

    mode: int
    now: Entries = {}
    safe: Entries = {}
    waiting: list[dict[str, Node | None]] = []

    def change(self, entries: dict[str, Node | None]) -> None:
        _put(self.now, entries)
        self.waiting.append(entries)

    def sync(self) -> None:
        for entries in self.waiting:
            _put(self.safe, entries)
        self.waiting.clear()

    def forget(self) -> None:
        """A sync failed."""
        self.waiting.clear()

    def after_cut(self, dice: Random) -> Entries:
        left = dict(self.safe)
        kind: Literal["first ones", "any"] = "any" if dice.random() < 0.4 else "first ones"
        done = dice.randint(0, len(self.waiting))
        for number, entries in enumerate(self.waiting):
            if number < done if kind == "first ones" else dice.random() < 0.5:
                _put(left, entries)
        return left


Node = File | Folder | Link


def write_out(folder: Folder, target: Path, dice: Random) -> None:
    """Makes what a power cut leaves of `folder` as the real folder `target`."""
    target.mkdir(mode=stat.S_IMODE(folder.mode))
    for name, node in folder.after_cut(dice).items():
        path = target / name
        if isinstance(node, Folder):
            write_out(node, path, dice)
        elif isinstance(node, Link):
            path.symlink_to(node.target)
        else:
            path.write_bytes(node.after_cut(dice))
            path.chmod(stat.S_IMODE(node.mode))


def _apply(data: bytearray, change: Change) -> None:
    if isinstance(change, Truncate):
        del data[change.size :]
        data.extend(bytes(change.size - len(data)))
        return
    end = change.at + len(change.data)
    data.extend(bytes(max(0, end - len(data))))
    data[change.at : end] = change.data


def _touches(change: Change, start: int, end: int) -> bool:
    if isinstance(change, Truncate):
        return change.size < end
    return change.at < end and change.at + len(change.data) > start


def _apply_within(sector: bytearray, change: Change, start: int) -> None:
    """What the change does to the sector that begins at `start`."""
    if isinstance(change, Truncate):
        cut = max(0, change.size - start)
        sector[cut:] = bytes(len(sector) - cut)
        return
    first = max(start, change.at)
    last = min(start + len(sector), change.at + len(change.data))
    sector[first - start : last - start] = change.data[first - change.at : last - change.at]


def _torn(change: Change, dice: Random) -> Change:
    assert isinstance(change, Write)
    edge = SECTOR - change.at % SECTOR
    cuts = range(edge, len(change.data) + 1, SECTOR)
    return Write(change.at, change.data[: dice.choice(cuts) if cuts else 0])


def _put(entries: Entries, changes: dict[str, Node | None]) -> None:
    for name, node in changes.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node
