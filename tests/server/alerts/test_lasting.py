"""An open alert that the anomaly made leaves the queue by a verdict or by stronger ones, not by itself."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, select

from server.alerts import raising
from server.alerts.queries import Verdict, close_alert
from server.alerts.queueing import AlertQueues
from server.store.database import Database
from server.store.tables import alerts, anomaly_days, state_versions
from tests.server.alerts.strange_days import TODAY, StrangeDay, by_status, model_with, take
from tests.server.conftest import NOW

ONE = model_with(day_cap=1)
FIRST, SECOND = "person:p1", "person:p2"


def _sentence(database: Database) -> str:
    with database.read() as connection:
        found = connection.execute(select(alerts.c.sentence).where(alerts.c.subject == FIRST))
        return str(found.scalar_one()["en"])


def _forget(database: Database, day: int) -> None:
    with database.begin() as connection:
        assert connection.execute(delete(anomaly_days).where(anomaly_days.c.day == day)).rowcount == 1


def test_an_alert_stays_open_and_says_so_when_its_day_was_erased(database: Database) -> None:
    take(database, ONE, StrangeDay(FIRST, points=80))
    _forget(database, TODAY)
    take(database, ONE, StrangeDay(FIRST, day=TODAY + 1))
    assert by_status(database, "open") == [FIRST]
    said = _sentence(database)
    assert said.endswith("nothing of what is stored of it now reaches the line")
    take(database, ONE, StrangeDay(FIRST, day=TODAY + 1))
    assert (by_status(database, "open"), _sentence(database)) == ([FIRST], said)
    # The erased day still takes its place: a weaker one waits, a stronger one puts it out.
    take(database, ONE, StrangeDay(SECOND, points=70))
    assert by_status(database, "held") == [SECOND]
    take(database, ONE, StrangeDay(SECOND, points=90))
    assert (by_status(database, "open"), by_status(database, "held")) == ([SECOND], [FIRST])


def test_what_is_left_of_an_alert_keeps_it_open_though_it_would_not_pass_by_itself(
    database: Database,
) -> None:
    days = (StrangeDay(FIRST, points=80), StrangeDay(FIRST, day=TODAY + 1, points=60))
    take(database, ONE, *days, StrangeDay(SECOND, day=TODAY + 1, points=70))
    assert by_status(database, "open") == [FIRST, SECOND]
    _forget(database, TODAY)
    take(database, ONE, StrangeDay(FIRST, day=TODAY + 1, points=60))
    assert by_status(database, "open") == [FIRST, SECOND]


def test_queues_of_all_portions_are_looked_at_before_any_alert_is_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raising, "SUBJECTS_AT_ONCE", 1)
    looked: list[int] = []
    look = AlertQueues.look

    def spied(self: AlertQueues, *those: Any, **more: Any) -> None:
        looked.append(len(those[0]))
        look(self, *those, **more)

    monkeypatch.setattr(AlertQueues, "look", spied)
    take(database, ONE, StrangeDay(FIRST, points=80), StrangeDay(SECOND, points=90))
    assert looked == [2]
    assert (by_status(database, "open"), by_status(database, "held")) == ([SECOND], [FIRST])


@pytest.mark.parametrize(("verdict", "forgotten"), [(Verdict.CONFIRMED, 1), (Verdict.EXPECTED, 0)])
def test_who_remembers_the_person_forgets_what_is_usual_with_a_confirmed_leak(
    database: Database, verdict: Verdict, forgotten: int
) -> None:
    take(database, ONE, StrangeDay(FIRST, points=80))
    before = _versions(database)
    with database.begin() as connection:
        connection.execute(alerts.update().values(account_owner="p9"))
        number = connection.execute(select(alerts.c.id)).scalar_one()
        close_alert(connection, number, verdict, "looked at", "test", NOW)
    after = _versions(database)
    for key in (FIRST, "person:p9"):
        assert after.get(key, 0) == before.get(key, 0) + forgotten


def _versions(database: Database) -> dict[str, int]:
    with database.read() as connection:
        query = select(state_versions.c.key, state_versions.c.version)
        return {row.key: row.version for row in connection.execute(query)}
