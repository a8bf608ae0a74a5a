"""What the server knows that an alert's agents could not tell it: gaps, losses, unreadable records."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select

from server.alerts.evidence_blocks import alert_ranges
from server.store.tables import agent_findings

BLIND_SPOTS_MAX = 20


class BlindSpot(msgspec.Struct, frozen=True):
    """An open finding about an agent that evidence comes from."""

    agent: str
    kind: str
    detail: str


def blind_spots(connection: Connection, alert_id: int) -> list[BlindSpot]:
    """The latest first, at most BLIND_SPOTS_MAX."""
    names = sorted({found.agent for found in alert_ranges(connection, alert_id)})
    query = (
        select(agent_findings.c.agent, agent_findings.c.kind, agent_findings.c.detail)
        .where(agent_findings.c.agent.in_(names[:500]), agent_findings.c.resolved_at.is_(None))
        .order_by(agent_findings.c.last_at.desc(), agent_findings.c.id.desc())
        .limit(BLIND_SPOTS_MAX)
    )
    return [BlindSpot(*row) for row in connection.execute(query)]
