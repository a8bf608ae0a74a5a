"""Rules share a day's places and its line with the anomaly, but for those outside of the budget."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select

from server.alerts.below import not_alerted
from server.alerts.queries import Verdict, close_alert
from server.store.database import Database
from server.store.tables import alert_days, alerts, models, queue_days, subject_agents
from server.store.upsert import insert_new
from tests.server.alerts.strange_days import TODAY, StrangeDay, by_status, close, model_with, person, take
from tests.server.conftest import NOW

THREE = model_with(day_cap=3)


def test_rules_outside_of_the_budget_take_no_place_in_it(database: Database) -> None:
    take(database, THREE, *(StrangeDay(person(n), points=60 + n) for n in range(4)))
    assert take(database, THREE, StrangeDay(person(7), points=99, rule="medium", outside=True)) == [100]
    assert by_status(database, "held") == [person(0)]
    # One that was held is opened by a rule, and no longer competes.
    assert len(take(database, THREE, StrangeDay(person(0), points=60, rule="critical"))) == 1
    assert take(database, THREE, StrangeDay(person(3), rule="critical")) == []
    assert by_status(database, "held") == []
    take(database, THREE, StrangeDay(person(5), points=55))
    assert by_status(database, "held") == []


def test_what_is_outside_takes_in_all_days_from_50_on_whatever_the_line_and_whatever_came_first(
    database: Database,
) -> None:
    raised = model_with(day_cap=3, line=63)
    faint, grave = {"points": 55.0}, {"rule": "critical"}
    for who, first, second in ((person(0), faint, grave), (person(1), grave, faint)):
        take(database, raised, StrangeDay(who, TODAY - 1 if first is faint else TODAY, **first))
        take(database, raised, StrangeDay(who, TODAY - 1 if second is faint else TODAY, **second))
    with database.read() as connection:
        query = select(alerts.c.subject, alert_days.c.day).join(alert_days, alert_days.c.alert == alerts.c.id)
        found = {tuple(row) for row in connection.execute(query)}
    assert found == {(person(n), day) for n in range(2) for day in (TODAY - 1, TODAY)}


def test_other_rules_and_the_anomaly_share_the_places_of_a_day_by_their_risk(database: Database) -> None:
    days = [
        StrangeDay(person(0), rule="medium"),
        StrangeDay(person(1), points=60),
        StrangeDay(person(2), rule="high"),
        StrangeDay(person(3), points=60, rule="medium"),
        StrangeDay(person(4), points=69.9),
    ]
    take(database, THREE, *days)
    assert by_status(database, "open") == [person(2), person(3), person(4)]
    assert by_status(database, "held") == [person(0), person(1)]


def test_a_rule_that_does_not_reach_the_line_by_itself_is_outside_with_nobody_s_help(
    database: Database,
) -> None:
    take(database, THREE, StrangeDay(person(0), points=45, rule="low", outside=True))
    with database.read() as connection:
        assert connection.execute(select(alerts.c.status, alerts.c.by_rules)).one() == ("open", False)


@pytest.mark.parametrize(
    ("day", "status"),
    [
        (StrangeDay(person(0), rule="medium"), None),
        (StrangeDay(person(0), points=62.4), None),
        (StrangeDay(person(0), points=62.5), "open"),
        (StrangeDay(person(0), rule="high"), "open"),
        (StrangeDay(person(0), rule="medium", points=30), "open"),
        (StrangeDay(person(0), rule="medium", slow=30), "open"),
        # Drift keeps to a line of its own.
        (StrangeDay(person(0), slow=50), "open"),
        (StrangeDay(person(0), rule="medium", outside=True), "open"),
        (StrangeDay(person(0), rule="medium", slow=10), None),
    ],
)
@pytest.mark.databases("sqlite")
def test_a_raised_line_asks_for_more_of_all_but_drift_and_what_is_outside(
    database: Database, day: StrangeDay, status: str | None
) -> None:
    take(database, model_with(day_cap=3, line=63), day)
    with database.read() as connection:
        assert connection.execute(select(alerts.c.status)).scalar() == status


def test_a_day_keeps_the_line_that_it_had(database: Database) -> None:
    take(database, THREE, StrangeDay(person(0), points=55))
    later = model_with(day_cap=3, line=63)
    take(database, later, StrangeDay(person(0), points=56), StrangeDay(person(1), points=57))
    take(database, later, StrangeDay(person(2), TODAY + 1, points=57))
    assert by_status(database, "open") == [person(0), person(1)]
    assert by_status(database, "held") == []


@pytest.mark.parametrize(("known", "cap"), [(0, 3), (800, 9)])
@pytest.mark.databases("sqlite")
def test_without_a_model_rules_alert_within_the_cap_of_those_who_are_known(
    database: Database, known: int, cap: int
) -> None:
    with database.begin() as connection:
        seen = [{"subject": f"person:k{n}", "agent": "m1", "first_time": 0} for n in range(known)]
        insert_new(connection, subject_agents, seen)
    take(database, None, *(StrangeDay(person(n), rule="medium") for n in range(10)))
    assert len(by_status(database, "open")) == cap


def test_what_rules_say_cools_down_too_unless_it_is_outside_or_much_more(database: Database) -> None:
    take(database, THREE, *(StrangeDay(person(n), points=80) for n in range(2)))
    for n in range(2):
        close(database, person(n))
    # Risk 80 again, 85, and 90.2: more than half of what was left.
    again = [
        StrangeDay(person(0), TODAY + 1, points=60, rule="medium"),
        StrangeDay(person(1), TODAY + 1, points=50, rule="high"),
    ]
    assert take(database, THREE, *again) == []
    assert by_status(database, "held") == [person(0), person(1)]
    assert take(database, THREE, StrangeDay(person(0), TODAY + 1, points=80.4)) == [90]
    assert len(take(database, THREE, StrangeDay(person(1), TODAY + 2, rule="critical"))) == 1


def test_rules_of_level_high_about_something_else_do_not_cool_down(database: Database) -> None:
    take(database, THREE, *(StrangeDay(person(n), rule="medium") for n in range(2)))
    for n in range(2):
        close(database, person(n))
    take(database, THREE, StrangeDay(person(0), TODAY + 1, rule="medium", family="printing"))
    take(database, THREE, StrangeDay(person(1), TODAY + 1, rule="high", family="printing"))
    assert (by_status(database, "open"), by_status(database, "held")) == ([person(1)], [person(0)])


@pytest.mark.parametrize(("points", "status"), [(60, "held"), (75, "held"), (75.1, "open")])
def test_after_an_alert_that_rules_made_an_unusual_day_waits_unless_it_is_clearly_over_the_line(
    database: Database, points: float, status: str
) -> None:
    take(database, THREE, StrangeDay(person(0), rule="medium", outside=True))
    close(database, person(0))
    take(database, THREE, StrangeDay(person(0), TODAY + 6, points=points, family="printing"))
    assert by_status(database, status) == [person(0)]
    if status == "held":
        take(database, THREE, StrangeDay(person(0), TODAY + 7, points=points, family="printing"))
        assert by_status(database, "open") == [person(0)]


def test_after_a_day_that_was_judged_drift_waits_too_unless_it_is_clearly_over_the_line(
    database: Database,
) -> None:
    take(database, THREE, StrangeDay(person(0), points=80))
    close(database, person(0))
    take(database, THREE, StrangeDay(person(0), TODAY + 8, slow=70, family="printing"))
    assert by_status(database, "held") == [person(0)]
    assert take(database, THREE, StrangeDay(person(0), TODAY + 9, slow=76, family="printing")) == [76]


def test_days_that_were_ranked_without_a_model_wait_for_none(database: Database) -> None:
    take(database, None, *(StrangeDay(person(n), points=60 + n) for n in range(5)))
    with database.read() as connection:
        assert connection.execute(select(queue_days.c.cap, queue_days.c.line)).one() == (3, 50)
    assert by_status(database, "held") == [person(0), person(1)]
    # Of the day that there is the cap stays; the next one is the model's.
    larger = model_with(day_cap=5)
    take(database, larger, *(StrangeDay(person(n), TODAY + 1, points=60 + n) for n in range(3, 9)))
    assert by_status(database, "held") == [person(0), person(1)]
    take(database, larger, StrangeDay(person(0), points=70))
    assert by_status(database, "held") == [person(1), person(2)]


def test_a_model_that_this_program_cannot_use_keeps_its_line_and_its_caps(database: Database) -> None:
    summary = {"risk_line": 63, "alerts_per_1000_a_day": 20.0, "subjects": 1_000}
    row = {"kind": "activities", "created_at": 0, "active": True, "summary": summary}
    with database.begin() as connection:
        connection.execute(insert(models).values(row | {"state": b"of another version"}))
    take(database, None, StrangeDay(person(0), rule="medium"), StrangeDay(person(1), rule="high"))
    with database.read() as connection:
        assert connection.execute(select(queue_days.c.line, queue_days.c.cap)).one() == (63, 45)
        below = not_alerted(connection, until=TODAY, days=7, limit=9)
    assert by_status(database, "open") == [person(1)]
    assert [(each.subject, each.why, each.line) for each in below] == [(person(0), "below_the_line", 63)]


@pytest.mark.databases("sqlite")
def test_drift_that_grows_puts_out_no_day_that_is_open_by_more_than_drift(database: Database) -> None:
    model = model_with(day_cap=3, line=66)
    stronger = StrangeDay(person(9), slow=99)
    take(database, model, stronger, StrangeDay(person(0), points=30, rule="medium", slow=49.4))
    take(database, model, StrangeDay(person(0), slow=60))
    assert by_status(database, "open") == [person(0), person(9)]


def test_an_open_day_does_not_wait_for_another_alert_s_verdict_when_its_queue_changes(
    database: Database,
) -> None:
    take(
        database,
        THREE,
        StrangeDay(person(0), slow=60),
        StrangeDay(person(0), TODAY - 1, points=70, family="printing"),
    )
    with database.read() as connection:
        query = select(alerts.c.id, alerts.c.family).where(alerts.c.status == "open")
        assert sorted(row.family for row in connection.execute(query)) == ["printing", "upload"]
        number = connection.execute(select(alerts.c.id).where(alerts.c.family == "printing")).scalar_one()
    with database.begin() as connection:
        close_alert(connection, number, Verdict.EXPECTED, "agreed", "omar", NOW)
    take(database, THREE, StrangeDay(person(0), points=40, slow=60))
    assert by_status(database, "open") == [person(0)]


@pytest.mark.parametrize("order", [("confirmed", "duplicate"), ("duplicate", "confirmed")])
def test_who_leaked_is_not_calmed_by_a_duplicate_of_it(database: Database, order: tuple[str, str]) -> None:
    days = [
        StrangeDay(person(0), points=60, family=family, rule="medium") for family in ("upload", "printing")
    ]
    take(database, THREE, days[0])
    take(database, THREE, days[1])
    with database.read() as connection:
        numbers = list(connection.execute(select(alerts.c.id).order_by(alerts.c.id)).scalars())
    assert len(numbers) == 2
    for number, verdict in zip(numbers, order, strict=True):
        with database.begin() as connection:
            close_alert(connection, number, Verdict(verdict), "agreed", "omar", NOW)
    take(database, THREE, StrangeDay(person(0), TODAY + 1, points=60))
    assert by_status(database, "open") == [person(0)]
    # It is the confirmed one that ends the cooling: as long as it is near.
    take(database, THREE, StrangeDay(person(0), TODAY + 1, points=60, family="printing"))
    assert by_status(database, "held") == []
