"""Models are trained in real child processes when they are due, and not again before they are due again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select, update

from server.periodic_training import PeriodicTraining
from server.store.database import Database
from server.store.tables import models
from server.training.activity_training import train_activities
from server.training.child_process import TrainingFailed
from server.training.company_days import days_over
from server.training.stored_models import active_model
from tests.server.training.measured_company import measured_company

NOW = 1_795_305_600_000


def _models(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(models.c.id)).all())


@contextmanager
def _running(training: PeriodicTraining) -> Iterator[None]:
    """In a thread of its own, which ends with the test whatever that finds."""
    stop = threading.Event()
    thread = threading.Thread(target=training.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def test_the_first_day_that_is_over_leads_to_one_model_and_not_to_a_second(database: Database) -> None:
    now = time.time_ns() // 1_000_000
    training = PeriodicTraining(database, clock=lambda: now, first_look_seconds=0.05, look_seconds=0.05)
    with _running(training):
        time.sleep(0.3)
        assert _models(database) == 0, "trained on nobody"
        measured_company(database, subjects=3, days=2, end=days_over(now))
        deadline = time.monotonic() + 60
        while not _models(database) and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
        assert _models(database) == 1


def test_nothing_is_trained_in_the_first_minutes(database: Database) -> None:
    measured_company(database, subjects=3, days=2)
    with _running(PeriodicTraining(database, clock=lambda: NOW)):
        time.sleep(0.3)
        begun = time.monotonic()
    assert time.monotonic() - begun < 1
    assert _models(database) == 0


@pytest.mark.long
@pytest.mark.databases("sqlite")
def test_a_model_that_cannot_be_watched_is_replaced_all_the_same(database: Database) -> None:
    def clock() -> int:
        return time.time_ns() // 1_000_000

    # Children go by the machine's clock.
    measured_company(database, subjects=12, days=20, end=days_over(clock()))
    broken = train_activities(database, now=clock() - 2 * 86_400_000, trees=3)
    with database.begin() as connection:
        connection.execute(
            update(models).where(models.c.id == broken.id).values(state=b"another version" * 4)
        )
    training = PeriodicTraining(database, clock=clock, first_look_seconds=0.0)
    with pytest.raises(TrainingFailed, match="something else"):
        training.run(threading.Event())
    with database.read() as connection:
        found = active_model(connection)
    assert found is not None
    assert found.id > broken.id
