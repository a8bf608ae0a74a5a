"""Trainings and watches run in a real process of their own, which tells why it failed."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import func, select, update

from server.store.database import Database
from server.store.tables import models
from server.training.child_process import TrainingFailed, train_in_child
from server.training.company_days import days_over
from server.training.stored_models import active_model
from tests.server.training.measured_company import measured_company


@pytest.mark.databases("sqlite")
def test_a_training_in_a_child_process_leaves_a_model_in_use(database: Database) -> None:
    # The child goes by the machine's clock.
    measured_company(database, subjects=12, days=16, end=days_over(time.time_ns() // 1_000_000))
    train_in_child(database, threading.Event(), "activities")
    with database.read() as connection:
        found = active_model(connection)
    assert found is not None
    assert (found.summary.subjects, found.summary.days, found.summary.cold_start) == (12, 16, False)


@pytest.mark.databases("sqlite")
def test_the_child_learns_no_day_that_counts_no_longer(database: Database) -> None:
    today = time.time_ns() // 86_400_000_000_000
    measured_company(database, subjects=12, days=80, end=today - 1)
    train_in_child(database, threading.Event(), "activities", activity_days=30)
    with database.read() as connection:
        found = active_model(connection)
    assert found is not None
    assert 28 <= found.summary.days <= 31


@pytest.mark.databases("sqlite")
def test_nothing_to_learn_from_is_no_failure(database: Database) -> None:
    train_in_child(database, threading.Event(), "activities")
    with database.read() as connection:
        assert active_model(connection) is None


def test_a_model_that_cannot_be_read_is_a_failure_that_says_so(learnt: Database) -> None:
    with learnt.begin() as connection:
        connection.execute(update(models).values(state=b"nonsense" * 20))
    with pytest.raises(TrainingFailed, match="something else"):
        train_in_child(learnt, threading.Event(), "watch")


def test_who_is_told_to_stop_does_not_wait_for_the_child(learnt: Database) -> None:
    stop = threading.Event()
    stop.set()
    train_in_child(learnt, stop, "activities")
    with learnt.read() as connection:
        assert connection.execute(select(func.count()).select_from(models)).scalar_one() == 2
