"""The pipeline's loop: read from the log, work out a batch, commit it, again.

A worker reads its share of the log's partitions (held_partitions.py). Whatever dies, whoever takes over goes
on from the last commit: memory is built anew from the database, and the fence keeps an earlier holder from
writing. Where another worker changed what a batch was worked out from, nothing is written and the batch is
worked out again, from the same records, with what it will change locked; in the end alone, which cannot fail
for others' sake.
"""

from __future__ import annotations

import gc
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection

from policies.engine import PolicySet
from server.alerts.raising import raise_alerts
from server.alerts.ranking import Moved
from server.evidence_seal import SealKey
from server.log.contract import EventLog, LoggedRecord, LogUnavailable, PartitionShare, PositionLost
from server.log.whole_log import WholeLog
from server.people.directory import people_version
from server.people.pseudonyms import make_pseudonym_key
from server.pipeline.agent_state import Finding, FindingKind
from server.pipeline.batch import BatchReader
from server.pipeline.batch_outcome import Batch
from server.pipeline.commit import FencedOut, move_positions, write_batch
from server.pipeline.correlating import dropped_of
from server.pipeline.held_partitions import HeldPartitions
from server.pipeline.memory import Memory
from server.pipeline.observer import BatchDone, PipelineObserver, Unobserved
from server.pipeline.state_versions import StaleState, agent_key, raise_versions
from server.pipeline.worker_rows import SignOfLife
from server.retention import ACTIVITY_DAYS
from server.store.database import Database, MetAnother, StoreUnavailable

RECORDS_PER_BATCH = 100
READ_SECONDS = 0.2
GATHER_SECONDS = 0.15
"""What comes so shortly after a batch shares the next one: a batch of one heartbeat costs four times as
much as one of ten costs for each. Where records wait already, batches are full and follow at once."""
TURN_SECONDS_MAX = 180.0
"""A turn that takes longer hangs: one batch, and as long as the database may keep it waiting."""
UNAVAILABLE_PAUSE_SECONDS = 1.0
FENCED_PAUSE_SECONDS = 2.0
"""Longer than from one heartbeat to the next: by then a member of a group knows what it lost."""
TRIES_BESIDE_OTHERS = 4
"""The first one locks nothing; the others lock what they will change before they read it."""
LOCKED_BATCHES = 20
"""So many batches after a conflict lock at once: where workers meet, they meet again."""
CONFLICT_PAUSE_SECONDS = 0.02

_logger = logging.getLogger("leaver.pipeline")


_NOTHING = BatchDone(0, 0, 0)


class _Committed(NamedTuple):
    """`versions`: those that it raised."""

    versions: dict[str, int]
    alerts: Moved


class PipelineWorker:
    """`clock`: ms UTC. `policies`: those that the database has by default. `share`: all of the log by
    default. `events_days`: how many days count, all by default; `uses_days`: of uses; `activity_days`: of
    sums by activity. `seal_key`: for what is left of records without events of erased accounts; one of its
    own by default."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        *,
        clock: Callable[[], int],
        policies: PolicySet | None = None,
        records_per_batch: int = RECORDS_PER_BATCH,
        observer: PipelineObserver | None = None,
        share: PartitionShare | None = None,
        events_days: int | None = None,
        uses_days: int | None = None,
        activity_days: int = ACTIVITY_DAYS,
        seal_key: SealKey | None = None,
    ) -> None:
        self._database = database
        self._seal_key = seal_key or SealKey.new()
        self._log = log
        self._clock = clock
        self._policies = policies
        self._records_per_batch = records_per_batch
        self._observer: PipelineObserver = observer or Unobserved()
        self._partitions = HeldPartitions(database, log, share or WholeLog(log))
        self._sign = SignOfLife(self._partitions.name, clock())
        self._dice = random.Random()
        self._events_days = events_days
        self._uses_days = uses_days
        self._activity_days = activity_days
        self._memory: Memory | None = None
        self._locked_batches = 0
        self._waits_for: str | None = None
        self._why = ""
        self._has_process = False
        """It runs, and is not driven step by step: how the process looks for garbage is for it to say."""

    @property
    def waits_for(self) -> tuple[str, str] | None:
        """(log_unavailable, database_unavailable or fenced_out; why), while it waits."""
        what = self._waits_for
        return None if what is None else (what, self._why)

    @property
    def partitions_held(self) -> int:
        return len(self._partitions.held)

    @property
    def waits_for_database(self) -> bool:
        return self._waits_for == "database_unavailable"

    def run(self, stop: threading.Event) -> None:
        """Until stop is set. Waits while the log or the database is away, or others have its partitions, and
        goes on from the last commit. Other errors propagate: start it again, unless it is WorkerReplaced."""
        self._forget_all()
        self._has_process = True
        try:
            while not stop.is_set():
                try:
                    self._observer.turned()
                    done = self.step(READ_SECONDS)
                    if 0 < done.records < self._records_per_batch:
                        stop.wait(GATHER_SECONDS)
                except LogUnavailable as error:
                    self._observer.log_failed()
                    self._wait("log_unavailable", str(error), stop)
                except StoreUnavailable as error:
                    self._wait("database_unavailable", str(error), stop)
                except FencedOut as error:
                    self._wait("fenced_out", str(error), stop, FENCED_PAUSE_SECONDS)
                else:
                    if self._waits_for is not None:
                        _logger.info("available_again", extra={"after": self._waits_for})
                    self._waits_for = None
        finally:
            self._partitions.close()

    def end(self) -> None:
        """After `run`, where it will not run again. Raises StoreUnavailable."""
        if self._partitions.name is not None:
            with self._database.begin() as connection:
                self._sign.end(connection)

    def _wait(
        self, what: str, detail: str, stop: threading.Event, seconds: float = UNAVAILABLE_PAUSE_SECONDS
    ) -> None:
        if self._waits_for != what:
            # Once, not for every attempt.
            _logger.warning(what, extra={"detail": detail})
        self._waits_for, self._why = what, detail
        stop.wait(seconds)

    def _forget_all(self) -> None:
        """Memory may be half changed, and partitions lost; the database is as it is."""
        self._memory = None
        self._partitions.let_go()

    def step(self, timeout: float) -> BatchDone:
        """One batch; waits up to timeout seconds for records.

        Raises LogUnavailable, StoreUnavailable, FencedOut, WorkerReplaced; the next call begins anew at the
        last commit.
        """
        if self._partitions.settle():
            self._say_alive()
        if not self._partitions.held:
            time.sleep(timeout)
            return self._idle()
        try:
            return self._next_batch(timeout)
        except LogUnavailable:
            raise
        except BaseException:
            self._forget_all()
            raise

    def _next_batch(self, timeout: float) -> BatchDone:
        try:
            records = self._log.read(
                self._partitions.positions, max_records=self._records_per_batch, timeout=timeout
            )
        except PositionLost as lost:
            self._skip_lost(lost)
            return _NOTHING
        if not records:
            return self._idle()
        try:
            return self._work(records)
        except BaseException:
            self._observer.batch_failed()
            raise

    def _idle(self) -> BatchDone:
        if self._sign.is_due(self._clock()):
            self._say_alive()
        return _NOTHING

    def _say_alive(self) -> None:
        if self._partitions.name is not None:
            with self._database.begin(alone=False, brief=True) as connection:
                self._sign.forget_others(connection, self._clock())
                self._sign.write(connection, self._partitions.held, self._clock())

    def _work(self, records: list[LoggedRecord]) -> BatchDone:
        begun = time.monotonic()
        memory = self._memory or self._new_memory()
        conflicts = 0
        while True:
            try:
                batch, committed = self._try(memory, records, conflicts)
            except (StaleState, MetAnother) as conflict:
                if conflicts >= TRIES_BESIDE_OTHERS:
                    raise
                conflicts += 1
                self._sign.conflicts += 1
                self._locked_batches = LOCKED_BATCHES
                _logger.info("conflict", extra={"detail": str(conflict), "tries": conflicts})
                time.sleep(self._dice.uniform(0, CONFLICT_PAUSE_SECONDS * 2**conflicts))
            else:
                self._locked_batches = max(0, self._locked_batches - 1)
                self._committed(memory, batch, committed.versions)
                break
        done = BatchDone(
            len(records),
            batch.events,
            len(batch.dead_letters),
            duplicates=batch.duplicates,
            reasons=dict(Counter(letter.reason.value for letter in batch.dead_letters)),
            lost=dict(batch.lost),
            alerts_opened=tuple(committed.alerts.opened),
            alerts_withdrawn=committed.alerts.withdrawn,
            seconds=time.monotonic() - begun,
            conflicts=conflicts,
            erased=batch.erased.total(),
            correlations_dropped=dropped_of(batch.correlation_counts),
            uses_dropped=batch.uses_dropped,
            sessions_dropped=batch.sessions_dropped,
        )
        self._observer.batch_done(done)
        return done

    def _try(self, memory: Memory, records: list[LoggedRecord], conflicts: int) -> tuple[Batch, _Committed]:
        """Once, and forgets what it did in memory where another worker was faster."""
        batch: Batch | None = None
        try:
            if not conflicts and not self._locked_batches:
                with self._database.read() as connection:
                    batch = self._read(connection, memory, records, lock=False)
                with self._database.begin(alone=False, brief=True) as connection:
                    return batch, self._write(connection, memory, batch)
            # On SQLite both are the same.
            with self._database.begin(alone=conflicts >= TRIES_BESIDE_OTHERS, brief=True) as connection:
                batch = self._read(connection, memory, records, lock=True)
                return batch, self._write(connection, memory, batch)
        except (StaleState, MetAnother):
            if batch is None:
                memory.forget_all()
            else:
                memory.forget(_keys(batch))
            raise

    def _new_memory(self) -> Memory:
        make_pseudonym_key(self._database)
        with self._database.read() as connection:
            self._memory = Memory(
                connection,
                self._clock,
                events_days=self._events_days,
                uses_days=self._uses_days,
                activity_days=self._activity_days,
                policies=self._policies,
            )
        if self._has_process:
            # What is loaded by now stays: a fifth of the time went into looking through it for garbage again
            # and again. Thawed first, for a worker that starts anew leaves an older memory behind.
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        return self._memory

    def _read(
        self, connection: Connection, memory: Memory, records: list[LoggedRecord], *, lock: bool
    ) -> Batch:
        memory.refresh(connection, lock=lock)
        return BatchReader(memory, connection).read(records)

    def _write(self, connection: Connection, memory: Memory, batch: Batch) -> _Committed:
        """Raises FencedOut, StaleState."""
        move_positions(connection, batch.positions, self._partitions.held)
        # An import waits for this transaction, or this one waited for it: people stay as they are here.
        if people_version(connection) != memory.directory.version:
            raise StaleState("people were imported meanwhile")
        versions = raise_versions(connection, memory.versions(_keys(batch)), batch.touched)
        now = self._clock()
        write_batch(connection, batch, self._seal_key, now=now)
        moved = raise_alerts(
            connection,
            memory,
            list(batch.subjects.values()),
            batch.people,
            now=now,
            counts=batch.correlation_counts,
        )
        self._sign.batch(connection, self._partitions.held, now)
        return _Committed(versions, moved)

    def _committed(self, memory: Memory, batch: Batch, versions: dict[str, int]) -> None:
        self._partitions.moved(batch.positions)
        for state in batch.subjects.values():
            state.written()
        for agent in batch.agents.values():
            agent.written()
        memory.committed(versions)
        memory.measure(batch.subjects)
        memory.tidy()

    def _skip_lost(self, lost: PositionLost) -> None:
        """Records were trimmed before they were read: say how many, and go on with what is there."""
        batch = Batch()
        batch.positions[lost.partition] = lost.first_kept
        gone = lost.first_kept - lost.asked
        batch.findings.append(Finding("", FindingKind.LOG_TRIMMED, str(lost), self._clock(), max(gone, 1)))
        _logger.error("log_trimmed_unread", extra={"partition": lost.partition, "records": gone})
        with self._database.begin(alone=False, brief=True) as connection:
            move_positions(connection, batch.positions, self._partitions.held)
            write_batch(connection, batch, self._seal_key, now=self._clock())
        self._partitions.moved(batch.positions)


def _keys(batch: Batch) -> list[str]:
    """Of all states that the batch changed."""
    return [*batch.subjects, *map(agent_key, batch.agents)]
