"""In the queues of alerts the places of who is erased go to those whom they kept out."""

from __future__ import annotations

import random

from sqlalchemy import select

from server.store.tables import alert_candidates, alerts
from tests.server.alerts.strange_days import TODAY, StrangeDay, by_status, model_with, person, take
from tests.server.erasure.shared_machine import PERSON, erase, flow, prepare
from tests.server.pipeline.conftest import Server

HER = f"person:{PERSON}"
ONE = model_with(day_cap=1)


def test_who_was_held_for_the_sake_of_an_erased_person_is_open_on_that_day_and_the_days_after(
    server: Server,
) -> None:
    prepare(server, flow(random.Random(1), 2))
    first, second, third = (person(n) for n in range(1, 4))
    take(server.database, ONE, StrangeDay(HER, TODAY, points=90))
    for day in (TODAY, TODAY + 1):
        those = [StrangeDay(first, day, points=70), StrangeDay(second, day, points=60)]
        take(server.database, ONE, *those, StrangeDay(third, TODAY, points=55))
    assert by_status(server.database, "open") == sorted([HER, first])
    assert by_status(server.database, "held") == [second, third]
    erase(server)
    # The first comes along on the second day by now, and its place there is free too.
    assert by_status(server.database, "open") == [first, second]
    assert by_status(server.database, "held") == [third]
    at = alert_candidates.c
    with server.database.read() as connection:
        query = select(alerts.c.subject, at.day).join(alerts, alerts.c.id == at.alert).where(at.admitted)
        found = sorted(tuple(row) for row in connection.execute(query))
    assert found == [(first, TODAY), (first, TODAY + 1), (second, TODAY + 1)]
