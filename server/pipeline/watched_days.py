"""Days on which a collector ran, as far as an alert's words depend on them.

Silence on such a day means that nothing happened; on any other it is unknown. So when an agent tells of
further days, what was "usual" changes for whoever was seen on it, also where no event of theirs follows.
Their open alerts are written anew in the same batch: an alert is a function of what lies on the log, not
of where the log was cut. Scores are not touched: they are taken at events.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from analytics.storage_features import HISTORY_DAYS
from server.store.tables import alert_days, alerts, subject_agents

_AGENTS_PER_QUERY = 500


class GrownDays:
    """The removable-storage days that one batch's heartbeats brought. An agent brings one a day, so most
    batches have none."""

    def __init__(self) -> None:
        self._days: dict[str, set[int]] = {}

    def add(self, agent: str, days: Iterable[int]) -> None:
        self._days.setdefault(agent, set()).update(days)

    def concerned(self, connection: Connection) -> list[str]:
        """Subjects seen on these agents with an open alert that has one of the days in its history."""
        agents = sorted(self._days)
        found: set[str] = set()
        for start in range(0, len(agents), _AGENTS_PER_QUERY):
            part = agents[start : start + _AGENTS_PER_QUERY]
            first = min(min(self._days[agent]) for agent in part)
            rows = connection.execute(
                select(alerts.c.subject, subject_agents.c.agent, alert_days.c.day)
                .join(alert_days, alert_days.c.alert == alerts.c.id)
                .join(subject_agents, subject_agents.c.subject == alerts.c.subject)
                .where(
                    alerts.c.status == "open",
                    subject_agents.c.agent.in_(part),
                    alert_days.c.day > first,
                )
            )
            found.update(subject for subject, agent, day in rows if self._in_history(agent, day))
        return sorted(found)

    def touched(self, connection: Connection) -> set[str]:
        """All subjects seen on these agents: memory of them elsewhere is stale."""
        agents = sorted(self._days)
        found: set[str] = set()
        for start in range(0, len(agents), _AGENTS_PER_QUERY):
            part = agents[start : start + _AGENTS_PER_QUERY]
            query = select(subject_agents.c.subject).where(subject_agents.c.agent.in_(part))
            found.update(connection.execute(query).scalars())
        return found

    def _in_history(self, agent: str, day: int) -> bool:
        return any(new < day <= new + HISTORY_DAYS for new in self._days[agent])
