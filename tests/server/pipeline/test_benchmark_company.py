"""The company that benchmarks load: its history fits the tables, and its week is taken in as it was made.

Benchmarks themselves are run by people, so that a table that changed would show there only.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from benchmarks import company_load
from benchmarks.company_load import DAY_MS, Company
from policies.rule_file import load_policies
from server.log.embedded import EmbeddedLog
from server.pipeline.worker import PipelineWorker
from server.store.database import open_database, upgrade
from server.store.tables import event_blocks, subject_places

NOW = 20_600 * DAY_MS


def test_the_companys_week_goes_through_the_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(company_load, "PEOPLE", 30)
    monkeypatch.setattr(company_load, "AGENTS", 10)
    database = open_database(f"sqlite:///{tmp_path}/leaver.db", clock=lambda: NOW)
    upgrade(database)
    company = Company(1, NOW // DAY_MS - 1)
    with database.begin() as connection:
        company.settle(connection)
    load = company.week(500)
    assert load.events >= 500
    log = EmbeddedLog(tmp_path / "log.db", clock=lambda: NOW)
    log.append(load.records)
    worker = PipelineWorker(database, log, clock=lambda: NOW, policies=load_policies())
    while worker.step(0).records:
        pass
    with database.read() as connection:
        stored = connection.execute(select(func.sum(event_blocks.c.count))).scalar_one()
        places = connection.execute(select(func.count()).select_from(subject_places)).scalar_one()
    log.close()
    database.close()
    assert stored == load.events
    assert places == len(company.workers), "a stick that was known is the same place on its channel"
