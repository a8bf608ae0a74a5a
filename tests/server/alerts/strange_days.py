"""Days as a model found them, put into a real database, and the alerts that come of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, select

from analytics.alert_queues import DAY_QUEUE
from analytics.anomaly_model import AnomalyModel
from analytics.anomaly_training import train
from analytics.risk import Level
from analytics.risk_line import ALERT_LINE
from policies.engine import PolicySet
from server.alerts.queries import Verdict, close_alert
from server.alerts.raising import raise_alerts
from server.pipeline.commit import write_subjects
from server.pipeline.memory import Memory
from server.pipeline.subject_state import load_subjects
from server.store.database import Database
from server.store.tables import alerts, queue_days
from server.store.upsert import insert_missing
from tests.analytics.company_days import company, panel_of
from tests.server.conftest import NOW

TODAY = NOW // 86_400_000
COLD_MODEL = train(panel_of(company(3, 20, 6)), seed=1, trees=2)


class StrangeDay(msgspec.Struct, frozen=True):
    subject: str
    day: int = TODAY
    points: float = 0.0
    slow: float = 0.0
    family: str = "upload"
    evidence: Mapping[str, float] = msgspec.field(default_factory=lambda: {"web_upload": 9.0})
    rule: Level | None = None
    """Of a rule that hits on the day as well; a critical one is outside of the budget."""
    outside: bool = False
    uncalmed: float = 0.0


class CappedModel(AnomalyModel):
    day_cap: int = 0


def model_with(*, day_cap: int, line: int = ALERT_LINE) -> CappedModel:
    """With this cap and line of the day queue for its 100 subjects."""
    budget = day_cap / (3 * 0.75 * 100 / 1000)
    content = msgspec.structs.replace(
        COLD_MODEL.content, subjects=100, alerts_per_1000_a_day=budget, risk_line=line
    )
    model = CappedModel(content)
    model.day_cap = day_cap
    return model


def write_strange(
    connection: Connection, model: AnomalyModel | None, days: Sequence[StrangeDay], *, now: int = NOW
) -> list[int]:
    """As one batch; the scores of the alerts that it opened."""
    memory = Memory(connection, lambda: now, policies=PolicySet([]))
    memory.scorer.model = model
    subjects = sorted({each.subject for each in days})
    states = load_subjects(connection, subjects)
    if isinstance(model, CappedModel) and model.day_cap < DAY_QUEUE.cap_min:
        # Fewer than any budget gives: what is tested is easier to see.
        rows = {each.day: {"queue": "day", "day": each.day, "cap": model.day_cap} for each in days}
        line = {"line": model.content.risk_line}
        insert_missing(connection, queue_days, [row | line for row in rows.values()])
    for each in days:
        state = states[each.subject]
        row = state.channel_day("uploads", each.day, "work")
        row.events += 1
        row.first_time = min(row.first_time, each.day * 86_400_000)
        row.last_time = max(row.last_time, each.day * 86_400_000 + row.events)
        strange = state.anomaly_day(each.day)
        strange.points = max(strange.points, each.points)
        strange.slow_points = max(strange.slow_points, each.slow)
        strange.uncalmed = max(strange.uncalmed, each.uncalmed, each.points)
        strange.family = each.family if strange.points else ""
        strange.slow_family = each.family if strange.slow_points else ""
        strange.evidence = dict(each.evidence)
        if each.rule is not None:
            place = (f"rule-{each.rule}", "uploads", each.day)
            state.rule_hit(
                place,
                family=each.family,
                level=each.rule,
                title="An upload",
                time=row.last_time,
                version=1,
                outside_budget=each.outside or each.rule == "critical",
            )
    write_subjects(connection, states.values())
    moved = raise_alerts(connection, memory, list(states.values()), dict.fromkeys(subjects), now=now)
    return moved.opened


def take(database: Database, model: AnomalyModel | None, *days: StrangeDay, now: int = NOW) -> list[int]:
    with database.begin(alone=False) as connection:
        return write_strange(connection, model, days, now=now)


def by_status(database: Database, status: str) -> list[str]:
    """Subjects of alerts, in order."""
    with database.read() as connection:
        query = select(alerts.c.subject).where(alerts.c.status == status).order_by(alerts.c.subject)
        return list(connection.execute(query).scalars())


def person(number: int) -> str:
    return f"person:p{number}"


def close(database: Database, subject: str, verdict: Verdict = Verdict.EXPECTED) -> int:
    with database.begin() as connection:
        query = select(alerts.c.id).where(alerts.c.subject == subject, alerts.c.status != "closed")
        number = int(connection.execute(query).scalar_one())
        close_alert(connection, number, verdict, "agreed", "omar", NOW)
    return number
