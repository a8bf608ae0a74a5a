"""The line of the coming week comes from rules and the new model together, from no confirmed leak."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import insert

from analytics.anomaly_training import PastDays
from analytics.measures import ACTIVITIES
from analytics.risk_line import ALERT_LINE, LineScores, PastRisk
from server.store.database import Database
from server.store.tables import alert_days, alerts, rule_days
from server.training.activity_training import train_activities
from server.training.company_days import DAY_ZERO
from server.training.past_risks import fitted_line, past_risks
from server.training.stored_models import active_risk_line, load_model
from tests.server.conftest import NOW
from tests.server.training.measured_company import END, measured_company, subject
from tests.server.training.test_company_days import add_alert

FIRST = END - 28
WEB = list(ACTIVITIES).index("web_upload")
MAIL = list(ACTIVITIES).index("mail")
SUBJECTS = [f"person:p{n}" for n in range(4)]

pytestmark = pytest.mark.databases("sqlite")


def hit(
    database: Database,
    who: str,
    day: int,
    *,
    rule: str = "r1",
    level: str = "medium",
    family: str = "upload",
    channel: str = "uploads",
    outside: bool = False,
) -> None:
    with database.begin() as connection:
        connection.execute(
            insert(rule_days).values(
                subject=who,
                rule_id=rule,
                channel=channel,
                day=day,
                family=family,
                level=level,
                title="An upload",
                hits=1,
                first_time=0,
                last_time=0,
                first_version=1,
                last_version=1,
                outside_budget=outside,
            )
        )


def confirm(database: Database, who: str, day: int) -> None:
    with database.begin() as connection:
        raised = add_alert(verdict="confirmed") | {"subject": who}
        number = connection.execute(insert(alerts).values(raised).returning(alerts.c.id)).scalar_one()
        connection.execute(insert(alert_days).values(alert=number, channel="uploads", day=day, whole=True))


def quiet(days: int = 28) -> PastDays:
    shape = (len(SUBJECTS), days)
    return PastDays(
        first_day=FIRST + DAY_ZERO,
        seen=np.ones(shape, dtype=np.bool_),
        points=np.zeros(shape),
        activity=np.full(shape, WEB),
        slow_points=np.zeros(shape),
        slow_activity=np.full(shape, MAIL),
    )


def found(database: Database, past: PastDays) -> list[PastRisk]:
    with database.read() as connection:
        return sorted(past_risks(connection, SUBJECTS, past), key=repr)


@pytest.mark.databases("sqlite", "postgresql")
def test_rules_and_points_of_a_family_are_one_risk_and_two_channels_of_a_rule_one_hit(
    database: Database,
) -> None:
    past = quiet()
    past.points[0, 3] = 40.0
    hit(database, SUBJECTS[0], FIRST + 3)
    hit(database, SUBJECTS[0], FIRST + 3, channel="sync_folders")
    hit(database, SUBJECTS[0], FIRST + 3, family="printing", rule="r2", level="low")
    assert found(database, past) == [PastRisk(SUBJECTS[0], FIRST + 3, LineScores(70, 70, 0))]


def test_drift_counts_in_its_own_family_and_is_known_by_itself(database: Database) -> None:
    past = quiet()
    past.slow_points[1, 5] = 60.0
    past.points[1, 5] = 30.0
    assert found(database, past) == [PastRisk(SUBJECTS[1], FIRST + 5, LineScores(60, 0, 60))]


def test_hits_of_the_weeks_before_weigh_and_make_no_day_of_their_own(database: Database) -> None:
    hit(database, SUBJECTS[0], FIRST - 1, level="high")
    hit(database, SUBJECTS[0], FIRST + 1, level="low", rule="r2")
    (risk,) = found(database, quiet())
    assert (risk.day, risk.scores.score) == (FIRST + 1, 74)


def test_what_is_outside_of_the_budget_uses_none_of_it(database: Database) -> None:
    hit(database, SUBJECTS[0], FIRST + 1, outside=True)
    hit(database, "account:nobody", FIRST + 2)
    assert [each.subject for each in found(database, quiet())] == ["account:nobody"]


def test_a_cold_start_has_the_line_of_50(database: Database) -> None:
    hit(database, SUBJECTS[0], FIRST + 1)
    with database.read() as connection:
        line = fitted_line(connection, SUBJECTS, quiet(days=0), 5.0)
    assert (line.line, line.alerts_a_day) == (ALERT_LINE, 0)


def test_the_line_rises_with_what_rules_find_beyond_the_budget(database: Database) -> None:
    for who in SUBJECTS:
        for day in (1, 9, 17, 25):
            hit(database, who, FIRST + day, rule=f"r{day}")
    with database.read() as connection:
        generous = fitted_line(connection, SUBJECTS, quiet(), 500.0)
        scarce = fitted_line(connection, SUBJECTS, quiet(), 100.0)
    assert (generous.line, generous.alerts_a_day) == (50, round(16 / 28, 2))
    assert scarce.line > 50
    assert scarce.alerts_a_day <= scarce.allowed_a_day == 0.3


def test_days_of_a_confirmed_leak_are_left_out(database: Database) -> None:
    hit(database, subject(0), FIRST + 1, level="high")
    confirm(database, subject(0), FIRST + 1)
    assert found(database, quiet()) == []


def test_a_training_keeps_the_line_with_the_model_and_gives_the_same_again(database: Database) -> None:
    measured_company(database, subjects=40, days=30)
    for number in range(40):
        hit(database, subject(number), FIRST + number % 20)
    made = [train_activities(database, now=NOW, trees=3) for _ in range(2)]
    first, second = (each.summary for each in made)
    assert first.risk_line > ALERT_LINE
    assert first.risk_line == second.risk_line and first.risk_alerts_a_day == second.risk_alerts_a_day
    assert first.risk_alerts_allowed == round(0.75 * 5 * 40 / 1000, 2)
    with database.read() as connection:
        assert load_model(connection, made[0].id).content.risk_line == first.risk_line
        assert active_risk_line(connection) == first.risk_line
