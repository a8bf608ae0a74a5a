"""The models over all activities come from the database alone, the same each time, while others write."""

from __future__ import annotations

import io
import pickletools

import pytest
from sqlalchemy import insert, select, update

from server.store.database import Database
from server.store.tables import activity_days, audit, installation, models
from server.training.activity_training import NothingMeasured, is_due, train_activities
from server.training.stored_models import StoredModel, active_model, load_model
from tests.server.conftest import NOW
from tests.server.training.measured_company import DAY, END, measured_company

TREES = 3

pytestmark = pytest.mark.databases("sqlite")


def trained(database: Database, *, now: int = NOW, budget: float | None = None) -> StoredModel:
    return train_activities(database, now=now, trees=TREES, alerts_per_1000_a_day=budget)


def state_of(database: Database, model: StoredModel) -> bytes:
    with database.read() as connection:
        return load_model(connection, model.id).to_bytes()


def due(database: Database, now: int) -> bool:
    with database.read() as connection:
        return is_due(connection, now)


def test_without_a_day_that_is_over_there_is_nothing_to_learn(database: Database) -> None:
    assert not due(database, NOW)
    with pytest.raises(NothingMeasured):
        trained(database)
    with database.begin() as connection:
        today = {"activity": "mail", "day": END, "day_type": "work", "events": 1}
        amounts = {"amounts": "[1, 1, 0]", "places": "[]"}
        connection.execute(insert(activity_days).values(subject="person:p1", **today, **amounts))
    assert not due(database, NOW)
    with pytest.raises(NothingMeasured):
        trained(database)
    assert due(database, NOW + DAY)


def test_the_same_days_give_the_same_bytes(database: Database) -> None:
    measured_company(database, subjects=20, days=62)
    first, second = trained(database), trained(database, now=NOW + 1)
    assert state_of(database, first) == state_of(database, second)
    with database.read() as connection:
        content = load_model(connection, first.id).content
    assert (content.subjects, content.days_seen) == (20, 62)
    assert content.last_day - content.first_day == 142
    assert content.drift is not None
    assert first.summary.last_day == END - 1
    assert first.summary.line == content.line
    assert set(content.software) == {"python", "numpy", "scikit-learn"}


def test_what_is_stored_is_no_pickle(database: Database) -> None:
    measured_company(database, subjects=12, days=6)
    made = trained(database)
    assert made.summary.cold_start
    with pytest.raises((ValueError, UnicodeDecodeError)):
        list(pickletools.genops(io.BytesIO(state_of(database, made))))


@pytest.mark.databases("sqlite", "postgresql")
def test_others_write_while_it_trains(database: Database) -> None:
    measured_company(database, subjects=12, days=20)
    written: list[str] = []

    def write(what: str, part: float) -> None:
        with database.begin() as connection:
            connection.execute(insert(installation).values(key=f"during {what}", value=str(part)))
        written.append(what)

    train_activities(database, now=NOW, trees=TREES, progress=write)
    assert {"removable_storage", "mail", "screenshots", "storing"} <= set(written)


def test_the_budget_stays_until_somebody_names_another(database: Database) -> None:
    measured_company(database, subjects=12, days=20)
    assert trained(database).summary.alerts_per_1000_a_day == 5
    with database.begin() as connection:
        assert connection.execute(select(audit)).first() is None
    by_hand = train_activities(database, now=NOW, trees=TREES, alerts_per_1000_a_day=2, actor="cli:test")
    with database.read() as connection:
        row = connection.execute(select(audit)).one()
        assert active_model(connection) == by_hand
    assert (row.actor, row.action, row.object) == ("cli:test", "model.train", f"model:{by_hand.id}")
    assert trained(database).summary.alerts_per_1000_a_day == 2


@pytest.mark.parametrize(("days", "due_after"), [(10, 1), (20, 7)])
def test_it_is_due_again_after_a_week_or_a_day_of_a_cold_start(
    database: Database, days: int, due_after: int
) -> None:
    measured_company(database, subjects=12, days=days)
    assert trained(database).summary.cold_start == (days < 14)
    assert not due(database, NOW + due_after * DAY)
    assert due(database, NOW + due_after * DAY + 1)


def test_it_is_due_at_once_where_this_program_cannot_use_the_active_one(database: Database) -> None:
    measured_company(database, subjects=12, days=16)
    trained(database)
    assert not due(database, NOW)
    with database.begin() as connection:
        connection.execute(update(models).values(state=b"of another version" * 4))
    assert due(database, NOW)
