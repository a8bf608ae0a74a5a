"""The pipeline's loop: read from the log, work out a batch, commit it, again.

One worker for all partitions. Whatever dies, the next start goes on from the last commit: memory is built
anew from the database, and the fence keeps an older worker from writing.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from policies.engine import PolicySet
from policies.rule_file import load_policies
from server.alerts.raising import raise_alerts
from server.log.contract import EventLog, LoggedRecord, LogUnavailable, PositionLost
from server.pipeline.agent_state import Finding, FindingKind
from server.pipeline.batch import Batch, BatchReader
from server.pipeline.commit import claim_positions, move_positions, write_batch
from server.pipeline.memory import Memory
from server.pipeline.observer import BatchDone, PipelineObserver, Unobserved
from server.store.database import Database, StoreUnavailable

RECORDS_PER_BATCH = 100
READ_SECONDS = 0.2
GATHER_SECONDS = 0.15
"""What comes so shortly after a batch shares the next one: a batch of one heartbeat costs four times as
much as one of ten costs for each. Where records wait already, batches are full and follow at once."""
UNAVAILABLE_PAUSE_SECONDS = 1.0
TURN_SECONDS_MAX = 180.0
"""A turn that takes longer hangs: one batch, and as long as the database may keep it waiting."""

_logger = logging.getLogger("leaver.pipeline")


class PipelineWorker:
    """`clock`: ms UTC. `policies`: the shipped rules by default."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        *,
        clock: Callable[[], int],
        policies: PolicySet | None = None,
        records_per_batch: int = RECORDS_PER_BATCH,
        observer: PipelineObserver | None = None,
    ) -> None:
        self._database = database
        self._log = log
        self._clock = clock
        self._policies = load_policies() if policies is None else policies
        self._records_per_batch = records_per_batch
        self._observer: PipelineObserver = observer or Unobserved()
        self._memory: Memory | None = None
        self._owned: dict[int, tuple[int, int]] = {}
        self._waits_for: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Until stop is set. Waits while the log or the database is away, and goes on from the last commit.
        Other errors propagate: start it again."""
        self._memory = None
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
            else:
                if self._waits_for is not None:
                    _logger.info("available_again", extra={"after": self._waits_for})
                self._waits_for = None

    def _wait(self, what: str, detail: str, stop: threading.Event) -> None:
        if self._waits_for != what:
            # Once, not for every attempt.
            _logger.warning(what, extra={"detail": detail})
        self._waits_for = what
        stop.wait(UNAVAILABLE_PAUSE_SECONDS)

    def _start(self) -> None:
        firsts = self._log.first_offsets()
        with self._database.begin() as connection:
            self._owned = claim_positions(connection, firsts)
        with self._database.read() as connection:
            self._memory = Memory(connection, self._clock)
        # What is loaded by now stays: a fifth of the time went into looking through it for garbage again
        # and again. Thawed first, for a worker that starts anew leaves an older memory behind.
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    def step(self, timeout: float) -> BatchDone:
        """One batch; waits up to timeout seconds for records.

        Raises LogUnavailable, StoreUnavailable, FencedOut; the next call begins anew at the last commit.
        """
        if self._memory is None:
            self._start()
        assert self._memory is not None
        positions = {partition: next_ for partition, (_, next_) in self._owned.items()}
        try:
            records = self._log.read(positions, max_records=self._records_per_batch, timeout=timeout)
        except PositionLost as lost:
            self._skip_lost(lost)
            return BatchDone(0, 0, 0)
        if not records:
            return BatchDone(0, 0, 0)
        begun = time.monotonic()
        try:
            batch = self._read(self._memory, records)
            opened = self._commit(self._memory, batch)
        except BaseException:
            # Memory may be half changed; the database is not.
            self._memory = None
            self._observer.batch_failed()
            raise
        done = BatchDone(
            len(records),
            batch.events,
            len(batch.dead_letters),
            duplicates=batch.duplicates,
            reasons=dict(Counter(letter.reason.value for letter in batch.dead_letters)),
            lost=dict(batch.lost),
            alerts_opened=opened,
            seconds=time.monotonic() - begun,
        )
        self._observer.batch_done(done)
        return done

    def _read(self, memory: Memory, records: list[LoggedRecord]) -> Batch:
        with self._database.read() as connection:
            memory.refresh(connection)
            return BatchReader(memory, self._policies, connection).read(records)

    def _commit(self, memory: Memory, batch: Batch) -> tuple[int, ...]:
        """Returns the scores of the alerts that it opened."""
        opened: list[int] = []
        with self._database.begin() as connection:
            move_positions(connection, batch.positions, self._owned)
            write_batch(connection, batch)
            now = self._clock()
            for subject, state in batch.subjects.items():
                opened += raise_alerts(
                    connection,
                    memory,
                    state,
                    batch.people[subject],
                    policy_version=self._policies.version,
                    now=now,
                )
        for partition, next_offset in batch.positions.items():
            self._owned[partition] = (self._owned[partition][0], next_offset)
        for state in batch.subjects.values():
            state.written()
        for agent in batch.agents.values():
            agent.written()
        memory.tidy()
        return tuple(opened)

    def _skip_lost(self, lost: PositionLost) -> None:
        """Records were trimmed before they were read: say how many, and go on with what is there."""
        batch = Batch()
        batch.positions[lost.partition] = lost.first_kept
        gone = lost.first_kept - lost.asked
        batch.findings.append(Finding("", FindingKind.LOG_TRIMMED, str(lost), self._clock(), max(gone, 1)))
        _logger.error("log_trimmed_unread", extra={"partition": lost.partition, "records": gone})
        with self._database.begin() as connection:
            move_positions(connection, batch.positions, self._owned)
            write_batch(connection, batch)
        self._owned[lost.partition] = (self._owned[lost.partition][0], lost.first_kept)
