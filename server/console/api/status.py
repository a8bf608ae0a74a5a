"""GET /api/v1/status: how the installation is, as the page tells it, without alerts."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from event_schema.struct_base import Milliseconds
from server.console.api_calls import ApiCall, Nothing
from server.console.ingest_watch import Ingest, IngestWatch
from server.console.page import Ask, Console
from server.console.pages.status import StatusNow
from server.people.roles import Right
from server.status_types import LogState, RetentionState, StatusFinding, StorageState, TrainingState


class PartAnswer(msgspec.Struct, frozen=True):
    state: str
    restarts: int


class WorkerAnswer(msgspec.Struct, frozen=True):
    name: str
    seen_at: Milliseconds


class StatusAnswer(msgspec.Struct, frozen=True):
    """`ingest`: whether events are read, and what hinders it. `agents`: how many there are; each is told by
    /api/v1/agents. `parts`: loops of `leaver up`; null where no process says it. `rules`, `exceptions`: in
    use."""

    at: Milliseconds
    ingest: Ingest
    findings: tuple[StatusFinding, ...]
    agents: int
    events_stored: int
    dead_letters: Mapping[str, int]
    log: LogState
    storage: StorageState
    retention: RetentionState
    training: TrainingState
    workers: tuple[WorkerAnswer, ...]
    parts: Mapping[str, PartAnswer] | None
    rules: int | None
    exceptions: int | None


def status(console: Console, _ask: Ask, _query: Nothing, _body: None) -> StatusAnswer:
    found = console.made(StatusNow).status()
    process, policies = found.process, found.policies
    return StatusAnswer(
        at=found.at,
        ingest=console.made(IngestWatch).now(),
        findings=found.findings,
        agents=len(found.agents),
        events_stored=found.events_stored,
        dead_letters=found.dead_letters,
        log=found.log,
        storage=found.storage,
        retention=found.retention,
        training=found.training,
        workers=tuple(WorkerAnswer(each.name, each.seen_at) for each in found.workers),
        parts=None
        if process is None
        else {name: PartAnswer(each.state, each.restarts) for name, each in process.parts.items()},
        rules=None if policies is None else policies.rules,
        exceptions=None if policies is None else policies.exceptions,
    )


API = [
    ApiCall(
        "GET",
        "/api/v1/status",
        Right.SEE_FLEET,
        status,
        StatusAnswer,
        "How the installation is, and what needs a look; nothing of alerts",
    )
]
