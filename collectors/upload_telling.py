"""Uploads on their way to an event: each waits for the name of its destination, and for its file to be read.

What went to the company's own places is dropped here, once that is known.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

import msgspec

from collectors.destinations import Destinations, Place
from collectors.linux.user_names import UserNames
from collectors.sent_files import SentFile, SentFiles
from collectors.steady_clock import SteadyClock
from collectors.upload_events import ObservedBy, upload_event
from collectors.upload_facts import Read, Upload
from event_schema.ocsf_events import Event
from event_schema.ocsf_objects import Host

_LOOK_S: Final = 0.2
_NAME_WAIT_MS: Final = 3_000
"""No event waits longer for the name of its destination."""
_MOST_WAITING: Final = 20_000


class _Waiting(msgspec.Struct, eq=False):
    """Waits for the name of its destination until it has a place, then for its file."""

    since_ms: int
    upload: Upload
    observed_by: ObservedBy
    sent: SentFile | None
    place: Place | None = None


class UploadTelling:
    """`destinations`, `names` and `sent_files` are the caller's. Not for several threads."""

    def __init__(
        self,
        source: tuple[str, str, Host],
        folders: tuple[str, ...],
        clock: SteadyClock,
        destinations: Destinations,
        names: UserNames,
        sent_files: SentFiles,
    ) -> None:
        """`source`: collector, version, endpoint. `folders`: where files may be read."""
        self._source = source
        self._folders = folders
        self._clock = clock
        self._destinations = destinations
        self._names = names
        self._sent_files = sent_files
        self._waiting: deque[_Waiting] = deque()
        self._reading: deque[_Waiting] = deque()
        self._look_at = 0.0
        self._dropped: Counter[str] = Counter()

    def add(self, upload: Upload, observed_by: ObservedBy) -> None:
        """An upload that is to be told."""
        if len(self._waiting) + len(self._reading) >= _MOST_WAITING:
            self._dropped["uploads_over_the_limit"] += 1
            return
        each = _Waiting(self._clock.now_ms(), upload, observed_by, None)
        self._destinations.prepare(upload.address, upload.hosts)
        if self._destinations.place(upload.address, upload.hosts).is_trusted:
            return
        # Read before the destination has its name: each moment more, and the file may be gone.
        each.sent = self._begin(upload.read)
        self._waiting.append(each)

    def ready(self, *, at_end: bool = False) -> list[Event]:
        """Those that need not wait any longer. `at_end`: all, as far as they are."""
        now_ms = self._clock.now_ms()
        while self._waiting:
            each = self._waiting[0]
            if self._destinations.is_asking and now_ms - each.since_ms < _NAME_WAIT_MS and not at_end:
                break
            self._waiting.popleft()
            each.place = self._destinations.place(each.upload.address, each.upload.hosts)
            if not each.place.is_trusted:
                self._reading.append(each)
            elif each.sent is not None:
                self._sent_files.cancel(each.sent)
        self._sent_files.turn()
        if time.monotonic() < self._look_at and not at_end:
            return []
        self._look_at = time.monotonic() + _LOOK_S
        ready, reading = list[Event](), deque[_Waiting]()
        for each in self._reading:
            if each.sent is None or self._sent_files.is_ready(each.sent, at_end=at_end):
                ready += self._event(each)
            else:
                reading.append(each)
        self._reading = reading
        return ready

    def dropped(self) -> Mapping[str, int]:
        """What could not be kept, by reason."""
        return self._dropped

    def _begin(self, read: Read | None) -> SentFile | None:
        if read is None:
            return None
        return self._sent_files.begin_below(self._folders, read.path, read.key, read.size, read.modified_ns)

    def _event(self, waiting: _Waiting) -> list[Event]:
        upload, place = waiting.upload, waiting.place
        if place is None:
            return []
        uid = upload.read.uid if upload.read is not None else None
        if uid is None and upload.party is not None:
            uid = upload.party.uid
        return [
            upload_event(
                self._source,
                upload,
                place,
                self._names.name(uid),
                waiting.observed_by,
                max(0, self._clock.wall_ms(upload.at_ms)),
                waiting.sent,
            )
        ]
