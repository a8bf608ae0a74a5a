"""Which alerts are open, of those that no rule puts outside of the budget: each of their days is a
candidate in a queue.

Of a queue's local day the candidates of the highest risk are let through, as many as its cap, without
those that cool down (cooling.py); an alert is open while any of its days is let through. All others are
held: found, kept, shown (below.py), not alerted. So an open alert takes further days in without asking.

Whoever changes a candidate locks the queues and ranks its day anew (ranking.py). What is open depends on what
the days hold, not on the order in which it came or on which worker was first. An alert that is outside of
the budget needs no place.

A day's cap and line are the active model's when its first candidate comes, for as many subjects as the
model was trained on: by those seen so far today it would hold in the morning what it lets through at
noon. Without a model they are ALERT_LINE and the default budget's, for as many subjects as are known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select

from analytics.alert_queues import DAY_QUEUE
from analytics.risk_line import ALERT_LINE
from server.alerts.cooling import QUEUES, CoolDown, cool_downs, cooling_after
from server.alerts.ranking import Moved, QueueDay, portions, rank
from server.detection.assessment import Candidate, Lines
from server.store.postgresql import lock_queues
from server.store.tables import alert_candidates, queue_days, subject_agents
from server.store.upsert import insert_missing, upsert
from server.training.stored_models import ActiveBudget


class AlertPlace(NamedTuple):
    """At most one alert that is not closed."""

    subject: str
    family: str


class StoredCandidate(NamedTuple):
    """Of an alert and day. `cooling`: the closed alert that the subject cools down after."""

    queue: str
    risk: float
    points: float
    strength: float
    cooling: int | None


def day_lines(connection: Connection, current: int, *, since: int) -> Lines:
    """The day queue's: of local days from `since` on that had candidates, and of all others."""
    at = queue_days.c
    query = select(at.day, at.line).where(at.queue == DAY_QUEUE.name, at.day >= since)
    return Lines(current, {row.day: row.line for row in connection.execute(query)})


class AlertQueues:
    """Of one write transaction: `look` before any alert is written, `write` after each, then `rank`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stored: dict[AlertPlace, dict[int, StoredCandidate]] = {}
        self._wanted: dict[AlertPlace, dict[int, StoredCandidate]] = {}
        self._changed: set[QueueDay] = set()
        self._concerned: set[int] = set()
        self.without_ground: set[AlertPlace] = set()
        """Of the lasting ones those with days that are no longer over the line."""
        self.ranked: set[int] = set()
        """Alerts that `rank` may have opened or put out."""

    def look(
        self,
        candidates: Mapping[AlertPlace, Sequence[Candidate]],
        numbers: Mapping[AlertPlace, int],
        budget: ActiveBudget | None,
        *,
        since: int,
        lasting: Collection[AlertPlace] = (),
    ) -> None:
        """`candidates`: of all alerts that are looked at; none of one outside of the budget. `numbers`: of
        those that are there. `since`: the first local day that is known; older candidates stay. `lasting`:
        alerts of which all do: they are open, and days that are erased by now, or that looking back found to
        be less, close no alert. Only stronger ones of the same day put them out."""
        stored = _stored(self._connection, list(numbers.values()))
        subjects = sorted({place.subject for place, days in candidates.items() if days})
        after: dict[str, list[CoolDown]] = {}
        for part in portions(subjects):
            after |= cool_downs(self._connection, part)
        for place, days in candidates.items():
            known = stored.get(numbers.get(place, 0), {})
            wanted = {day: each for day, each in known.items() if day < since or place in lasting}
            if any(day >= since for day in wanted.keys() - {each.day for each in days}):
                self.without_ground.add(place)
            for each in days:
                cool = after.get(place.subject, ())
                wanted[each.day] = _wanted(each, place.family, known.get(each.day), cool)
            self._stored[place], self._wanted[place] = known, wanted
            self._changed |= _changed(known, wanted)
        if self._changed:
            lock_queues(self._connection)
            _set_caps(self._connection, self._changed, budget or ActiveBudget())

    def write(self, place: AlertPlace, alert: int) -> None:
        """The candidates of an alert that is written."""
        known, wanted = self._stored.get(place, {}), self._wanted.get(place, {})
        if known == wanted:
            return
        self._concerned.add(alert)
        at = alert_candidates.c
        if gone := sorted(known.keys() - wanted.keys()):
            self._connection.execute(delete(alert_candidates).where(at.alert == alert, at.day.in_(gone)))
        rows = [
            {"alert": alert, "day": day} | each._asdict()
            for day, each in sorted(wanted.items())
            if known.get(day) != each
        ]
        upsert(self._connection, alert_candidates, rows)

    def rank(self, now: int) -> Moved:
        """Opens and holds. now: ms UTC."""
        moved = rank(self._connection, self._changed, now, concerned=self._concerned)
        self.ranked = moved.ranked
        return moved


def _changed(known: Mapping[int, StoredCandidate], wanted: Mapping[int, StoredCandidate]) -> set[QueueDay]:
    """Days to rank anew: those that differ, and those that came with one that is gone."""
    found: set[QueueDay] = set()
    for day in known.keys() | wanted.keys():
        if known.get(day) == wanted.get(day):
            continue
        queues = {side[day].queue for side in (known, wanted) if day in side}
        found |= {QueueDay(queue, day) for queue in queues}
        if day in known and (day not in wanted or len(queues) > 1):
            found |= {
                QueueDay(each.queue, later)
                for later, each in wanted.items()
                if each.queue in queues and day < later < day + QUEUES[each.queue].cool_down_days
            }
    return found


def _set_caps(connection: Connection, days: Collection[QueueDay], budget: ActiveBudget) -> None:
    """Where they have none."""
    subjects = budget.subjects
    if subjects is None:
        known = select(func.count(subject_agents.c.subject.distinct()))
        subjects = int(connection.execute(known).scalar_one())
    rows = [
        each._asdict()
        | {
            "cap": QUEUES[each.queue].cap(budget.alerts_per_1000_a_day, max(subjects, 1)),
            "line": budget.risk_line if each.queue == DAY_QUEUE.name else ALERT_LINE,
        }
        for each in sorted(days)
    ]
    insert_missing(connection, queue_days, rows)


def _wanted(
    candidate: Candidate, family: str, known: StoredCandidate | None, after: Sequence[CoolDown]
) -> StoredCandidate:
    # What took part once goes on, in either queue: a verdict on another alert holds nothing back that was
    # there before.
    took_part = known is not None and known.cooling is None
    cooling = None if took_part else cooling_after(after, candidate, family)
    return StoredCandidate(candidate.queue, candidate.risk, candidate.points, candidate.strength, cooling)


def _stored(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[int, StoredCandidate]]:
    at = alert_candidates.c
    columns = [at[name] for name in StoredCandidate._fields]
    found: dict[int, dict[int, StoredCandidate]] = {}
    for part in portions(numbers):
        for alert, day, *rest in connection.execute(
            select(at.alert, at.day, *columns).where(at.alert.in_(part))
        ):
            found.setdefault(alert, {})[day] = StoredCandidate(*rest)
    return found
