r"""On which UTC days each collector watched this machine: the heartbeat's `days_watched`.

Only on such a day does a collector's silence mean that nothing happened; the record outlives restarts and
weeks without a server. A day counts for a collector when, at a look on that day, it was running: set up,
and asked for observations. Starting, restarting, unsupported or stopped does not count. One look is
enough (there is one every few seconds, so a run of less may go unseen): a laptop is often on for an hour
a day, and while it is off nothing is copied.

File `watched-days` in the state folder: a line `leaver-watched-days 1 CRC`, CRC being the CRC-32 (8 hex
digits) of all that follows; then JSON {"owner": …, "days": {collector: [days since 1970, …]}}.

Invariants:
- It is replaced whole: written beside, synced, renamed, the folder synced. A crash leaves the old or the
  new one.
- Days of a collector rise, are at most 90, and lie from 89 days before the last look's day to that day.
- It is written when a day is added or taken out, so about once a day.
- `owner` is the SHA-256 of installation, agent, spool and machine. A clone, another enrolment or a new
  spool (whose past events may be gone) finds a record that is not its own, and does not claim it.
- What cannot be read, is another's, or was written by a newer agent counts as no record, and is replaced:
  a day that is not known costs a little of the past, a wrong one would be a lie.
- A clock outside of the certificate's time is not believed: under it nothing is added or taken out.
  Else a later day than today can only come from a clock that was wrong, and goes at the next look.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import threading
import time
import zlib
from collections.abc import Collection, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from agent.identity import AgentFacts, Identity
from agent.spool_files import replace_file

DAYS_MAX = 90
DAY_MS = 86_400_000
RETRY_SECONDS = 60.0
_COLLECTORS_MAX = 64
_FILE_BYTES_MAX = 64 * 1024
_FORMAT = 1
_FIRST_LINE = re.compile(rb"leaver-watched-days (\d{1,9}) (?:([0-9a-f]{8})\n)?")
_MACHINE_ID = Path("/etc/machine-id")

_log = logging.getLogger(__name__)


class Found(StrEnum):
    """What the record was, when it was opened."""

    WHOLE = "whole"
    MISSING = "missing"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"
    OF_ANOTHER = "of another agent"
    NEWER = "of a newer version"


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    owner: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    days: Annotated[
        dict[
            Annotated[str, Meta(max_length=64)],
            Annotated[list[Annotated[int, Meta(ge=0, le=10**6)]], Meta(max_length=DAYS_MAX)],
        ],
        Meta(max_length=_COLLECTORS_MAX),
    ]


_decoder = msgspec.json.Decoder(_Record)


def owner_of(identity: Identity, epoch: str, machine_id: Path = _MACHINE_ID) -> str:
    """`epoch`: the spool's."""
    machine = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        machine = machine_id.read_text(encoding="ascii").strip()
    parts = ("leaver-watched-days", identity.ca_pem.strip(), identity.facts.agent, epoch, machine)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class WatchedDays:
    """Thread-safe. A disk that fails costs nothing but the record: it is tried again."""

    def __init__(self, state_dir: Path, owner: str, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._path, self._owner, self._retry_seconds = state_dir / "watched-days", owner, retry_seconds
        self._lock = threading.Lock()
        self._days: dict[str, list[int]] = {}
        self._unsaved = self._told = False
        self._not_before = 0.0
        self.found, record = _read(self._path, owner)
        if record is not None:
            self._days = {name: sorted(set(days)) for name, days in record.days.items()}
        elif self.found is not Found.MISSING:
            _log.warning("watched days begin anew", extra={"facts": {"record": self.found.value}})

    def look(self, running: Collection[str], facts: AgentFacts, *, now: int) -> None:
        """`running`: the collectors that are, `now`: ms UTC by the agent's clock. Never raises OSError."""
        if not facts.not_before <= now <= facts.not_after:
            return
        today = now // DAY_MS
        with self._lock:
            after = _kept(self._days, running, today)
            if after != self._days:
                self._days, self._unsaved, self._not_before = after, True, 0.0
            if self._unsaved and time.monotonic() >= self._not_before:
                self._save()

    @property
    def unsaved(self) -> bool:
        """Whether the record on disk is behind."""
        with self._lock:
            return self._unsaved

    def of(self, collector: str) -> tuple[int, ...]:
        with self._lock:
            return tuple(self._days.get(collector, ()))

    def _save(self) -> None:
        try:
            _write(self._path, _Record(self._owner, self._days))
        except OSError:
            self._not_before = time.monotonic() + self._retry_seconds
            if not self._told:
                self._told = True
                _log.warning("watched days cannot be saved", exc_info=True)
            return
        self._unsaved = self._told = False


def _kept(days: dict[str, list[int]], running: Iterable[str], today: int) -> dict[str, list[int]]:
    """With today for those that run, without what is too old or has not come yet."""
    watched = {name: set(found) for name, found in days.items()}
    for name in running:
        if name in watched or len(watched) < _COLLECTORS_MAX:
            watched.setdefault(name, set()).add(today)
    window = range(today - DAYS_MAX + 1, today + 1)
    kept = {name: sorted(day for day in found if day in window) for name, found in watched.items()}
    return {name: found for name, found in kept.items() if found}


def _read(path: Path, owner: str) -> tuple[Found, _Record | None]:
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return Found.MISSING, None
    except OSError:
        return Found.UNREADABLE, None
    return _decode(data, owner)


def _decode(data: bytes, owner: str) -> tuple[Found, _Record | None]:
    first = _FIRST_LINE.match(data)
    if first is None:
        return Found.DAMAGED, None
    if int(first[1]) > _FORMAT:
        return Found.NEWER, None
    body = data[first.end() :]
    if first[2] is None or int(first[2], 16) != zlib.crc32(body):
        return Found.DAMAGED, None
    try:
        record = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Found.DAMAGED, None
    return (Found.WHOLE, record) if record.owner == owner else (Found.OF_ANOTHER, None)


def _write(path: Path, record: _Record) -> None:
    body = msgspec.json.encode(record)
    replace_file(path, b"leaver-watched-days %d %08x\n" % (_FORMAT, zlib.crc32(body)) + body)
