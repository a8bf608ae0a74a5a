"""Files in people's folders that a database's client programs wrote, each once, with its hash.

A file is one if it was the standard output with which a client started, if it came out of the client
through a pipe (both: export_writers.py), or if the client itself closed it after writing. What other
programs write is none, also when a client started them. A client may write something else than records, so
an event is `likely` at best.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from typing import Final

import msgspec

from collectors.export_writers import ExportWriters, is_client
from collectors.linux.opened_files import OpenedFile
from collectors.linux.process_tree import ProcessFacts, ProcessTree
from collectors.sent_files import SentFile, SentFiles

SMALLEST: Final = 256
"""A shorter file recognises nothing: too many others have the same bytes."""
MOST_OF_ONE: Final = 500
"""Files of one client: a copy of a whole server has thousands, which are no exports one by one."""
TOO_MANY: Final = "written_files_over_the_limit"
TOO_MANY_OF_ONE: Final = "files_of_one_export_over_the_limit"
_MOST: Final = 20_000
_MOST_CLIENTS: Final = 4_096
_KNOWN_AFTER_S: Final = 0.3
"""By then the process events that came before the closing have been read."""
_DELETED: Final = " (deleted)"


class DumpFile(msgspec.Struct, frozen=True):
    """A file that came out of a client program, and its hash. closed_ms: by the caller's steady clock."""

    closed_ms: int
    opened: OpenedFile
    client: ProcessFacts
    sent: SentFile


class _Closed(msgspec.Struct, frozen=True):
    since: float
    closed_ms: int
    opened: OpenedFile


class DumpFiles:
    """Use from one thread. `files` is the caller's. The tree is to tell `writers` what starts."""

    def __init__(self, files: SentFiles, tree: ProcessTree, folders: tuple[str, ...]) -> None:
        self._files, self._tree, self._folders = files, tree, folders
        self.writers = ExportWriters(folders, tree.beside)
        self._closed: OrderedDict[tuple[int, int, int], _Closed] = OrderedDict()
        self._reading: deque[DumpFile] = deque()
        self._of_client: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._dropped: Counter[str] = Counter()

    def closed(self, opened: OpenedFile, closed_ms: int) -> None:
        """A file was closed after it could be written to; when, by the caller's steady clock."""
        key = (opened.device, opened.inode, opened.pid)
        # pg_dump -Fc closes its file twice; the first time counts for when, the last one for what.
        before = self._closed.get(key)
        if before is None and len(self._closed) + len(self._reading) >= _MOST:
            self._dropped[TOO_MANY] += 1
            return
        since = time.monotonic() if before is None else before.since
        self._closed[key] = _Closed(since, closed_ms, opened)

    def ready(self, *, at_end: bool = False) -> list[DumpFile]:
        """Those whose hash is there, or will not be."""
        now = time.monotonic()
        while self._closed:
            key, each = next(iter(self._closed.items()))
            if now - each.since < _KNOWN_AFTER_S and not at_end:
                break
            del self._closed[key]
            opened = each.opened
            client = self._client_of(opened)
            if client is not None and _may_be_one(opened) and self._is_one_more(client):
                sent = self._files.begin_below(
                    self._folders, opened.path, key[:2], opened.size, opened.modified_ns
                )
                self._reading.append(DumpFile(each.closed_ms, opened, client, sent))
        ready, reading = list[DumpFile](), deque[DumpFile]()
        for dump in self._reading:
            is_ready = self._files.is_ready(dump.sent, at_end=at_end)
            (ready if is_ready else reading).append(dump)
        self._reading = reading
        return ready

    def dropped(self) -> Mapping[str, int]:
        """What could not be kept, by reason."""
        return self._dropped

    def _client_of(self, opened: OpenedFile) -> ProcessFacts | None:
        key = (opened.device, opened.inode, opened.path)
        client = self.writers.of_file(key)
        if client is not None and (opened.pid == client.pid or self._tree.has_ended(client.pid)):
            self.writers.finished(key)
            return client
        return self.writers.of_process(opened.pid) or self._as_client(opened)

    def _as_client(self, opened: OpenedFile) -> ProcessFacts | None:
        """Who closed the file, if that is a client: what it was then comes first."""
        known = self._tree.of(opened.pid)
        told = opened.executable or opened.name
        if told is None and known is not None:
            told = known.executable
        if not is_client(told):
            return None
        if known is None or not is_client(known.executable):
            known = ProcessFacts(opened.pid, opened.parent, opened.uid, opened.login_uid, told, None)
        return known

    def _is_one_more(self, client: ProcessFacts) -> bool:
        key = (client.pid, client.started_ms)
        count = self._of_client[key] = self._of_client.get(key, 0) + 1
        self._of_client.move_to_end(key)
        if len(self._of_client) > _MOST_CLIENTS:
            self._of_client.popitem(last=False)
        if count > MOST_OF_ONE:
            self._dropped[TOO_MANY_OF_ONE] += 1
        return count <= MOST_OF_ONE


def _may_be_one(opened: OpenedFile) -> bool:
    name = opened.path.rpartition("/")[2]
    return opened.size >= SMALLEST and not name.startswith(".") and not name.endswith(_DELETED)
