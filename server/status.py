"""How the installation is doing, for `leaver status` and GET /v1/status."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, select

from server.agents.health import AgentHealth, list_agents, unknown_agent_findings
from server.log.contract import EventLog, LogUnavailable
from server.process_state import ProcessState
from server.store.tables import alerts, dead_letters, event_blocks, log_positions


class StatusFinding(msgspec.Struct, frozen=True):
    """Something that a person should look at."""

    kind: str
    detail: str


class LogState(msgspec.Struct, frozen=True):
    """`end`, `committed` and `lag` count records, summed over all partitions; None: cannot be asked."""

    kind: str
    partitions: int | None
    end: int | None
    committed: int
    lag: int | None
    fault: str | None


class Status(msgspec.Struct, frozen=True):
    """Times are milliseconds UTC."""

    at: int
    process: ProcessState | None
    log: LogState
    events_stored: int
    dead_letters: dict[str, int]
    alerts_open: int
    agents: tuple[AgentHealth, ...]
    findings: tuple[StatusFinding, ...]


def read_status(
    connection: Connection, log: EventLog | None, log_kind: str, process: ProcessState | None, *, now: int
) -> Status:
    """`log` is None where it could not be opened."""
    log_state = _log_state(connection, log, log_kind)
    dead = {
        row.reason: int(row.number)
        for row in connection.execute(
            select(dead_letters.c.reason, func.count().label("number"))
            .group_by(dead_letters.c.reason)
            .order_by(dead_letters.c.reason)
        )
    }
    agents = tuple(list_agents(connection, now=now))
    stored = connection.execute(select(func.coalesce(func.sum(event_blocks.c.count), 0))).scalar_one()
    open_alerts = connection.execute(
        select(func.count()).select_from(alerts).where(alerts.c.status == "open")
    ).scalar_one()
    findings = (
        *_process_findings(process),
        *_log_findings(log_state, dead),
        *_agent_findings(agents),
        *(
            StatusFinding(finding.kind, f"{name}: {finding.detail}" if name else finding.detail)
            for name, finding in unknown_agent_findings(connection)
        ),
    )
    return Status(now, process, log_state, int(stored), dead, open_alerts, agents, findings)


def _log_state(connection: Connection, log: EventLog | None, kind: str) -> LogState:
    # Positions first: the log only grows, so a lag is never shown too small.
    committed = {
        row.partition: int(row.next_offset)
        for row in connection.execute(select(log_positions.c.partition, log_positions.c.next_offset))
    }
    done = sum(committed.values())
    if log is None:
        return LogState(kind, None, None, done, None, "the log cannot be opened")
    try:
        ends = log.end_offsets()
        firsts = log.first_offsets()
    except LogUnavailable as error:
        return LogState(kind, None, None, done, None, str(error))
    lag = sum(max(0, end - committed.get(number, firsts.get(number, 0))) for number, end in ends.items())
    return LogState(kind, len(ends), sum(ends.values()), done, lag, None)


def _process_findings(process: ProcessState | None) -> list[StatusFinding]:
    if process is None:
        return [StatusFinding("not_running", "leaver up does not run, nothing is received")]
    return [
        StatusFinding(
            "part_down", f"{name} is {part.state} after {part.restarts} restarts: {part.last_error}"
        )
        for name, part in process.parts.items()
        if part.state != "running"
    ]


def _log_findings(log: LogState, dead: dict[str, int]) -> list[StatusFinding]:
    findings = []
    if log.fault is not None:
        findings.append(StatusFinding("log_unavailable", log.fault))
    if dead:
        words = ", ".join(f"{count} {reason}" for reason, count in dead.items())
        findings.append(StatusFinding("dead_letters", f"{words}; see leaver dead-letters list"))
    return findings


def _agent_findings(agents: tuple[AgentHealth, ...]) -> list[StatusFinding]:
    findings = []
    for agent in agents:
        if agent.state == "silent":
            findings.append(StatusFinding("agent_silent", f"{agent.name} says nothing"))
        if agent.lost_events and all(finding.kind != "events_lost" for finding in agent.findings):
            findings.append(StatusFinding("events_lost", f"{agent.name} lost {agent.lost_events} events"))
        findings.extend(
            StatusFinding(finding.kind, f"{agent.name}: {finding.detail}") for finding in agent.findings
        )
    return findings
