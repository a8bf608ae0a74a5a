"""What models learn from: what was measured, on days that are over, without confirmed leaks."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import insert

from analytics.measures import ACTIVITIES
from analytics.panel import ActivityDays
from server.store.database import Database
from server.store.tables import alert_days, alerts
from server.training.company_days import LoadedDays, company_days, days_over, loaded_days
from tests.analytics.company_days import company
from tests.server.conftest import NOW
from tests.server.training.measured_company import DAY, END, act, measured_company, subject

SUBJECTS, DAYS = 12, 40


@pytest.fixture
def measured(database: Database) -> Database:
    measured_company(database, subjects=SUBJECTS, days=DAYS)
    return database


def loaded(database: Database, *, days: int = DAYS, now: int = NOW) -> LoadedDays:
    with database.read() as connection:
        return loaded_days(company_days(connection, end=days_over(now), days=days), 10)


def everything(days: LoadedDays) -> dict[str, ActivityDays]:
    blocks = [history for _, history in days.blocks()]
    return {
        name: ActivityDays(
            np.concatenate([each[name].values for each in blocks]),
            np.concatenate([each[name].seen for each in blocks]),
        )
        for name in ACTIVITIES
    }


def test_it_holds_what_was_measured_on_the_days_that_are_over(measured: Database) -> None:
    act(measured, 0, END, "mail", 10**9, 5, 0)
    found = loaded(measured)
    assert found.subjects == tuple(subject(row) for row in range(SUBJECTS))
    assert found.first_day == END - DAYS
    assert found.peer_groups[:4] == ("sales", "engineering", "finance", "support")
    history = company(5, SUBJECTS, DAYS)
    for name, each in everything(found).items():
        assert (each.values == history[name].values).all()
        assert each.seen[:, -10:].all()
    later = everything(loaded(measured, now=NOW + DAY))
    assert int(later["mail"].values[0, -1, 0]) == 10**9


def test_nobody_is_seen_before_anything_was_measured(measured: Database) -> None:
    found = everything(loaded(measured, days=DAYS + 5))
    assert not any(each.seen[:, :5].any() for each in found.values())


def test_blocks_together_are_the_panel(measured: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.training.company_days.BLOCK", 5)
    found = loaded(measured)
    assert [rows.stop for rows, _ in found.blocks()] == [5, 10, 12]
    together = everything(found)
    with measured.read() as connection:
        panel = company_days(connection, end=END, days=DAYS).panel
        for name, each in together.items():
            assert (panel.activity(name).values == each.values).all()
            assert (panel.activity(name).seen == each.seen).all()


@pytest.mark.parametrize(("verdict", "missing"), [("confirmed", True), ("expected", False), (None, False)])
def test_a_confirmed_leak_is_missing_for_whoever_did_it_and_whose_account_it_was(
    measured: Database, verdict: str | None, missing: bool
) -> None:
    with measured.begin() as connection:
        raised = add_alert(verdict=verdict, account_owner="p0002")
        alert_id = connection.execute(insert(alerts).values(raised).returning(alerts.c.id)).scalar_one()
        connection.execute(
            insert(alert_days).values(alert=alert_id, channel="removable_storage", day=END - 3, whole=True)
        )
    for each in everything(loaded(measured)).values():
        assert each.seen[1, DAYS - 3] == each.seen[2, DAYS - 3] == (not missing)
        assert each.seen[[0, *range(3, SUBJECTS)], DAYS - 3].all()
        assert not each.values[~each.seen].any()


def test_people_on_notice_weigh_more_and_all_together_as_much_as_before(measured: Database) -> None:
    with measured.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO employments (person_id, number, kind, notice_day, last_day)"
            f" VALUES ('p0003', 1, 'employee', {END - 5}, {END + 30})"
        )
    weights = loaded(measured).weights
    assert (weights[:, :-10] == 1).all()
    assert weights[3, -1] == pytest.approx(5 * weights[0, -1])
    assert weights[:, -1].mean() == pytest.approx(1)
    assert (weights[:, -8] == 1).all(), "before the notice"


def add_alert(*, verdict: str | None, account_owner: str | None = None, at: int = NOW) -> dict[str, object]:
    """A row of `alerts` of subject 1."""
    return {
        "subject": subject(1),
        "family": "removable_storage_copy",
        "status": "open" if verdict is None else "closed",
        "score": 80,
        "account_owner": account_owner,
        "traits": [],
        "sentence": {},
        "shares": [],
        "facts": {"rules": []},
        "policy_version": "1",
        "first_time": at,
        "last_time": at,
        "events": 1,
        "opened_at": at,
        "updated_at": at,
        "verdict": verdict,
    }
