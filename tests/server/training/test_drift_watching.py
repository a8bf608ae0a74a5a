"""A model whose days have changed is told to be stale, with what to do; one that fits is not."""

from __future__ import annotations

import json

import msgspec
import pytest
from sqlalchemy import select, update

from server.status_findings import model_findings
from server.status_types import StatusFinding
from server.store.database import Database
from server.store.tables import activity_days
from server.training.drift_watching import is_due, watch
from server.training.model_watch import OLD_AFTER_MS, model_watch
from server.training.stored_models import WatchedWeek, active_model, choose_model
from tests.server.conftest import NOW
from tests.server.training.conftest import LEARNT_TO
from tests.server.training.measured_company import DAY


def findings(database: Database, now: int = NOW) -> list[StatusFinding]:
    with database.read() as connection:
        found = model_watch(connection, now)
    return [] if found is None else list(model_findings(found))


def due(database: Database, now: int) -> bool:
    with database.read() as connection:
        return is_due(connection, now)


def test_days_like_those_that_were_learnt_are_fresh(learnt: Database) -> None:
    database = learnt
    weeks = watch(database, now=NOW)
    assert [week.days for week in weeks] == [7, 3]
    assert [week.verdict for week in weeks] == ["fresh", "fresh"]
    assert [week.subject_days for week in weeks] == [7 * 60, 3 * 60]
    assert findings(database) == []


def test_days_that_everybody_spends_otherwise_are_stale_and_said_so(learnt: Database) -> None:
    database = learnt
    with database.read() as connection:
        active = active_model(connection)
        assert active is not None
        rows = connection.execute(
            select(activity_days).where(activity_days.c.day > active.summary.last_day)
        ).all()
    with database.begin() as connection:
        for row in rows:
            at = activity_days.c
            key = (at.subject == row.subject, at.activity == row.activity, at.day == row.day)
            connection.execute(
                update(activity_days)
                .where(*key)
                .values(amounts=json.dumps([1000 * each for each in json.loads(row.amounts)]))
            )
    weeks = watch(database, now=NOW)
    assert weeks[0].verdict == "stale"
    (finding,) = findings(database)
    assert finding.kind == "model_stale"
    assert weeks[-1].reason in finding.detail
    assert "leaver model train" in finding.detail
    with database.begin() as connection:
        choose_model(connection, active.id, now=NOW, actor="cli:test", reason="x")
    assert "chosen by hand" in findings(database)[0].detail


@pytest.mark.databases("sqlite")
def test_without_a_model_there_is_nothing_to_watch(database: Database) -> None:
    assert not due(database, NOW)
    assert watch(database, now=NOW) == ()
    assert findings(database) == []


def test_it_watches_once_a_day_and_keeps_what_it_found(learnt: Database) -> None:
    database = learnt
    assert not due(database, LEARNT_TO)
    assert due(database, LEARNT_TO + DAY)
    seen: dict[int, WatchedWeek] = {}
    for day in (1, 7, 8, 10):
        weeks = watch(database, now=LEARNT_TO + day * DAY)
        assert not due(database, LEARNT_TO + day * DAY)
        assert sum(week.days for week in weeks) == day
        seen |= {week.first_day: week for week in weeks}
    assert [seen[first] for first in sorted(seen)] == list(weeks)
    # All at once gives what it gives day by day.
    assert watch(database, now=NOW) == weeks


def test_a_model_that_none_followed_is_stale_by_its_age(learnt: Database) -> None:
    database = learnt
    assert findings(database, LEARNT_TO + OLD_AFTER_MS) == []
    (finding,) = findings(database, LEARNT_TO + OLD_AFTER_MS + 1)
    assert "28 days old" in finding.detail


def test_weeks_and_findings_survive_as_json(learnt: Database) -> None:
    database = learnt
    weeks = watch(database, now=NOW)
    with database.read() as connection:
        found = active_model(connection)
    assert found is not None
    assert found.summary.weeks == weeks
    assert msgspec.json.decode(msgspec.json.encode(found.summary), type=type(found.summary)) == found.summary
