"""Which alerts are shown in full, and that shares which do not add up are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from server.alerts.queries import get_alert
from server.evaluation.simulator.explained_alerts import adds_up, explained_alerts
from server.store.database import Database, open_database, upgrade
from server.store.tables import alerts
from tests.server.alerts.recorded_leak import DAY, NOW, open_alert, record_leak

LEAKS = {
    "person:E1007": ("stick_burst", frozenset({DAY})),
    "person:E1001": ("slow_drip", frozenset({DAY})),
}


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Alert 1 about a burst, 2 about a drip of which more is told, 3 about nothing."""
    opened = open_database(f"sqlite:///{tmp_path}/leaver.db", clock=lambda: NOW)
    upgrade(opened)
    record_leak(opened, files=3)
    with opened.begin() as connection:
        first = dict(connection.execute(select(alerts)).one()._mapping)
        rest = {
            2: ("person:E1001", {"days": [DAY], "explanation": {"reasons": [1, 2], "changes": [1]}}),
            3: ("account:nobody", {"days": [DAY], "explanation": {"reasons": [1, 2, 3]}}),
        }
        connection.execute(update(alerts).values(facts={"days": [DAY]}))
        for number, (subject, facts) in rest.items():
            row = first | {"id": number, "subject": subject, "facts": facts}
            connection.execute(insert(alerts).values(row))
    return opened


def shown(database: Database, wanted: int) -> list[tuple[str | None, int]]:
    found = explained_alerts(database, wanted, LEAKS)
    return [(each.shape, each.detail.alert.id) for each in found.alerts]


def test_one_of_each_shape_comes_first_the_most_explained_at_the_top(database: Database) -> None:
    assert shown(database, 1) == [("slow_drip", 2)]
    assert shown(database, 5) == [("slow_drip", 2), ("stick_burst", 1), (None, 3)]
    assert shown(database, 0) == []


def test_shares_that_do_not_add_up_are_found_whichever_alerts_are_shown(database: Database) -> None:
    with database.begin() as connection:
        broken = update(alerts).where(alerts.c.id == 3)
        connection.execute(broken.values(shares=[{"source": "anomaly", "points": 86, "share": 1.0}]))
    found = explained_alerts(database, 1, LEAKS)
    assert (found.checked, found.wrong) == (3, (3,))
    with database.begin() as connection:
        connection.execute(broken.values(shares=[{"source": "anomaly", "points": 87, "share": 0.9}]))
        assert not adds_up(get_alert(connection, 3))
        assert adds_up(get_alert(connection, 1))


def test_an_alert_of_other_days_is_not_about_the_leak(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(update(alerts).values(facts={"days": [DAY - 1]}))
    assert {shape for shape, _ in shown(database, 3)} == {None}
    open_alert(database, events=1, subject="account:other", alert_id=4, score=60)
    assert len(shown(database, 9)) == 4
