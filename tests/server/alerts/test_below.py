"""Nothing that was found is hidden: what is no alert is shown with why, without anybody's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from server.alerts.below import NotAlerted, not_alerted
from server.alerts.below_views import below_views
from server.alerts.calming import ACCEPTED
from server.alerts.queries import Verdict, close_alert
from server.alerts.views import alert_detail, alert_views
from server.commands.alerts import alerts as alerts_command
from server.store.database import Database
from server.store.tables import alerts, queue_days
from tests.server.alerts.strange_days import TODAY, StrangeDay, model_with, take
from tests.server.conftest import NOW

pytestmark = pytest.mark.databases("sqlite")

ONE = model_with(day_cap=1)


def found(database: Database, *, days: int = 7, limit: int = 50) -> list[NotAlerted]:
    with database.read() as connection:
        return not_alerted(connection, until=TODAY + 1, days=days, limit=limit)


def number_of(database: Database, subject: str) -> int:
    with database.read() as connection:
        return int(connection.execute(select(alerts.c.id).where(alerts.c.subject == subject)).scalar_one())


def close(database: Database, subject: str) -> int:
    number = number_of(database, subject)
    with database.begin() as connection:
        close_alert(connection, number, Verdict.EXPECTED, "agreed", "omar", NOW)
    return number


def test_the_highest_come_first_and_alerts_are_not_among_them(database: Database) -> None:
    take(
        database,
        ONE,
        StrangeDay("person:a", points=90),
        StrangeDay("person:b", points=30, rule="informational"),
        StrangeDay("person:c", TODAY - 1, points=42.4, evidence={"mail": 3.0, "code": 4.0, "cloud": 0.0}),
        StrangeDay("person:d", points=0.0, evidence={"web_upload": 1.0}),
        StrangeDay("person:e", points=0.0, evidence={"web_upload": 2.0}),
    )
    below = found(database)
    assert [(each.subject, each.score, each.why) for each in below] == [
        ("person:c", 42, "below_the_line"),
        ("person:b", 37, "below_the_line"),
        # As under a cold start: the strangest first.
        ("person:e", 0, "below_the_line"),
        ("person:d", 0, "below_the_line"),
    ]
    assert below[0].activities == ("code", "mail")
    assert below[1].rules == ("An upload",)
    assert found(database, limit=2) == below[:2]
    assert found(database, days=2) == [each for each in below if each.day == TODAY]


def test_what_is_over_the_cap_says_so_and_can_be_looked_at(database: Database) -> None:
    take(database, ONE, StrangeDay("person:a", points=90), StrangeDay("person:b", points=80))
    (held,) = found(database)
    number = number_of(database, "person:b")
    assert (held.subject, held.score, held.why) == ("person:b", 80, "over_the_cap")
    assert (held.held, held.cap, held.after) == (number, 1, None)
    detail = alert_detail(database, number)
    assert detail.alert.status == "held"
    assert detail.held["en"] == "not alerted: 2026-11-22 is over its day's cap of 1"
    assert alert_detail(database, number_of(database, "person:a")).held == {}
    assert [each.id for each in alert_views(database, "held")] == [number]
    assert number not in {each.id for each in alert_views(database, "all")}


def test_what_is_below_a_raised_line_names_it(database: Database) -> None:
    take(database, model_with(day_cap=3, line=63), StrangeDay("person:a", points=62.4, rule=None))
    with database.begin() as connection:
        # As it is while a model is in use; the day itself had no candidate.
        row = {"queue": "day", "day": TODAY, "cap": 3, "line": 63}
        connection.execute(queue_days.insert().values(row))
    (view,) = below_views(database, now=NOW, days=7, limit=50)
    assert (view.score, view.why, view.line) == (62, "below_the_line", 63)
    assert view.words == {"en": "below this week's line 63", "zh": "低于本周告警线 63"}


def test_a_day_of_a_cool_down_names_the_alert(database: Database) -> None:
    take(database, ONE, StrangeDay("person:a", TODAY - 2, points=80), StrangeDay("person:a", TODAY - 1))
    closed = close(database, "person:a")
    take(database, ONE, StrangeDay("person:a", points=85))
    (cooling, *_) = found(database)
    assert (cooling.why, cooling.after, cooling.score) == ("cooling_down", closed, 85)
    assert cooling.held is not None
    words = alert_detail(database, cooling.held).held
    assert words["en"] == f"not alerted: 2026-11-22 cools down after alert {closed}"


def test_what_a_verdict_calmed_names_the_alert(database: Database) -> None:
    take(database, ONE, StrangeDay("person:a", TODAY - 3, points=80))
    closed = close(database, "person:a")
    with database.begin() as connection:
        accepted = [["web_upload", "uploads", 5, TODAY - 3]]
        connection.execute(update(alerts).where(alerts.c.id == closed).values(facts={ACCEPTED: accepted}))
    take(database, ONE, StrangeDay("person:a", points=20, uncalmed=75))
    (calmed,) = found(database)
    assert (calmed.why, calmed.after, calmed.points, calmed.uncalmed) == ("calmed", closed, 20, 75)
    (view,) = below_views(database, now=NOW, days=7, limit=50)
    assert view.words == {"en": f"calmed by alert {closed}", "zh": f"因告警 {closed} 的结论而平息"}
    assert view.stood_out == {"en": "uploads to websites", "zh": "网站上传"}


def test_the_command_shows_pseudonyms_alone(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.commands.alerts.system_clock", lambda: NOW)
    take(database, ONE, StrangeDay("person:E-4711", points=90), StrangeDay("person:wfang", points=80))

    def run(*options: str) -> str:
        done = CliRunner().invoke(alerts_command, ["below", *options, "--data", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return done.output

    (told,) = json.loads(run("--json"))
    assert (told["day"], told["score"], told["why"], told["cap"]) == ("2026-11-22", 80, "over_the_cap", 1)
    shown = run()
    assert "over the day's cap of 1" in shown and told["who"]["pseudonym"] in shown
    assert "wfang" not in shown + json.dumps(told)


def test_a_quiet_company_has_nothing_below(database: Database, tmp_path: Path) -> None:
    done = CliRunner().invoke(alerts_command, ["below", "--data", str(tmp_path)])
    assert (done.exit_code, done.output) == (0, "Nothing was found that is no alert, in 7 days.\n")
