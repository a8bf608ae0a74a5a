"""How the installation is doing: the one snapshot behind `leaver status`, GET /v1/status and GET /metrics."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
from sqlalchemy import Connection, func, select

from server.agents.health import list_agents, unknown_agent_findings
from server.config import RetentionConfig
from server.data_directory import LOG_NAME
from server.erasure.record import erasure_state
from server.installation import Installation
from server.log.contract import EventLog, LogUnavailable
from server.look_back.queue import look_back_state
from server.people.leaver_ledger import passwords_known
from server.people.undo import folder_state
from server.pipeline.worker_rows import list_workers
from server.policies.state import policy_state
from server.process_state import ProcessState
from server.retention import DAY_MS
from server.service_tokens import ending_tokens
from server.status_findings import status_findings
from server.status_types import (
    HELD_DAYS,
    LogState,
    RetentionState,
    Status,
    StatusFinding,
    StorageState,
    TrainingState,
    score_band,
)
from server.store.size import database_bytes
from server.store.tables import alerts, dead_letters, event_blocks, log_positions
from server.training.model_watch import model_watch
from server.training.stored_models import active_model


def installation_status(
    installation: Installation, log: EventLog | None, process: ProcessState | None
) -> Status:
    """`log` is None where it could not be opened."""
    with installation.database.read() as connection:
        return read_status(
            connection,
            log,
            installation.config.log.kind,
            process,
            now=installation.clock() if process is None else process.now(),
            directory=installation.directory.root,
            kept=installation.config.retention,
        )


def read_status(
    connection: Connection,
    log: EventLog | None,
    log_kind: str,
    process: ProcessState | None,
    *,
    now: int,
    directory: Path,
    kept: RetentionConfig,
) -> Status:
    """`directory`: the data directory, whose disk is looked at."""
    erasures = erasure_state(connection)
    found = Status(
        at=now,
        process=process,
        log=_log_state(connection, log, log_kind, directory),
        events_stored=_count_events(connection) - erasures.events_taken,
        dead_letters=_dead_letters(connection),
        alerts_open=_open_alerts(connection),
        alerts_held=_held_alerts(connection, now),
        agents=tuple(list_agents(connection, now=now)),
        workers=list_workers(connection),
        storage=_storage(connection, directory, log_kind),
        retention=_retention(connection, process, kept),
        erasures=erasures,
        hr_folder=folder_state(connection),
        tokens_ending=ending_tokens(connection, now=now),
        policies=policy_state(connection, now=now),
        look_backs=look_back_state(connection),
        passwords_known=passwords_known(connection, now),
        training=_training(connection, process),
        anomaly_model=model_watch(connection, now),
        findings=(),
    )
    unknown = tuple(
        StatusFinding(odd.kind, f"{name}: {odd.detail}" if name else odd.detail)
        for name, odd in unknown_agent_findings(connection)
    )
    return msgspec.structs.replace(found, findings=(*status_findings(found), *unknown))


def _count_events(connection: Connection) -> int:
    total = select(func.coalesce(func.sum(event_blocks.c.count), 0))
    return int(connection.execute(total).scalar_one())


def _dead_letters(connection: Connection) -> dict[str, int]:
    query = (
        select(dead_letters.c.reason, func.count().label("number"))
        .group_by(dead_letters.c.reason)
        .order_by(dead_letters.c.reason)
    )
    return {row.reason: int(row.number) for row in connection.execute(query)}


def _open_alerts(connection: Connection) -> dict[str, int]:
    query = (
        select(alerts.c.score, func.count().label("number"))
        .where(alerts.c.status == "open")
        .group_by(alerts.c.score)
    )
    found: dict[str, int] = {}
    for row in connection.execute(query):
        band = score_band(row.score)
        found[band] = found.get(band, 0) + int(row.number)
    return found


def _held_alerts(connection: Connection, now: int) -> int:
    recent = alerts.c.last_time >= now - HELD_DAYS * DAY_MS
    query = select(func.count()).where(alerts.c.status == "held", recent)
    return int(connection.execute(query).scalar_one())


def _log_state(connection: Connection, log: EventLog | None, kind: str, directory: Path) -> LogState:
    # Positions first: the log only grows, so a lag is never shown too small.
    committed = {
        row.partition: int(row.next_offset)
        for row in connection.execute(select(log_positions.c.partition, log_positions.c.next_offset))
    }
    done = sum(committed.values())
    if kind == "embedded" and not committed and not (directory / LOG_NAME).exists():
        # `leaver init` makes none: the first `leaver up` does.
        return LogState(kind, 0, 0, 0, 0, None, None)
    if log is None:
        return LogState(kind, None, None, done, None, None, "the log cannot be opened")
    try:
        ends = log.end_offsets()
        firsts = log.first_offsets()
        lag = sum(max(0, end - committed.get(number, firsts.get(number, 0))) for number, end in ends.items())
        oldest = log.oldest_from(committed) if lag else None
    except LogUnavailable as error:
        return LogState(kind, None, None, done, None, None, str(error))
    return LogState(kind, len(ends), sum(ends.values()), done, lag, oldest, None)


def _storage(connection: Connection, directory: Path, log_kind: str) -> StorageState:
    log_bytes = None
    if log_kind == "embedded":
        log_bytes = sum(_size(directory / name) for name in (LOG_NAME, f"{LOG_NAME}-wal"))
    try:
        free = shutil.disk_usage(directory).free
    except OSError:
        free = None
    return StorageState(database_bytes(connection), log_bytes, free)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _retention(connection: Connection, process: ProcessState | None, kept: RetentionConfig) -> RetentionState:
    oldest = connection.execute(select(func.min(event_blocks.c.last_day))).scalar_one()
    if process is None:
        next_drop_at, last_drop = None, None
    else:
        next_drop_at, last_drop = process.next_drop_at, process.last_drop
    return RetentionState(
        kept.events_days, kept.alerts_days, oldest, next_drop_at, last_drop, kept.activity_days
    )


def _training(connection: Connection, process: ProcessState | None) -> TrainingState:
    active = active_model(connection)
    part = None if process is None else process.parts.get("training")
    fault = None if part is None or part.state == "running" else part.last_error
    if active is None:
        return TrainingState(None, None, None, fault)
    summary = active.summary
    return TrainingState(active.created_at, summary.subjects, summary.cold_start, fault)
