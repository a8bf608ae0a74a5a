"""The files that are being written just now: by name, by object, and by when to look at them next."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

import msgspec

from collectors.file_changes import FileFacts
from collectors.linux.process_identity import Who
from collectors.path_index import PathIndex


class Pending(msgspec.Struct, eq=False, gc=False):
    """One file that is not finished. `key` is its path, unless another object has taken that name."""

    key: str
    path: str
    last_ms: int
    due_ms: int
    pid: int
    who: Who | None
    object_id: bytes | None
    is_new: bool
    found: bool
    """Nobody will tell of its close."""
    from_rescan: bool
    facts: FileFacts | None
    gap: str | None
    held_ns: int | None = None
    """See Change."""
    closed_ms: int | None = None
    """First close: what is there is a whole file, however often it is written again."""
    queued_ms: int = 0
    missing: int = 0


class PendingFiles:
    """Invariant: each kept file has at least one entry in the queue, no later than its `queued_ms`."""

    def __init__(self) -> None:
        self._by_key: dict[str, Pending] = {}
        self._index = PathIndex()
        self._by_object: dict[bytes, dict[str, Pending]] = {}
        self._queue: list[tuple[int, int, Pending]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Pending]:
        return iter(self._by_key.values())

    def get(self, path: str) -> Pending | None:
        """The file of this name."""
        return self._by_key.get(path)

    def of_object(self, object_id: bytes | None) -> Iterable[Pending]:
        """All names of one object."""
        return () if object_id is None else tuple(self._by_object.get(object_id, {}).values())

    def below(self, folder: str) -> list[Pending]:
        """Everything under a folder."""
        return [self._by_key[key] for key in self._index.below(folder) if key in self._by_key]

    def keep(self, pending: Pending) -> None:
        """Files it under its key and its object."""
        self._by_key[pending.key] = pending
        self._index.add(pending.key)
        if pending.object_id is not None:
            self._by_object.setdefault(pending.object_id, {})[pending.key] = pending

    def drop(self, pending: Pending | None) -> Pending | None:
        """Takes it out; its queue entry dies by itself."""
        if pending is None:
            return None
        self._by_key.pop(pending.key, None)
        self._index.discard(pending.key)
        if pending.object_id is not None:
            same = self._by_object.get(pending.object_id, {})
            same.pop(pending.key, None)
            if not same:
                self._by_object.pop(pending.object_id, None)
        return pending

    def displace(self, pending: Pending) -> None:
        """Another object has its name now: keeps it beside that one."""
        self.drop(pending)
        self._count += 1
        pending.key = f"{pending.key}\0{self._count}"
        self.keep(pending)

    def enqueue(self, pending: Pending) -> None:
        """Has it looked at when it is due."""
        self._count += 1
        pending.queued_ms = pending.due_ms
        heapq.heappush(self._queue, (pending.due_ms, self._count, pending))

    def pop_due(self, now_ms: int, most: int) -> Pending | None:
        """The next one to look at, while any is due or there are more than `most`."""
        while self._queue and (self._queue[0][0] <= now_ms or len(self._by_key) > most):
            _, _, pending = heapq.heappop(self._queue)
            if self._by_key.get(pending.key) is not pending:
                continue
            if pending.due_ms > now_ms and len(self._by_key) <= most:
                self.enqueue(pending)
                continue
            return pending
        return None
