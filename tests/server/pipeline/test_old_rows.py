"""Rows that housekeeping takes away do not stop the pipeline, nor does what memory still has of them show."""

from __future__ import annotations

from sqlalchemy import delete, select

from server.store.tables import alerts, storage_days
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

TODAY = NOW // DAY


def test_rule_hits_that_outlive_their_days_rows_still_make_the_alert(server: Server) -> None:
    server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    then = NOW - 3 * DAY
    server.take(endpoint.record([copied_file(then + i, name=f"customers-{i}.csv") for i in range(3)]))
    with server.database.begin() as connection:
        connection.execute(delete(storage_days))
    server.take(endpoint.record([copied_file(NOW - 30 * DAY, name="holiday.jpg")]))
    with server.database.read() as connection:
        (alert,) = connection.execute(select(alerts)).all()
    assert (alert.first_time, alert.last_time) == (then, then + 2)
