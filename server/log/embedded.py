"""The embedded log: a durable log in one SQLite file, for an installation without a broker.

Format (user_version 1, WAL, synchronous=FULL), one partition with the number 0:

    records(offset INTEGER PRIMARY KEY, appended_at INTEGER, data BLOB)   data: MessagePack of a WireRecord
    bounds(id = 1, first_kept INTEGER, next_offset INTEGER)

Invariants: offsets of `records` lie in [first_kept, next_offset), without a gap; both bounds only grow,
in the same transaction as the rows; so an offset is never given out twice, not even after everything
was trimmed. An append is one transaction or part of one: it is there whole or not at all.
Trimmed pages are overwritten (secure_delete), and the WAL is emptied after trimming: the files keep nothing
that was let go.

Any number of threads and processes may append and read. Threads that append at the same time share one
transaction, so one fsync: the first to get the writer lock writes what all others have queued.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from event_schema.wire import WireRecord
from server.log.contract import LoggedRecord, LogUnavailable, PositionLost
from server.store.leftovers import empty_wal

PARTITION = 0
FORMAT_VERSION = 1
DEFAULT_MAX_BYTES = 4 << 30
READ_BYTES_MAX = 32 << 20
TRANSACTION_BYTES_MAX = 64 << 20
TRIM_ROWS = 500
# Another process's append is seen after this long at the latest; one of this process at once.
OTHER_PROCESS_SECONDS = 0.05
BUSY_SECONDS = 10.0

_SCHEMA = """
CREATE TABLE records (offset INTEGER PRIMARY KEY, appended_at INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE bounds (
  id INTEGER PRIMARY KEY CHECK (id = 1), first_kept INTEGER NOT NULL, next_offset INTEGER NOT NULL,
  CHECK (first_kept <= next_offset)
) STRICT;
INSERT INTO bounds VALUES (1, 0, 0);
"""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(WireRecord)


class _Append:
    """One caller's records on their way into a transaction."""

    def __init__(self, rows: list[bytes]) -> None:
        self.rows = rows
        self.size = sum(map(len, rows))
        self.finished = False
        self.error: str | None = "the write was interrupted"


class EmbeddedLog:
    """An EventLog in the file `path`, created with mode 0600 if missing. Raises LogUnavailable."""

    def __init__(self, path: Path, clock: Callable[[], int], *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._path = path
        self._clock = clock
        self._max_bytes = max_bytes
        self._closed = False
        self._queue: list[_Append] = []
        self._queue_lock = threading.Lock()
        self._writer_lock = threading.Lock()
        self._reader_lock = threading.Lock()
        self._appended = threading.Condition()
        self._appends = 0
        try:
            path.touch(mode=0o600, exist_ok=True)
            self._writer = _connect(path)
            self._prepare()
            self._reader = _connect(path)
            self._reader.execute("PRAGMA query_only = ON")
        except (OSError, sqlite3.Error) as error:
            raise LogUnavailable(f"embedded log {path} cannot be opened: {error}") from error

    def _prepare(self) -> None:
        execute = self._writer.execute
        try:
            if not self._is_new():
                version = int(execute("PRAGMA user_version").fetchone()[0])
                if version != FORMAT_VERSION:
                    raise LogUnavailable(f"{self._path} has log format {version}, not {FORMAT_VERSION}")
                return
            execute("PRAGMA journal_mode = WAL")
            execute("BEGIN IMMEDIATE")
            # Another process may have created the tables meanwhile.
            if self._is_new():
                for statement in filter(None, map(str.strip, _SCHEMA.split(";"))):
                    execute(statement)
                execute(f"PRAGMA user_version = {FORMAT_VERSION}")
            execute("COMMIT")
        except BaseException:
            self._writer.close()
            raise

    def _is_new(self) -> bool:
        select = "SELECT (SELECT user_version FROM pragma_user_version), count(*) FROM sqlite_schema"
        return tuple(self._writer.execute(select).fetchone()) == (0, 0)

    def partitions(self) -> Sequence[int]:
        self._check_open()
        return (PARTITION,)

    def append(self, records: Sequence[WireRecord]) -> None:
        self._check_open()
        if not records:
            return
        mine = _Append([_encoder.encode(record) for record in records])
        with self._queue_lock:
            self._queue.append(mine)
        with self._writer_lock:
            while not mine.finished:
                self._write_queued()
        if mine.error is not None:
            raise LogUnavailable(mine.error)
        with self._appended:
            self._appends += 1
            self._appended.notify_all()

    def _write_queued(self) -> None:
        """One transaction of what is queued, the oldest first. Each append gets its own verdict."""
        taken: list[_Append] = []
        size = 0
        with self._queue_lock:
            while self._queue and (not taken or size + self._queue[0].size <= TRANSACTION_BYTES_MAX):
                taken.append(self._queue.pop(0))
                size += taken[-1].size
        try:
            self._check_open()
            self._write(taken)
        except LogUnavailable as error:
            for append in taken:
                append.error = str(error)
        except sqlite3.Error as error:
            for append in taken:
                append.error = f"embedded log {self._path} cannot be written: {error}"
        finally:
            if not self._closed:
                self._writer.rollback()
            for append in taken:
                append.finished = True

    def _write(self, appends: list[_Append]) -> None:
        execute = self._writer.execute
        execute("BEGIN IMMEDIATE")
        offset = int(execute("SELECT next_offset FROM bounds").fetchone()[0])
        free = self._max_bytes - self._used_bytes()
        now = self._clock()
        written: list[_Append] = []
        for append in appends:
            if append.size > free:
                append.error = f"log full: {self._path} may hold {self._max_bytes} bytes"
                continue
            free -= append.size
            rows = ((offset + index, now, data) for index, data in enumerate(append.rows))
            self._writer.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
            offset += len(append.rows)
            written.append(append)
        execute("UPDATE bounds SET next_offset = ?", (offset,))
        execute("COMMIT")
        for append in written:
            append.error = None

    def _used_bytes(self) -> int:
        """Bytes of pages that hold something; pages that trimming freed count as room."""
        size, pages, free = (
            int(self._writer.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_size", "page_count", "freelist_count")
        )
        return size * (pages - free)

    def read(self, positions: Mapping[int, int], *, max_records: int, timeout: float) -> list[LoggedRecord]:
        if any(partition != PARTITION for partition in positions):
            raise ValueError(f"the embedded log has only partition {PARTITION}, not {sorted(positions)}")
        if not positions or max_records <= 0:
            return []
        deadline = time.monotonic() + timeout
        while True:
            seen = self._appends
            rows = self._rows_from(positions[PARTITION], max_records)
            left = deadline - time.monotonic()
            if rows or left <= 0:
                return [_logged(*row) for row in rows]
            with self._appended:
                if self._appends == seen and not self._closed:
                    self._appended.wait(min(left, OTHER_PROCESS_SECONDS))

    def _rows_from(self, position: int, max_records: int) -> list[tuple[int, int, bytes]]:
        select = "SELECT offset, appended_at, data FROM records WHERE offset >= ? ORDER BY offset LIMIT ?"
        rows: list[tuple[int, int, bytes]] = []
        size = 0
        with self._reader_lock:
            first_kept, next_offset = self._bounds()
            if not first_kept <= position <= next_offset:
                raise PositionLost(PARTITION, position, first_kept)
            try:
                for row in self._reader.execute(select, (position, max_records)):
                    size += len(row[2])
                    if rows and size > READ_BYTES_MAX:
                        break
                    rows.append(row)
            except sqlite3.Error as error:
                raise LogUnavailable(f"embedded log {self._path} cannot be read: {error}") from error
        return rows

    def _bounds(self) -> tuple[int, int]:
        self._check_open()
        try:
            row = self._reader.execute("SELECT first_kept, next_offset FROM bounds").fetchone()
        except sqlite3.Error as error:
            raise LogUnavailable(f"embedded log {self._path} cannot be read: {error}") from error
        return int(row[0]), int(row[1])

    def first_offsets(self) -> Mapping[int, int]:
        with self._reader_lock:
            return {PARTITION: self._bounds()[0]}

    def end_offsets(self) -> Mapping[int, int]:
        with self._reader_lock:
            return {PARTITION: self._bounds()[1]}

    def oldest_from(self, positions: Mapping[int, int]) -> int | None:
        select = "SELECT appended_at FROM records WHERE offset >= ? ORDER BY offset LIMIT 1"
        with self._reader_lock:
            self._check_open()
            try:
                row = self._reader.execute(select, (positions.get(PARTITION, 0),)).fetchone()
            except sqlite3.Error as error:
                raise LogUnavailable(f"embedded log {self._path} cannot be read: {error}") from error
        return None if row is None else int(row[0])

    def begin_behind(self, position: int) -> int:
        """Before anybody appends: what lies below `position` was read, so no offset below it is given again.
        Returns how many records at the end are missing. Raises LogUnavailable."""
        with self._writer_lock:
            self._check_open()
            execute = self._writer.execute
            try:
                execute("BEGIN IMMEDIATE")
                missing = position - int(execute("SELECT next_offset FROM bounds").fetchone()[0])
                if missing > 0:
                    execute("DELETE FROM records")
                    execute("UPDATE bounds SET first_kept = ?, next_offset = ?", (position, position))
                execute("COMMIT")
            except sqlite3.Error as error:
                self._writer.rollback()
                raise LogUnavailable(f"embedded log {self._path} cannot be written: {error}") from error
        return max(0, missing)

    def trim(self, before: Mapping[int, int]) -> None:
        wanted = before.get(PARTITION, 0)
        if wanted <= self.first_offsets()[PARTITION]:
            return
        # In small transactions, so that appends are not held up by a large trim.
        while self._trim_step(wanted):
            pass
        with self._writer_lock:
            self._check_open()
            empty_wal(self._writer, then_wait=BUSY_SECONDS)

    def _trim_step(self, wanted: int) -> bool:
        with self._writer_lock:
            self._check_open()
            execute = self._writer.execute
            try:
                execute("BEGIN IMMEDIATE")
                row = execute("SELECT first_kept, next_offset FROM bounds").fetchone()
                first_kept, target = int(row[0]), min(wanted, int(row[1]))
                step = min(target, first_kept + TRIM_ROWS)
                if step > first_kept:
                    execute("DELETE FROM records WHERE offset < ?", (step,))
                    execute("UPDATE bounds SET first_kept = ?", (step,))
                execute("COMMIT")
            except sqlite3.Error as error:
                self._writer.rollback()
                raise LogUnavailable(f"embedded log {self._path} cannot be trimmed: {error}") from error
            return step < target

    def close(self) -> None:
        with self._appended:
            self._closed = True
            self._appended.notify_all()
        with self._writer_lock, self._reader_lock:
            self._reader.close()
            self._writer.close()

    def _check_open(self) -> None:
        if self._closed:
            raise LogUnavailable(f"embedded log {self._path} is closed")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA journal_size_limit = {TRANSACTION_BYTES_MAX}")
    return connection


def _logged(offset: int, appended_at: int, data: bytes) -> LoggedRecord:
    try:
        record = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fault = f"row {offset} of the embedded log is no record: {error}"
        return LoggedRecord(PARTITION, offset, appended_at, None, data, fault)
    return LoggedRecord(PARTITION, offset, appended_at, record, record.value)
