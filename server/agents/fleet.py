"""The fleet as administrators see it: every agent, how it is, whose machine it is on, what needs a look.

| standing | is |
|---|---|
| reporting | a heartbeat within LATE_MS |
| late | none for longer, but within SILENT_MS |
| silent | none for longer still |
| never | invited or enrolled, and never a heartbeat |
| stopped | said that it was stopped in good order |
| revoked | refused for good |

What is in its heartbeat an agent says about itself: a claim, no proof. Gaps are whole days before today on
which none of its collectors watched, from the day after it was enrolled on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select

from event_schema.channels import CHANNELS
from event_schema.leaver_fields import PersonStatus
from event_schema.printable import printable_name
from event_schema.struct_base import Milliseconds
from server.agents.health import AgentHealth, Finding, agent_rows, list_agents
from server.people.directory import Directory
from server.store.tables import collector_days, subject_agents, trait_bindings

LATE_MS: Final = 5 * 60_000
SILENT_MS: Final = 24 * 3_600_000
GAP_DAYS: Final = 7
STRIP_DAYS: Final = 14
DAY_MS: Final = 86_400_000
_DETAIL_CHARACTERS: Final = 200


class Standing(StrEnum):
    """The worst first."""

    SILENT = "silent"
    NEVER = "never"
    LATE = "late"
    STOPPED = "stopped"
    REPORTING = "reporting"
    REVOKED = "revoked"


class CollectorView(msgspec.Struct, frozen=True):
    """`state`: running, failed, off … as the agent says it; `detail`: what it uses, or why it does not run;
    `dropped`: observations it could not keep, by reason."""

    name: str
    state: str
    detail: str | None
    observed: int
    restarts: int
    dropped: dict[str, int]


class FleetAgent(msgspec.Struct, frozen=True):
    """`person`: who has the machine, by id; `days_to_last_day`: of them, where they are leaving.
    `clock_offset`: ms to add to its times. `oldest_unsent`: of what waits in its spool. `gaps`: days (since
    1970, UTC) of the last GAP_DAYS on which nothing watched."""

    name: str
    standing: Standing
    heartbeat_at: Milliseconds | None
    version: str | None
    person: str | None
    department: str | None
    person_status: PersonStatus | None
    days_to_last_day: int | None
    clock_offset: int | None
    backlog_events: int | None
    backlog_bytes: int | None
    oldest_unsent: Milliseconds | None
    lost_events: int
    gaps: tuple[int, ...]
    collectors: tuple[CollectorView, ...]
    settings_version: int | None
    certificate_until: Milliseconds | None
    memory_bytes: int | None
    findings: tuple[Finding, ...]

    @property
    def is_leavers(self) -> bool:
        """Whether its person is leaving or has left."""
        return self.person_status in (PersonStatus.NOTICE, PersonStatus.LEFT)

    @property
    def not_running(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.collectors if each.state != "running")


def read_fleet(connection: Connection, directory: Directory, *, now: int) -> tuple[FleetAgent, ...]:
    """All agents, the worst first: by standing, leavers' machines before others', then by what needs a look.
    now: ms UTC."""
    # Once: reading what ten thousand said last takes longer than all else here.
    rows = agent_rows(connection)
    beats: dict[str, Mapping[str, Any]] = {row.name: row.heartbeat or {} for row in rows}
    gaps = _gaps(connection, {row.name: row.enrolled_at for row in rows if row.heartbeat}, now)
    people = _people(connection, now)
    found = (
        _agent(health, beats[health.name], directory, people.get(health.name), gaps.get(health.name, ()), now)
        for health in list_agents(connection, now=now, rows=rows)
    )
    return tuple(sorted(found, key=place))


def days_watched(connection: Connection, agent: str, *, now: int) -> dict[int, tuple[str, ...]]:
    """The collectors that watched on each of the last STRIP_DAYS days (since 1970, UTC)."""
    first = now // DAY_MS - STRIP_DAYS + 1
    rows = connection.execute(
        select(collector_days.c.day, collector_days.c.collector)
        .where(collector_days.c.agent == agent, collector_days.c.day >= first)
        .order_by(collector_days.c.day, collector_days.c.collector)
    )
    found: dict[int, list[str]] = {day: [] for day in range(first, now // DAY_MS + 1)}
    for row in rows:
        if row.day in found:
            found[row.day].append(row.collector)
    return {day: tuple(names) for day, names in found.items()}


def _agent(
    health: AgentHealth,
    beat: Mapping[str, Any],
    directory: Directory,
    person_id: str | None,
    gaps: tuple[int, ...],
    now: int,
) -> FleetAgent:
    person = directory.person(person_id) if person_id is not None else None
    status, days = directory.status_at(person, now) if person is not None else (None, None)
    return FleetAgent(
        name=health.name,
        standing=_standing(health, now),
        heartbeat_at=health.heartbeat_at,
        version=health.version,
        person=person.id if person is not None else None,
        department=person.department if person is not None else None,
        person_status=status,
        days_to_last_day=days,
        clock_offset=health.clock_offset,
        backlog_events=health.backlog_events,
        backlog_bytes=beat.get("backlog_bytes"),
        oldest_unsent=beat.get("oldest_unsent"),
        lost_events=health.lost_events,
        gaps=gaps,
        collectors=tuple(map(_collector, beat.get("collectors", ()))),
        settings_version=health.settings_version,
        certificate_until=health.certificate_until,
        memory_bytes=beat.get("memory_bytes"),
        findings=health.findings,
    )


def _collector(said: Mapping[str, Any]) -> CollectorView:
    detail = said.get("detail")
    # A name is not repeated on trust.
    return CollectorView(
        name=said["name"] if said["name"] in CHANNELS else "other",
        state=str(said["state"]),
        detail=printable_name(str(detail))[:_DETAIL_CHARACTERS] if detail else None,
        observed=int(said.get("observed", 0)),
        restarts=int(said.get("restarts", 0)),
        dropped={printable_name(str(why))[:64]: int(n) for why, n in (said.get("dropped") or {}).items()},
    )


def _standing(health: AgentHealth, now: int) -> Standing:
    if health.state == "revoked":
        return Standing.REVOKED
    if health.heartbeat_at is None:
        return Standing.NEVER
    if health.state == "stopped":
        return Standing.STOPPED
    quiet = now - health.heartbeat_at
    if quiet > SILENT_MS:
        return Standing.SILENT
    return Standing.LATE if quiet > LATE_MS else Standing.REPORTING


def place(agent: FleetAgent) -> tuple[int, int, int, str]:
    """Where it stands in the list; no two stand at the same."""
    problems = len(agent.findings) + len(agent.not_running) + len(agent.gaps)
    return list(Standing).index(agent.standing), int(not agent.is_leavers), -problems, agent.name


def _gaps(connection: Connection, enrolled: Mapping[str, int | None], now: int) -> dict[str, tuple[int, ...]]:
    today = now // DAY_MS
    first = today - GAP_DAYS
    its = collector_days.c
    mostly = its.day.between(first, today - 1)
    whole = (
        select(its.agent).where(mostly).group_by(its.agent).having(func.count(its.day.distinct()) == GAP_DAYS)
    )
    # Most have none.
    without = set(connection.execute(whole).scalars())
    watched: defaultdict[str, set[int]] = defaultdict(set)
    for row in connection.execute(
        select(its.agent, its.day).where(mostly, its.agent.not_in(whole)).distinct()
    ):
        watched[row.agent].add(row.day)
    return {
        agent: tuple(
            day
            for day in range(max(first, (since or 0) // DAY_MS + 1), today)
            if day not in watched.get(agent, ())
        )
        for agent, since in enrolled.items()
        if agent not in without
    }


def _people(connection: Connection, now: int) -> dict[str, str]:
    """Person ids by agent: whose machine it is declared to be, else who was seen at it alone."""
    seen: defaultdict[str, list[str]] = defaultdict(list)
    for row in connection.execute(select(subject_agents.c.agent, subject_agents.c.subject)):
        if row.subject.startswith("person:"):
            seen[row.agent].append(row.subject.removeprefix("person:"))
    found = {agent: people[0] for agent, people in seen.items() if len(people) == 1}
    bound = trait_bindings.c
    holds = (bound.valid_from.is_(None) | (bound.valid_from <= now)) & (
        bound.valid_until.is_(None) | (bound.valid_until > now)
    )
    rows = connection.execute(
        select(bound.trait, bound.person_id).where(bound.trait.like("host:%"), holds).order_by(bound.id)
    ).all()
    return found | {row.trait.removeprefix("host:"): row.person_id for row in rows}
