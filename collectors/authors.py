"""Who is behind an act: asked while the act is fresh, and once more when its event is made.

/proc knows a process only while it lives, so the first question must come at once; the kernel's audit
record comes some milliseconds after the act, so the last question finds more. The better source wins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from collectors.file_changes import Change, FileFacts
from collectors.finished_files import FinishedFile, better_who
from collectors.linux.process_identity import Who
from collectors.linux.user_names import UserNames
from collectors.linux.who import WhoSource
from collectors.steady_clock import SteadyClock

_KEPT_MS: Final = 1_000
_MOST_KEPT: Final = 4_096
RECORD_WAIT_S: Final = 0.2
"""How long to wait for a record that is due, when the event is made. It is hundreds of milliseconds old
then, so this is for machines that lag behind."""
_NO_WAIT_MS: Final = 10_000
"""After a record that did not come, no other one is waited for so long: events must not queue up."""


class Authors:
    """Starts to listen at construction. Use from one thread."""

    def __init__(self, clock: SteadyClock) -> None:
        self._clock = clock
        self._names = UserNames()
        self._source = WhoSource(names=self._names)
        self._kept: dict[int, tuple[int, Who]] = {}
        self._no_wait_until_ms = 0
        self._source.start()

    def watch(self, target: str) -> None:
        """Has the kernel record who writes below this folder, where it can."""
        self._source.watch(target)

    def unwatch(self, target: str) -> None:
        """Ends that; also after an unmount."""
        self._source.unwatch(target)

    def fresh(self, change: Change, look: Callable[[str], FileFacts | None]) -> Who:
        """While the act is fresh. One process's many acts within a second are asked for once."""
        pid, at_ms, facts = change.pid, change.at_ms, change.facts
        path = change.new_path or change.path
        kept = self._kept.get(pid) if pid else None
        if kept is not None and at_ms - kept[0] < _KEPT_MS:
            return kept[1]
        inode = None if facts is None else (facts.device, facts.inode)
        who = self._source.lookup(pid, path, inode, self._clock.wall_ms(at_ms))
        if who.source == "unknown":
            return self._owner(facts or look(path), pid)
        if pid:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[pid] = (at_ms, who)
        return who

    def final(self, finished: FinishedFile) -> Who:
        """The best that is known when the event is made."""
        facts, who = finished.facts, finished.who
        if finished.from_rescan and finished.pid == 0:
            # Written while nothing of ours watched: a record of this name or inode would be another act's.
            return self._owner(facts)
        if who is None or who.source != "audit":
            inode = None if facts is None else (facts.device, facts.inode)
            path = finished.new_path or finished.path
            is_due = finished.at_ms >= self._no_wait_until_ms and self._source.records_all()
            wait_s = RECORD_WAIT_S if is_due else 0.0
            at_ms = self._clock.wall_ms(finished.at_ms)
            now = self._source.lookup(finished.pid, path, inode, at_ms, wait_s)
            if is_due and now.source != "audit":
                self._no_wait_until_ms = finished.at_ms + _NO_WAIT_MS
            # The earlier answer is the better one of two equals: the process was alive then.
            who = better_who(now, who)
        if who is None or who.source == "unknown":
            return self._owner(facts, finished.pid)
        return who

    def are_recorded(self) -> bool:
        """Whether the kernel records who acts, so that nothing is lost by asking a moment later."""
        return self._source.records_all()

    def describe(self) -> str:
        """Which source is in use, in words."""
        return self._source.describe()

    def dropped(self) -> Mapping[str, int]:
        """What could not be kept, by reason."""
        return self._source.dropped()

    def close(self) -> None:
        """Gives everything back. May be called twice."""
        self._source.close()
        self._names.close()

    def _owner(self, facts: FileFacts | None, pid: int = 0) -> Who:
        if facts is None:
            return Who(None, None, None, pid, None, "unknown")
        uid = facts.owner_uid
        return Who(uid, self._names.name(uid), None, pid, None, "file_owner")
