"""The snapshot of an installation, typed. None: not known, or there is none."""

from __future__ import annotations

from typing import Final

import msgspec

from event_schema.struct_base import Milliseconds
from server.agents.health import AgentHealth
from server.erasure.record import ErasureState
from server.look_back.queue import LookBackState
from server.people.undo import FolderState
from server.pipeline.worker_rows import WorkerRow
from server.policies.state import PolicyState
from server.process_state import LastDrop, ProcessState
from server.retention import ACTIVITY_DAYS
from server.service_tokens import ServiceToken
from server.training.model_watch import ModelWatch

SCORE_BANDS = {"0-39": 0, "40-69": 40, "70-100": 70}
"""How alerts are counted: each band and its lowest score."""


def score_band(score: int) -> str:
    return next(band for band, lowest in reversed(SCORE_BANDS.items()) if score >= lowest)


class StatusFinding(msgspec.Struct, frozen=True):
    """Something that a person should look at."""

    kind: str
    detail: str


class LogState(msgspec.Struct, frozen=True):
    """`end`, `committed` and `lag` count records, summed over all partitions. `oldest_waiting_at`: when
    the oldest record that the pipeline has yet to work through came."""

    kind: str
    partitions: int | None
    end: int | None
    committed: int
    lag: int | None
    oldest_waiting_at: Milliseconds | None
    fault: str | None


class StorageState(msgspec.Struct, frozen=True):
    """Bytes. `log`: the embedded log's file; `disk_free`: where the data directory lies."""

    database: int
    log: int | None
    disk_free: int | None


HELD_DAYS: Final = 7


class RetentionState(msgspec.Struct, frozen=True):
    """`oldest_day`: days since 1970-01-01, UTC, of the oldest block of events that is kept.
    `last_drop`: None where no `leaver up` says it."""

    events_days: int
    alerts_days: int
    oldest_day: int | None
    next_drop_at: Milliseconds | None
    last_drop: LastDrop | None = None
    activity_days: int = ACTIVITY_DAYS


class TrainingState(msgspec.Struct, frozen=True):
    """The model in use. `fault`: why the last training failed, where it is to be tried again."""

    trained_at: Milliseconds | None
    subjects: int | None
    cold_start: bool | None
    fault: str | None


class Status(msgspec.Struct, frozen=True):
    """`alerts_open`: by score band. `alerts_held`: of the last HELD_DAYS days."""

    at: Milliseconds
    process: ProcessState | None
    log: LogState
    events_stored: int
    dead_letters: dict[str, int]
    alerts_open: dict[str, int]
    agents: tuple[AgentHealth, ...]
    workers: tuple[WorkerRow, ...]
    storage: StorageState
    retention: RetentionState
    erasures: ErasureState
    training: TrainingState
    findings: tuple[StatusFinding, ...]
    hr_folder: FolderState | None = None
    tokens_ending: tuple[ServiceToken, ...] = ()
    policies: PolicyState | None = None
    look_backs: LookBackState | None = None
    passwords_known: int = 0
    """Shared and service accounts whose password somebody who left still knows."""
    anomaly_model: ModelWatch | None = None
    alerts_held: int = 0
