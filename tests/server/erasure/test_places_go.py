"""In the queues of alerts the places of who is erased go to those whom they kept out."""

from __future__ import annotations

import random
from typing import Any

from sqlalchemy import insert, select

from server.store.tables import alert_candidates, alerts, models
from tests.server.alerts.strange_days import TODAY, StrangeDay, by_status, model_with, person, take
from tests.server.erasure.shared_machine import PERSON, erase, flow, prepare
from tests.server.pipeline.conftest import Server

HER = f"person:{PERSON}"
ONE = model_with(day_cap=1)
COPY = "removable_storage_copy"


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


def test_whose_alert_an_erasure_opens_is_explained_there(server: Server) -> None:
    prepare(server, flow(random.Random(1), 2))
    with server.database.begin() as connection:
        row = {"kind": "activities", "created_at": server.now, "active": True, "summary": {}}
        row |= {"state": ONE.to_bytes()}
        model_id = connection.execute(insert(models).values(row).returning(models.c.id)).scalar_one()
    first, second = person(1), person(2)
    take(server.database, ONE, StrangeDay(HER, TODAY, points=90))
    take(server.database, ONE, StrangeDay(first, TODAY, points=70, family=COPY))
    take(server.database, ONE, StrangeDay(second, TODAY, points=60, family=COPY))
    assert "explanation" not in stored(server, first)["facts"]
    erase(server)
    opened, held = stored(server, first), stored(server, second)
    assert (opened["status"], opened["model_id"], held["status"]) == ("open", model_id, "held")
    assert opened["facts"]["explanation"]["points"] == 70
    assert "too little history to say what is usual" in opened["sentence"]["en"]
    assert "explanation" not in held["facts"]


def stored(server: Server, subject: str) -> dict[str, Any]:
    with server.database.read() as connection:
        query = select(alerts).where(alerts.c.subject == subject)
        return dict(connection.execute(query).one()._mapping)
