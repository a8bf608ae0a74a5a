"""What is known of each agent's health: last heartbeat, backlog, losses, clock, open findings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select

from event_schema.channels import CHANNELS
from event_schema.printable import printable_name
from event_schema.struct_base import Milliseconds
from server.agents.settings import AgentSettings, current_settings
from server.store.tables import agent_epochs, agent_findings, agent_keys, agents

SILENT_AFTER = 5 * 60 * 1000
"""An enrolled agent that said nothing for so long is a finding."""
SETTINGS_LATE = 20 * 60 * 1000
"""Agents ask for settings every five minutes; who has older ones so long after is a finding."""
SETTINGS_FINDINGS = ("settings_not_used", "settings_old", "settings_unknown")
_PROBLEM_CHARACTERS = 300
AGENTS_MAX = 100_000
_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){0,3}((a|b|rc|\.dev)\d{1,4})?\Z")


class Finding(msgspec.Struct, frozen=True):
    kind: str
    detail: str
    first_at: Milliseconds
    last_at: Milliseconds
    count: int


class AgentHealth(msgspec.Struct, frozen=True):
    """One agent. `state` is invited, enrolled, silent, stopped or revoked. `clock_offset`: ms to add to its
    times, None before its first heartbeat."""

    name: str
    state: str
    heartbeat_at: Milliseconds | None
    backlog_events: int | None
    lost_events: int
    clock_offset: int | None
    certificate_until: Milliseconds | None
    version: str | None
    collectors: dict[str, str]
    settings_version: int | None
    """Of the installation's settings that it uses; None: its own file's alone."""
    settings_problem: str | None
    """Why it does not use newer ones."""
    findings: tuple[Finding, ...]
    waits_for_disk: bool = False
    """What it observes cannot be saved at the moment."""


def agent_rows(connection: Connection) -> Sequence[Row[Any]]:
    """All agents by name, as they are stored."""
    return connection.execute(select(agents).order_by(agents.c.name).limit(AGENTS_MAX)).all()


def list_agents(
    connection: Connection, *, now: int, rows: Sequence[Row[Any]] | None = None
) -> list[AgentHealth]:
    """All agents by name. `rows`: where the caller has read them."""
    findings: dict[str, list[Finding]] = {}
    for row in connection.execute(
        select(agent_findings).where(agent_findings.c.resolved_at.is_(None)).order_by(agent_findings.c.id)
    ):
        findings.setdefault(row.agent, []).append(_finding(row._mapping))
    lost: Counter[str] = Counter()
    # Added up here: the sum may be more than a column holds.
    for row in connection.execute(select(agent_epochs.c.agent, agent_epochs.c.lost)):
        lost[row.agent] += row.lost
    until = {
        row.agent: row.not_after
        for row in connection.execute(
            select(agent_keys.c.agent, func.max(agent_keys.c.not_after).label("not_after")).group_by(
                agent_keys.c.agent
            )
        )
    }
    rows = agent_rows(connection) if rows is None else rows
    newest = current_settings(connection)
    found = (
        _health(
            row._mapping,
            now=now,
            lost=lost[row.name],
            until=until.get(row.name),
            findings=tuple(findings.get(row.name, ())),
        )
        for row in rows
    )
    return [
        msgspec.structs.replace(agent, findings=(*agent.findings, *_of_settings(agent, newest, now)))
        for agent in found
    ]


def _of_settings(agent: AgentHealth, newest: AgentSettings | None, now: int) -> Iterator[Finding]:
    """Of agents that speak: whether they go by the settings that were set for them."""
    heard = agent.heartbeat_at
    if heard is None or agent.state != "enrolled":
        return
    version, used = (0 if newest is None else newest.version), agent.settings_version or 0
    if agent.settings_problem is not None:
        detail = printable_name(agent.settings_problem)[:_PROBLEM_CHARACTERS]
        yield Finding("settings_not_used", detail, heard, heard, 1)
    elif used > version:
        detail = f"uses version {used}, of which this server knows nothing; set the settings again"
        yield Finding("settings_unknown", detail, heard, heard, 1)
    elif newest is not None and used < version and now - newest.issued_at >= SETTINGS_LATE:
        detail = f"uses {f'version {used}' if used else 'its own file'}, not version {version}"
        yield Finding("settings_old", detail, newest.issued_at, heard, 1)


def newest_heartbeat(connection: Connection) -> int | None:
    """When it was received."""
    found: int | None = connection.execute(select(func.max(agents.c.heartbeat_at))).scalar()
    return found


def unknown_agent_findings(connection: Connection) -> list[tuple[str, Finding]]:
    """Open findings about names that are no agents."""
    rows = connection.execute(
        select(agent_findings)
        .outerjoin(agents, agents.c.name == agent_findings.c.agent)
        .where(agent_findings.c.resolved_at.is_(None), agents.c.name.is_(None))
        .order_by(agent_findings.c.id)
        .limit(1000)
    )
    return [(row.agent, _finding(row._mapping)) for row in rows]


def _finding(row: Any) -> Finding:
    return Finding(row["kind"], row["detail"], row["first_at"], row["last_at"], row["count"])


def _health(
    row: Any, *, now: int, lost: int, until: int | None, findings: tuple[Finding, ...]
) -> AgentHealth:
    heartbeat: dict[str, Any] = row["heartbeat"] or {}
    last_sign = row["heartbeat_at"] or row["enrolled_at"]
    if row["revoked_at"] is not None:
        state = "revoked"
    elif row["enrolled_at"] is None:
        state = "invited"
    elif heartbeat.get("stopping"):
        state = "stopped"
    else:
        state = "silent" if now - last_sign > SILENT_AFTER else "enrolled"
    return AgentHealth(
        name=row["name"],
        state=state,
        heartbeat_at=row["heartbeat_at"],
        backlog_events=heartbeat.get("backlog_events", 0) if heartbeat else None,
        lost_events=max(lost, heartbeat.get("lost_events", 0)),
        clock_offset=row["clock_offset"] if row["heartbeat_at"] is not None else None,
        certificate_until=until,
        version=_version(heartbeat.get("version")),
        collectors={
            # Whatever else an agent calls its collectors: a name is not repeated on trust.
            c["name"] if c["name"] in CHANNELS else "other": c["state"]
            for c in heartbeat.get("collectors", ())
        },
        settings_version=heartbeat.get("settings_version"),
        settings_problem=heartbeat.get("settings_problem"),
        findings=findings,
        waits_for_disk=any(
            str(c.get("detail") or "").startswith("waiting: ") for c in heartbeat.get("collectors", ())
        ),
    )


def _version(version: str | None) -> str | None:
    """As far as it is one."""
    return version if version is None or _VERSION.match(version) else "odd"
