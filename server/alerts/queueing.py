"""Which alerts are open, of those that no rule puts outside of the budget: each of their days is a
candidate in a queue.

Of a queue's local day the candidates of the highest risk are let through, as many as its cap, without
those that cool down (cooling.py); an alert is open while any of its days is let through. All others are
held: found, kept, shown (below.py), not alerted. So an open alert takes further days in without asking.

Whoever changes a candidate locks its day and ranks all of that day anew, in the database. What is open
depends on what the days hold, not on the order in which it came or on which worker was first. An alert
that a person closed keeps the place that it had, and one that is outside of the budget needs none.

A day's cap and line are the active model's when its first candidate comes, for as many subjects as the
model was trained on: by those seen so far today it would hold in the morning what it lets through at
noon. Without a model they are ALERT_LINE and the default budget's, for as many subjects as are known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection, delete, func, select, update

from analytics.alert_queues import BUDGET, DAY_QUEUE
from analytics.anomaly_model import AnomalyModel
from analytics.risk_line import ALERT_LINE
from server.alerts.cooling import QUEUES, CoolDown, cool_downs, cooling_after
from server.detection.assessment import Candidate, Lines
from server.store.tables import alert_candidates, alerts, queue_days, subject_agents
from server.store.upsert import insert_missing, upsert

OPEN, HELD, CLOSED = "open", "held", "closed"
_AT_ONCE = 500
_Key = TypeVar("_Key", int, str)


class AlertPlace(NamedTuple):
    """At most one alert that is not closed."""

    subject: str
    family: str


class QueueDay(NamedTuple):
    queue: str
    day: int


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
        self._caps: dict[QueueDay, int] = {}
        self._concerned: set[int] = set()
        self.without_ground: set[AlertPlace] = set()
        """Of the lasting ones those with days that are no longer over the line."""
        self.ranked: set[int] = set()
        """Alerts that `rank` may have opened or put out."""

    def look(
        self,
        candidates: Mapping[AlertPlace, Sequence[Candidate]],
        numbers: Mapping[AlertPlace, int],
        model: AnomalyModel | None,
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
        for part in _portions(subjects):
            after |= cool_downs(self._connection, part)
        changed: set[QueueDay] = set()
        for place, days in candidates.items():
            known = stored.get(numbers.get(place, 0), {})
            wanted = {day: each for day, each in known.items() if day < since or place in lasting}
            if any(day >= since for day in wanted.keys() - {each.day for each in days}):
                self.without_ground.add(place)
            for each in days:
                cool = after.get(place.subject, ())
                wanted[each.day] = _wanted(each, place.family, known.get(each.day), cool)
            self._stored[place], self._wanted[place] = known, wanted
            for day in known.keys() | wanted.keys():
                if known.get(day) != wanted.get(day):
                    changed |= {QueueDay(side[day].queue, day) for side in (known, wanted) if day in side}
        self._caps = lock_days(self._connection, changed, model)

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

    def rank(self, now: int) -> list[int]:
        """Opens and holds. Returns the scores of those that it opened. now: ms UTC."""
        moved = set(self._concerned)
        for place, cap in sorted(self._caps.items()):
            moved |= _rank_day(self._connection, place, cap)
        self.ranked = moved
        return _open_or_hold(self._connection, moved, now)


def lock_days(
    connection: Connection, days: Collection[QueueDay], model: AnomalyModel | None
) -> dict[QueueDay, int]:
    """Their caps. Nobody else ranks them until the transaction ends."""
    if days:
        if model is not None:
            content = model.content
            budget, subjects, line = content.alerts_per_1000_a_day, content.subjects, content.risk_line
        else:
            known = select(func.count(subject_agents.c.subject.distinct()))
            budget, subjects, line = BUDGET, connection.execute(known).scalar_one(), ALERT_LINE
        rows = [
            each._asdict()
            | {
                "cap": QUEUES[each.queue].cap(budget, max(subjects, 1)),
                "line": line if each.queue == DAY_QUEUE.name else ALERT_LINE,
            }
            for each in sorted(days)
        ]
        insert_missing(connection, queue_days, rows)
    caps = {}
    for each in sorted(days):
        mine = (queue_days.c.queue == each.queue) & (queue_days.c.day == each.day)
        caps[each] = connection.execute(select(queue_days.c.cap).where(mine).with_for_update()).scalar() or 0
    return caps


def _wanted(
    candidate: Candidate, family: str, known: StoredCandidate | None, after: Sequence[CoolDown]
) -> StoredCandidate:
    # What took part once goes on: a verdict on another alert holds nothing back that was there before.
    took_part = known is not None and known.queue == candidate.queue and known.cooling is None
    cooling = None if took_part else cooling_after(after, candidate, family)
    return StoredCandidate(candidate.queue, candidate.risk, candidate.points, candidate.strength, cooling)


def _stored(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[int, StoredCandidate]]:
    at = alert_candidates.c
    columns = [at[name] for name in StoredCandidate._fields]
    found: dict[int, dict[int, StoredCandidate]] = {}
    for part in _portions(numbers):
        for alert, day, *rest in connection.execute(
            select(at.alert, at.day, *columns).where(at.alert.in_(part))
        ):
            found.setdefault(alert, {})[day] = StoredCandidate(*rest)
    return found


def _rank_day(connection: Connection, place: QueueDay, cap: int) -> set[int]:
    """Alerts of which a day was let in or put out."""
    at = alert_candidates.c
    rows = connection.execute(
        select(at.alert, at.cooling, at.admitted, alerts.c.status)
        .join(alerts, alerts.c.id == at.alert)
        .where(at.queue == place.queue, at.day == place.day)
        .order_by(at.risk.desc(), at.strength.desc(), alerts.c.subject, at.alert)
    ).all()
    free = cap - sum(row.admitted for row in rows if row.status == CLOSED)
    moved: dict[bool, list[int]] = {True: [], False: []}
    for row in rows:
        if row.status == CLOSED:
            continue
        admitted = row.cooling is None and free > 0
        free -= admitted
        if admitted != row.admitted:
            moved[admitted].append(row.alert)
    for admitted, numbers in moved.items():
        for part in _portions(numbers):
            connection.execute(
                update(alert_candidates)
                .where(at.day == place.day, at.alert.in_(part))
                .values(admitted=admitted)
            )
    return {*moved[True], *moved[False]}


def _open_or_hold(connection: Connection, numbers: Iterable[int], now: int) -> list[int]:
    scores: list[int] = []
    at = alert_candidates.c
    for part in _portions(sorted(numbers)):
        let_through = set(
            connection.execute(select(at.alert).where(at.alert.in_(part), at.admitted)).scalars()
        )
        query = select(alerts.c.id, alerts.c.status, alerts.c.score).where(
            alerts.c.id.in_(part), alerts.c.status != CLOSED, ~alerts.c.by_rules
        )
        for row in connection.execute(query.order_by(alerts.c.id)).all():
            status = OPEN if row.id in let_through else HELD
            if status == row.status:
                continue
            values = {"status": status, "updated_at": now} | ({"opened_at": now} if status == OPEN else {})
            connection.execute(update(alerts).where(alerts.c.id == row.id).values(values))
            if status == OPEN:
                scores.append(row.score)
    return scores


def _portions(numbers: Sequence[_Key]) -> Iterable[Sequence[_Key]]:
    return (numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE))
