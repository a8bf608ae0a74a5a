"""From where the removable-storage collector resumes after it was killed.

Format: JSON, a few hundred bytes; while many files are copied 4,000 at most, as agent/spool_segment.py takes
4,096:

    {"v": 1, "boot": "…", "at": ms, "places": ["3f2a…", …], "devices": ["uid", …], "done": ["1a2b3c4d", …],
     "open": ["5e6f…", …]}

- at: every act before it is an event already, or a file in `open`. Files that changed since are looked for
  when resuming.
- places: what was watched then. Only where the same device stayed in (see linux/stay) was everything
  since done on this machine; a drive that was away is not looked through.
- devices: uids of the devices that were in, so that one that stays is not reported again.
- done: files that changed after `at` and are events already, at most 192, the newest; beyond that a
  file can be reported twice after a crash, never lost.
- open: new files, at most 64, that are no events yet, and that somebody is still writing, or closed long
  after writing them, or moved in: their times do not hold `at` back. Of more than 64 such files that an agent
  is killed with, the others are lost.
"""

from __future__ import annotations

import contextlib
import hashlib
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from collectors.file_changes import FileFacts
from collectors.finished_files import Unreported
from collectors.linux.stay import stay_id
from collectors.storage_places import Place

MOST_DONE: Final = 192
_MOST_OPEN: Final = 64
_MOST_LISTED: Final = 32
_MOST_BYTES: Final = 4_000
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Cursor(msgspec.Struct, frozen=True):
    """See the module."""

    v: int
    boot: str
    at: int
    places: tuple[str, ...]
    devices: tuple[str, ...]
    done: tuple[str, ...]
    open: tuple[str, ...]

    def was_watching(self, place: Place) -> bool:
        """Whether this very mount or folder was watched when the cursor was made."""
        now = place_id(place)
        return self.boot == boot_id() and now != "" and now in self.places


def read_cursor(text: str | None) -> Cursor | None:
    """The cursor; None where there is none, or none that this version understands."""
    if text is None:
        return None
    with contextlib.suppress(msgspec.DecodeError):
        cursor = msgspec.json.decode(text, type=Cursor)
        if cursor.v == 1:
            return cursor
    return None


def write_cursor(
    at: int, places: list[str], devices: list[str], done: list[str], unreported: list[Unreported]
) -> str:
    """The cursor as text; where it would be too long, with fewer of `done`, and then of the others.
    `unreported`: the last ones count, those first that time does not find again."""
    still_open = [path for _, path in sorted(unreported, key=lambda each: not each[0])]
    cursor = Cursor(
        v=1,
        boot=boot_id(),
        at=at,
        places=tuple(places[:_MOST_LISTED]),
        devices=tuple(devices[:_MOST_LISTED]),
        done=tuple(done[-MOST_DONE:]),
        open=tuple(map(path_id, still_open[-_MOST_OPEN:])),
    )
    text = msgspec.json.encode(cursor)
    while len(text) > _MOST_BYTES:
        if cursor.done:
            cursor = msgspec.structs.replace(cursor, done=cursor.done[len(cursor.done) // 2 + 1 :])
        else:
            cursor = msgspec.structs.replace(cursor, devices=cursor.devices[: len(cursor.devices) // 2])
        text = msgspec.json.encode(cursor)
    return text.decode()


def file_id(path: str, facts: FileFacts) -> str:
    """Tells this file with this content from others, shortly."""
    return _short(f"{path}\0{facts.content_id}")


def path_id(path: str) -> str:
    """Tells this name from others, shortly."""
    return _short(path)


def place_id(place: Place) -> str:
    """The same as long as the place's device stays in; empty where nothing tells whether it did."""
    stay = stay_id(place.target, place.device) if place.is_mount else "folder"
    return "" if stay is None else _short(f"{stay}\0{place.target}")


@cache
def boot_id() -> str:
    """Changes with each boot of the machine."""
    with contextlib.suppress(OSError):
        return _BOOT_ID.read_text().strip()[:8]
    return ""


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
