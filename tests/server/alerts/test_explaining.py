"""What the model makes of a day is told of open alerts alone, whoever opened them or put them out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from server.alerts.ranking import HELD, OPEN
from server.alerts.views import alert_detail
from server.detection.anomaly_scoring import AnomalyScoring
from server.store.database import Database, open_database
from server.store.tables import alerts
from tests.server.alerts.strange_days import CappedModel, StrangeDay, model_with, person, take
from tests.server.conftest import NOW, NewDatabaseUrl

TWO = model_with(day_cap=2)
COPY = "removable_storage_copy"


@pytest.fixture
def database_of_others(
    new_database_url: NewDatabaseUrl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    opened = open_database(new_database_url(tmp_path_factory.mktemp("others")), clock=lambda: NOW)
    yield opened
    opened.close()


def stored(database: Database, number: int) -> dict[str, Any]:
    with database.read() as connection:
        query = select(alerts).where(alerts.c.subject == person(number))
        return dict(connection.execute(query).one()._mapping)


def is_explained(alert: dict[str, Any]) -> bool:
    return "explanation" in alert["facts"]


def what_it_says(alert: dict[str, Any]) -> tuple[Any, ...]:
    return alert["status"], alert["score"], alert["sentence"], alert["facts"], alert["shares"]


def test_a_held_alert_says_which_activities_and_an_open_one_all(database: Database) -> None:
    take(database, TWO, *(StrangeDay(person(n), points=60 + n) for n in range(3)))
    held, opened = stored(database, 0), stored(database, 2)
    assert (held["status"], opened["status"]) == (HELD, OPEN)
    assert not is_explained(held)
    assert is_explained(opened)
    assert held["facts"]["strange"] == ["web_upload"]
    words = alert_detail(database, held["id"]).explanation
    assert words["en"].stands_out == (
        "uploads to websites",
        "what stands out of it is worked out when the alert is let through",
    )
    assert words["zh"].stands_out == ("网站上传", "具体异常之处在告警放行后给出")


@pytest.mark.parametrize("model", [TWO, None])
def test_what_stronger_ones_put_out_says_the_same_as_if_it_had_never_been_open(
    database: Database, database_of_others: Database, model: CappedModel | None
) -> None:
    # Without a model the cap is three.
    days = [StrangeDay(person(n), points=60 + n, family=COPY) for n in range(4 if model else 5)]
    for day in days:
        take(database, model, day)
    take(database_of_others, model, *reversed(days))
    for number in range(len(days)):
        one, other = stored(database, number), stored(database_of_others, number)
        assert what_it_says(one) == what_it_says(other)
        assert one["status"] == (OPEN if number >= 2 else HELD)
        assert is_explained(one) == (number >= 2 and model is not None)
        assert ("history" in one["sentence"]["en"]) == (number >= 2)


def test_an_alert_that_another_subjects_batch_lets_through_is_explained_there(database: Database) -> None:
    take(database, TWO, *(StrangeDay(person(n), points=60 + n, family=COPY) for n in range(3)))
    assert stored(database, 0)["status"] == HELD
    # A critical rule takes the place of nobody: the strongest needs none any longer.
    take(database, TWO, StrangeDay(person(2), points=62, family=COPY, rule="critical"))
    let_in = stored(database, 0)
    assert let_in["status"] == OPEN
    assert is_explained(let_in)
    assert "too little history to say what is usual" in let_in["sentence"]["en"]


def test_an_event_more_of_a_held_alert_changes_no_explanation(database: Database) -> None:
    days = [StrangeDay(person(n), points=60 + n) for n in range(3)]
    take(database, TWO, *days)
    before = stored(database, 0)
    take(database, TWO, days[0])
    after = stored(database, 0)
    assert after["events"] == before["events"] + 1
    assert not is_explained(after)


def test_a_storm_explains_no_more_than_the_cap(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    explained = AnomalyScoring.explained

    def counted(self: AnomalyScoring, *args: Any, **named: Any) -> Any:
        asked.append(args[1].subject)
        return explained(self, *args, **named)

    monkeypatch.setattr(AnomalyScoring, "explained", counted)
    take(database, TWO, *(StrangeDay(person(n), points=60 + n / 10) for n in range(100)))
    assert sorted(asked) == [person(98), person(99)]
