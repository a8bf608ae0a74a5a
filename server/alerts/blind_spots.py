"""What the server knows that an alert's agents could not tell it: gaps, losses, unreadable records,
collectors that did not run, agents that were not heard of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from event_schema.channels import CHANNELS
from event_schema.printable import printable_name
from server.agents.health import SILENT_AFTER
from server.alerts.evidence_blocks import alert_ranges
from server.store.tables import (
    agent_findings,
    agents,
    alert_days,
    alerts,
    collector_days,
    subject_agents,
    subject_events,
)

BLIND_SPOTS_MAX = 20
_AGENTS_MAX: Final = 500
_DAYS_TOLD: Final = 3
_REASONS_TOLD: Final = 3
_BEFORE_DAYS: Final = 30
"""Who watched within so many days before the alert is missed where it did not."""
_DAY_MS: Final = 86_400_000
_DETAIL_CHARACTERS: Final = 200
_AT_WORK: Final = ("running", "starting")


class BlindSpot(msgspec.Struct, frozen=True):
    """About an agent that evidence comes from, or at which the alert's subject was seen."""

    agent: str
    kind: str
    """Of an open finding (pipeline/agent_state.py), or not_watching, degraded, not_heard_of."""
    detail: str


def blind_spots(connection: Connection, alert_id: int) -> list[BlindSpot]:
    """Findings, the latest first, then what else an agent did not see; at most BLIND_SPOTS_MAX."""
    alert = connection.execute(
        select(alerts.c.subject, alerts.c.first_time, alerts.c.last_time).where(alerts.c.id == alert_id)
    ).one()
    telling = {found.agent for found in alert_ranges(connection, alert_id)}
    used = select(subject_agents.c.agent).where(
        subject_agents.c.subject == alert.subject, subject_agents.c.first_time <= alert.last_time
    )
    names = sorted(telling) + sorted(set(connection.execute(used).scalars()) - telling)
    query = (
        select(agent_findings.c.agent, agent_findings.c.kind, agent_findings.c.detail)
        .where(agent_findings.c.agent.in_(names[:_AGENTS_MAX]), agent_findings.c.resolved_at.is_(None))
        .order_by(agent_findings.c.last_at.desc(), agent_findings.c.id.desc())
        .limit(BLIND_SPOTS_MAX)
    )
    found = [BlindSpot(*row) for row in connection.execute(query)]
    found += _not_watching(connection, alert_id, alert.subject, names[:_AGENTS_MAX])
    found += _heartbeats(connection, alert_id, alert.first_time, alert.last_time, names[:_AGENTS_MAX])
    return found[:BLIND_SPOTS_MAX]


def _places(connection: Connection, alert_id: int) -> tuple[list[int], set[str]]:
    """The alert's local days, and the collectors that its evidence is of."""
    rows = connection.execute(
        select(alert_days.c.day, alert_days.c.channel).where(alert_days.c.alert == alert_id)
    ).all()
    return sorted({row.day for row in rows}), {row.channel for row in rows} & set(CHANNELS)


def _not_watching(
    connection: Connection, alert_id: int, subject: str, names: list[str]
) -> Iterator[BlindSpot]:
    """Collectors that ran on the subject's machine before, and not on one of the alert's days."""
    days, channels = _places(connection, alert_id)
    if not days:
        return
    row = collector_days.c
    query = select(row.agent, row.collector, row.day).where(
        row.agent.in_(names),
        row.collector.in_(sorted(channels)),
        row.day >= days[0] - _BEFORE_DAYS,
        row.day <= days[-1] + 1,
    )
    ran: dict[tuple[str, str], set[int]] = defaultdict(set)
    for agent, collector, day in connection.execute(query):
        ran[agent, collector].add(day)
    at = subject_events.c
    told = {
        (each.agent, each.channel, each.day)
        for each in connection.execute(
            select(at.agent, at.channel, at.day)
            .where(at.subject == subject, at.day.in_(days), at.agent.in_(names))
            .distinct()
        )
    }
    for (agent, collector), watched in sorted(ran.items()):
        # Heartbeats count days in UTC: east of it a local day begins while the day before is still told.
        seen = watched | {days[-1]} if days[-1] - 1 in watched else watched
        missed = [day for day in days if day not in seen and (agent, collector, day) not in told]
        if missed:
            yield BlindSpot(agent, "not_watching", f"{collector} did not run on {_days(missed)}")


def _heartbeats(
    connection: Connection, alert_id: int, first_time: int, last_time: int, names: list[str]
) -> Iterator[BlindSpot]:
    """Agents that were not heard of since the alert's last event, and collectors that do not run."""
    _, channels = _places(connection, alert_id)
    at = agents.c
    query = select(at.name, at.heartbeat_at, at.heartbeat).where(
        at.name.in_(names), at.revoked_at.is_(None), at.heartbeat_at >= first_time - _BEFORE_DAYS * _DAY_MS
    )
    for row in connection.execute(query.order_by(at.name)):
        if row.heartbeat_at < last_time - SILENT_AFTER:
            heard = datetime.fromtimestamp(row.heartbeat_at / 1000, UTC)
            yield BlindSpot(
                row.name,
                "not_heard_of",
                f"nothing since {heard:%Y-%m-%d %H:%M} UTC, before the alert's last event",
            )
        yield from _degraded(row.name, row.heartbeat or {}, channels)


def _degraded(agent: str, heartbeat: dict[str, Any], channels: Collection[str]) -> Iterator[BlindSpot]:
    for each in heartbeat.get("collectors", ()):
        if each["name"] not in channels:
            continue
        if each["state"] not in _AT_WORK:
            why = printable_name(str(each.get("detail") or ""))[:_DETAIL_CHARACTERS]
            detail = f"{each['name']} is {each['state']} by its last heartbeat"
            yield BlindSpot(agent, "degraded", f"{detail}: {why}" if why else detail)
        elif lost := {str(reason): int(n) for reason, n in each.get("dropped", {}).items() if n}:
            most = sorted(lost, key=lambda reason: (-lost[reason], reason))[:_REASONS_TOLD]
            told = ", ".join(f"{printable_name(reason)} {lost[reason]:,}" for reason in most)
            detail = f"{each['name']} counts what it could not do since it started: {told}"
            yield BlindSpot(agent, "degraded", detail)


def _days(days: list[int]) -> str:
    shown = [(date(1970, 1, 1) + timedelta(days=day)).isoformat() for day in days[:_DAYS_TOLD]]
    more = len(days) - len(shown)
    return ", ".join(shown) + (f" and {more} more day{'' if more == 1 else 's'}" if more else "")
