"""A company that a model learnt, made once: on SQLite, for what is tested has nothing of a database's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.store.database import Database, open_database, upgrade
from server.training.activity_training import train_activities
from tests.server.conftest import NOW
from tests.server.training.measured_company import DAY, measured_company

LEARNT_TO = NOW - 10 * DAY
"""The ten days since are there too."""
BUDGETS = (20.0, 80.0)
"""Of the two models, the second one active. Generous: alerts are few among so few people."""


@pytest.fixture(scope="session")
def learnt_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("learnt") / "leaver.db"
    database = open_database(f"sqlite:///{path}", clock=lambda: NOW)
    upgrade(database)
    measured_company(database, subjects=60, days=90)
    for budget in BUDGETS:
        train_activities(database, now=LEARNT_TO, trees=5, alerts_per_1000_a_day=budget)
    database.close()
    return path


@pytest.fixture
def learnt(learnt_once: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(learnt_once, tmp_path / "leaver.db")
    database = open_database(f"sqlite:///{tmp_path}/leaver.db", clock=lambda: NOW)
    yield database
    database.close()
