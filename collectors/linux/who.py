"""Who did it: asks the best source that this host has, and says which one that was."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from collectors.linux import proc
from collectors.linux.process_identity import Who, WhoFrom
from collectors.linux.user_names import UserNames

__all__ = ["Who", "WhoFrom", "WhoSource"]


class WhoSource:
    """The user and the program behind an act on a watched mount."""

    def __init__(self, targets: Callable[[], Iterable[str]] = tuple) -> None:
        self._targets = targets
        self._names = UserNames()
        self._dropped: Counter[str] = Counter()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begins to listen, and watches what `targets` names just now."""
        for target in self._targets():
            self.watch(target)

    def watch(self, mount_target: str) -> None:
        """Has the kernel record who writes below the folder, where it can."""

    def unwatch(self, mount_target: str) -> None:
        """Ends that; also right after the unmount."""

    def lookup(
        self,
        pid: int,
        path: str,
        inode: tuple[int, int] | None,
        at_ms: int,
        wait_s: float = 0.0,
        pidfd: int | None = None,
    ) -> Who:
        """Who did the act that process `pid` (0: not known) did to `path` at `at_ms`.

        `inode` is (st_dev, st_ino). Waits up to `wait_s` for the kernel's record where one is due. With
        a `pidfd`, /proc is believed only while that very process lives.
        """
        del wait_s, pidfd, inode
        facts = proc.process_facts(pid) if pid > 0 else None
        started = proc.started_at_ms(pid) if facts is not None else None
        if facts is None or started is None or started > at_ms + 1000:
            facts = _owner(path, pid)
        return Who(
            uid=facts.uid,
            user_name=self._names.name(facts.uid),
            exe=facts.exe,
            pid=pid,
            auid=facts.auid,
            source=facts.source,
        )

    def describe(self) -> str:
        """Which source is in use, in words."""
        return "/proc at the time of the event"

    def dropped(self) -> Mapping[str, int]:
        """What could not be kept, by reason."""
        return dict(self._dropped)

    def close(self) -> None:
        """Gives everything back. May be called twice."""
        self._names.close()


def _owner(path: str, pid: int) -> Who:
    try:
        uid: int | None = os.lstat(path).st_uid
        source: WhoFrom = "file_owner"
    except (OSError, ValueError):
        uid, source = None, "unknown"
    return Who(uid=uid, user_name=None, exe=None, pid=pid, auid=None, source=source)
