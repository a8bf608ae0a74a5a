"""A model is trained in a real child process when it is due, and not again before it is due again."""

from __future__ import annotations

import threading
import time

from sqlalchemy import insert, select

from server.periodic_training import PeriodicTraining
from server.store.database import Database
from server.store.tables import models, subject_agents

NOW = 1_795_305_600_000


def _models(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(models.c.id)).all())


def test_the_first_subject_leads_to_one_model_and_not_to_a_second(database: Database) -> None:
    now = time.time_ns() // 1_000_000
    training = PeriodicTraining(database, clock=lambda: now, first_look_seconds=0.05, look_seconds=0.05)
    stop = threading.Event()
    thread = threading.Thread(target=training.run, args=(stop,))
    thread.start()
    time.sleep(0.3)
    assert _models(database) == 0, "trained on nobody"
    with database.begin() as connection:
        connection.execute(insert(subject_agents).values(subject="person:1", agent="a", first_time=now))
    deadline = time.monotonic() + 60
    while not _models(database) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    assert _models(database) == 1
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_nothing_is_trained_in_the_first_minutes(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(insert(subject_agents).values(subject="person:1", agent="a", first_time=NOW))
    training = PeriodicTraining(database, clock=lambda: NOW)
    stop = threading.Event()
    thread = threading.Thread(target=training.run, args=(stop,))
    thread.start()
    time.sleep(0.3)
    begun = time.monotonic()
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - begun < 1
    assert _models(database) == 0
