"""Days on which collectors ran, as far as an alert's words depend on them.

Silence on such a day means that nothing happened; on any other it is unknown. So when an agent tells of
further days, what was "usual", and what could not be seen, changes for whoever was seen on it, also where no
event of theirs follows; of collectors that see the whole company, for everybody. Their open alerts are
written anew in the same batch: an alert is a function of what lies on the log, not of where the log was cut.
Scores are not touched: they are taken at events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from sqlalchemy import Connection, select

from analytics.drift_features import HISTORY_DAYS
from server.store.tables import alert_days, alerts, subject_agents

_AGENTS_PER_QUERY = 500


class GrownDays:
    """The days that one batch's heartbeats brought. An agent brings one a day, so most batches have none."""

    def __init__(self) -> None:
        self._days: dict[str, set[int]] = {}
        self._anywhere: set[int] = set()

    def add(self, agent: str, days: Iterable[int], anywhere: Iterable[int] = ()) -> None:
        """`anywhere`: of these, days of a collector that sees the company, which ran nowhere before."""
        self._days.setdefault(agent, set()).update(days)
        self._anywhere.update(anywhere)

    def concerned(self, connection: Connection) -> list[str]:
        """Subjects with an alert that is not closed, of which one of the days is told."""
        found: set[str] = set()
        is_open = alerts.c.status != "closed"
        if self._anywhere:
            days = (
                select(alerts.c.subject, alert_days.c.day)
                .join(alert_days, alert_days.c.alert == alerts.c.id)
                .where(is_open, alert_days.c.day >= min(self._anywhere))
            )
            found.update(s for s, day in connection.execute(days) if _tells(day, self._anywhere))
        for part in self._parts():
            first = min(min(self._days[agent]) for agent in part)
            seen = (
                select(alerts.c.subject, alert_days.c.day, subject_agents.c.agent)
                .join(alert_days, alert_days.c.alert == alerts.c.id)
                .join(subject_agents, subject_agents.c.subject == alerts.c.subject)
                .where(is_open, subject_agents.c.agent.in_(part), alert_days.c.day >= first)
            )
            rows = connection.execute(seen)
            found.update(subject for subject, day, agent in rows if _tells(day, self._days[agent]))
        return sorted(found)

    def touched(self, connection: Connection) -> set[str]:
        """All subjects seen on these agents: memory of them elsewhere is stale."""
        found: set[str] = set()
        for part in self._parts():
            query = select(subject_agents.c.subject).where(subject_agents.c.agent.in_(part))
            found.update(connection.execute(query).scalars())
        return found

    def _parts(self) -> Iterator[Sequence[str]]:
        agents = sorted(self._days)
        for start in range(0, len(agents), _AGENTS_PER_QUERY):
            yield agents[start : start + _AGENTS_PER_QUERY]


def _tells(day: int, grown: Collection[int]) -> bool:
    """Whether an alert's day is one of these, or has one in its history."""
    return any(new <= day <= new + HISTORY_DAYS for new in grown)
