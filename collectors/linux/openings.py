"""What is opened in people's folders, by the best step that this host allows: permission, open, polling.

Only permission events put an opening before everything that follows from it; open events are told when
somebody comes to read them, which on a busy machine may be after the program has sent the file and ended.
Polling sees what stays open.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from collectors.contract import Unsupported
from collectors.linux import opened_files
from collectors.linux.marked_folders import MarkedFolders
from collectors.linux.opened_files import OpenedFile, OpenedFiles, Step
from collectors.uploads_config import AskedStep

if TYPE_CHECKING:
    from collectors.linux.open_file_poll import OpenFilePoll

LATE_MS: Final[Mapping[str, int]] = {"permission": 0, "open": 1_000, "polling": 3_000}
"""By how much an opening may be told too late."""
MOST_ENDS: Final = 3
"""A reader that ended so often within ENDS_WITHIN_S (the kernel had to kill it) goes on without holding
anybody up."""
ENDS_WITHIN_S: Final = 3600.0

_STEPS: Final[Mapping[AskedStep, tuple[Step, ...]]] = {
    "best": ("permission", "open"),
    "permission": ("permission", "open"),
    "open": ("open",),
    "polling": (),
}
_WORDS: Final = {"permission": "fanotify asks before each", "open": "fanotify tells"}
_FIRST_RESTART_S: Final = 0.5
_LONGEST_RESTART_S: Final = 300.0


def check(step: AskedStep) -> None:
    """Raises Unsupported where not even the last resort of this setting is to be had."""
    if _STEPS[step]:
        opened_files.check(_STEPS[step][-1])


class Openings:
    """Starts at construction. Not for several threads."""

    def __init__(self, step: AskedStep, folders: Sequence[str], most_folders: int, first_user: int) -> None:
        self._roots = tuple(folders)
        self._most = most_folders
        self.reasons: dict[str, str] = {}
        """Why a better step is not in use, in words."""
        self._dropped: Counter[str] = Counter()
        self._reader: OpenedFiles | None = None
        self._folders: MarkedFolders | None = None
        self._poll: OpenFilePoll | None = None
        self._ends: deque[float] = deque(maxlen=MOST_ENDS)
        self._restart_at = 0.0
        self._restart_s = _FIRST_RESTART_S
        for wanted in _STEPS[step]:
            try:
                self._reader = OpenedFiles(wanted)
            except Unsupported as reason:
                self.reasons[f"openings by {wanted} events"] = str(reason)
            else:
                self._mark_folders(self._reader)
                return
        from collectors.linux.open_file_poll import OpenFilePoll  # noqa: PLC0415 - psutil, for the last step only

        self._poll = OpenFilePoll(self._roots, first_user)

    @property
    def step(self) -> Literal["permission", "open", "polling"]:
        """What is in use."""
        return "polling" if self._reader is None else self._reader.step

    @property
    def is_walking(self) -> bool:
        """Whether folders are still to be marked."""
        return self._folders is not None and not self._folders.is_complete

    @property
    def reader_pid(self) -> int:
        """The process that reads fanotify; 0 where there is none."""
        return 0 if self._reader is None else self._reader.pid

    def fileno(self) -> int:
        """The descriptor that tells of openings; -1 where there is none."""
        return -1 if self._reader is None else self._reader.fileno()

    def descriptors(self) -> list[int]:
        """What to poll: that one, and the one that tells of new folders, which are to be marked at once."""
        found = [each.fileno() for each in (self._reader, self._folders) if each is not None]
        return [fd for fd in found if fd >= 0]

    def read(self) -> list[OpenedFile]:
        """What was opened since the last call."""
        if self._reader is not None:
            return self._reader.read()
        return [] if self._poll is None else self._poll.read()

    def look_after(self) -> None:
        """Marks more folders, and starts a reader that ended."""
        reader, folders = self._reader, self._folders
        if reader is None or folders is None:
            return
        if reader.fileno() < 0:
            now = time.monotonic()
            if now < self._restart_at:
                return
            is_rare = not self._ends or now - self._ends[-1] > ENDS_WITHIN_S
            self._restart_s = _FIRST_RESTART_S if is_rare else min(_LONGEST_RESTART_S, 2 * self._restart_s)
            self._restart_at = now + self._restart_s
            self._ends.append(now)
            if (
                reader.step == "permission"
                and len(self._ends) == MOST_ENDS
                and now - self._ends[0] < ENDS_WITHIN_S
            ):
                reader.step = "open"
                self.reasons["openings by permission events"] = "given up: their reader ended too often"
            try:
                reader.start()
            except Unsupported as reason:
                self.reasons["openings"] = str(reason)
                return
            self.reasons.pop("openings", None)
            self._mark_folders(reader)
        elif self._folders is not None:
            folders.turn()

    def describe(self) -> str:
        """What is in use, in words."""
        reader, folders = self._reader, self._folders
        if reader is None or folders is None:
            return "openings: polling, so uploads are possible at best"
        parts = [f"openings: {_WORDS[reader.step]}, in {len(folders):,} folders"]
        if reader.fileno() < 0:
            parts.append("its reader is down")
        parts += reader.weaknesses()
        if not folders.is_complete:
            parts.append("still looking for more")
        if folders.unsafe:
            parts.append("not on " + ", ".join(sorted(folders.unsafe)))
        return ", ".join(parts)

    def dropped(self) -> dict[str, int]:
        """What was missed, by reason."""
        total = Counter(self._dropped)
        for source in (self._reader, self._folders, self._poll):
            if source is not None:
                total.update(source.dropped())
        return dict(total)

    def close(self) -> None:
        """May be called twice."""
        for source in (self._folders, self._reader):
            if source is not None:
                source.close()

    def _mark_folders(self, reader: OpenedFiles) -> None:
        if self._folders is not None:
            self._dropped.update(self._folders.dropped())
            self._folders.close()
        self._folders = MarkedFolders(
            self._roots, reader.mark, most=self._most, only_safe=reader.step == "permission"
        )
