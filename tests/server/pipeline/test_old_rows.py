"""Rows that housekeeping takes away do not stop the pipeline, nor does what memory still has of them show."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import delete, select

from server.housekeeping import drop_old
from server.store.tables import alerts, channel_days, rule_days, subject_places
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

TODAY = NOW // DAY


def test_rule_hits_that_outlive_their_days_rows_still_make_the_alert(server: Server) -> None:
    server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    then = NOW - 3 * DAY
    server.take(endpoint.record([copied_file(then + i, name=f"customers-{i}.csv") for i in range(3)]))
    with server.database.begin() as connection:
        connection.execute(delete(channel_days))
    server.take(endpoint.record([copied_file(NOW - 30 * DAY, name="holiday.jpg")]))
    with server.database.read() as connection:
        (alert,) = connection.execute(select(alerts)).all()
    assert (alert.first_time, alert.last_time) == (then, then + 2)


def _outcome(server: Server) -> dict[str, Any]:
    with server.database.read() as connection:
        return {
            table.name: [
                {k: v for k, v in row._mapping.items() if k not in ("id", "opened_at", "updated_at")}
                for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in (alerts, channel_days, rule_days)
        }


def test_days_past_their_end_count_no_more_whether_the_server_restarted_and_when_they_are_dropped(
    new_server: NewServer,
) -> None:
    endpoint = Endpoint()
    outcomes = []
    for restarts, drops in ((False, False), (False, True), (True, False), (True, True)):
        server = new_server()
        server.employ("p1", "alice", notice_date=TODAY - 60, last_working_day=TODAY + 60)
        endpoint.enrol(server.database)
        endpoint.next_seq = 0
        worker = server.worker(events_days=10)
        for day in range(0, 25, 3):
            server.now = NOW + day * DAY
            late = copied_file(server.now - 12 * DAY, name="late.csv")
            files = [copied_file(server.now + i, name=f"customers-{i}.csv") for i in range(1 + day % 4)]
            server.log.append([endpoint.record([late]), endpoint.record([late, *files])])
            if restarts:
                worker = server.worker(1, events_days=10)
            while worker.step(0).records:
                pass
            if drops:
                drop_old(
                    server.database,
                    now=server.now,
                    events_days=10,
                    alerts_days=730,
                    uses_days=730,
                    stop=threading.Event(),
                )
        drop_old(
            server.database,
            now=server.now,
            events_days=10,
            alerts_days=730,
            uses_days=730,
            stop=threading.Event(),
        )
        outcomes.append(_outcome(server))
    assert [row["day"] - TODAY for row in outcomes[0]["channel_days"]] == [15, 18, 21, 24]
    (alert,) = outcomes[0]["alerts"]
    assert alert["first_time"] >= NOW + 13 * DAY
    assert outcomes[0] == outcomes[1] == outcomes[2] == outcomes[3]


def test_late_events_of_days_past_their_end_change_no_row_that_waits_to_be_dropped(server: Server) -> None:
    server.employ()
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    server.take(endpoint.record([copied_file(NOW + i) for i in range(5)]))
    server.now += 20 * DAY
    server.log.append([endpoint.record([copied_file(NOW)])])
    assert server.worker(events_days=10).step(0).events == 1
    with server.database.read() as connection:
        assert connection.execute(select(channel_days.c.files)).scalar_one() == 5
        # Of rules that correlations count, which those five hit.
        assert set(connection.execute(select(rule_days.c.hits)).scalars()) == {5}


@pytest.mark.parametrize("is_dropped", [False, True])
def test_a_device_last_used_before_the_oldest_day_is_new_whether_it_was_dropped_by_then_or_not(
    server: Server, is_dropped: bool
) -> None:
    server.employ()
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    server.log.append([endpoint.record([copied_file(NOW)])])
    assert server.worker(events_days=10).step(0).events == 1
    server.now += 20 * DAY
    if is_dropped:
        drop_old(
            server.database,
            now=server.now,
            events_days=10,
            alerts_days=730,
            uses_days=730,
            stop=threading.Event(),
        )
    server.log.append([endpoint.record([copied_file(server.now)])])
    assert server.worker(events_days=10).step(0).events == 1
    with server.database.read() as connection:
        last = channel_days.c.day == TODAY + 20
        assert connection.execute(select(channel_days.c.new_places).where(last)).scalar_one() == 1
        assert connection.execute(select(subject_places.c.first_time)).scalar_one() == server.now
