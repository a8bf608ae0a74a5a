"""A verdict covers what there was to see, and nothing that reaches the server later."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from event_schema.wire import WireRecord
from server.alerts.queries import Verdict, close_alert
from server.alerts.views import alert_detail
from server.store.tables import alerts
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

TODAY = NOW // DAY


def _alerts(server: Server) -> list[dict[str, Any]]:
    with server.database.read() as connection:
        return [dict(row._mapping) for row in connection.execute(select(alerts).order_by(alerts.c.id))]


def _close(server: Server, alert_id: int) -> None:
    with server.database.begin() as connection:
        close_alert(connection, alert_id, Verdict.EXPECTED, "agreed with the manager", "omar", server.now)


def _leaver(server: Server) -> Endpoint:
    server.employ("p1", "alice", notice_date=TODAY - 30, last_working_day=TODAY + 6)
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    return endpoint


def _copy(endpoint: Endpoint, time: int, files: int = 3) -> WireRecord:
    return endpoint.record([copied_file(time + i, name=f"customers-{i}.csv") for i in range(files)])


def test_older_days_that_a_laptop_delivers_after_the_closing_open_another_alert(server: Server) -> None:
    endpoint = _leaver(server)
    older = _copy(endpoint, NOW - 5 * DAY)
    server.take(_copy(endpoint, NOW - DAY))
    (first,) = _alerts(server)
    _close(server, first["id"])
    server.take(older)
    closed, opened = _alerts(server)
    assert (closed["status"], opened["status"]) == ("closed", "open")
    assert closed["events"] == 3
    assert (opened["first_time"], opened["last_time"]) == (NOW - 5 * DAY, NOW - 5 * DAY + 2)
    assert opened["events"] == 3


def test_late_events_of_a_judged_day_open_another_alert_and_events_sent_again_do_not(server: Server) -> None:
    endpoint = _leaver(server)
    early, late = _copy(endpoint, NOW - DAY), _copy(endpoint, NOW - DAY - 1000)
    server.take(early)
    _close(server, _alerts(server)[0]["id"])
    server.take(early)
    assert [alert["status"] for alert in _alerts(server)] == ["closed"]
    server.take(late)
    assert [alert["status"] for alert in _alerts(server)] == ["closed", "open"]


def test_what_was_judged_twice_needs_more_than_the_second_time(server: Server) -> None:
    endpoint = _leaver(server)
    for back in (1, 12, 5):
        server.take(_copy(endpoint, NOW - back * DAY))
        opened = _alerts(server)[-1]
        assert opened["status"] == "open"
        _close(server, opened["id"])
    last = _alerts(server)
    # A day of nobody's interest makes the pipeline look again at all that it has of the person.
    server.take(endpoint.record([copied_file(NOW - 40 * DAY, name="holiday.jpg")]))
    assert _alerts(server) == last


@pytest.mark.databases("sqlite")
def test_batches_and_restarts_after_the_closing_do_not_show(new_server: NewServer) -> None:
    outcomes = []
    endpoint: Endpoint | None = None
    for per_batch in (100, 1):
        server = new_server()
        if endpoint is None:
            endpoint = _leaver(server)
            late = [_copy(endpoint, NOW - back * DAY, back) for back in (9, 2, 6)]
            first = _copy(endpoint, NOW - 3 * DAY)
        else:
            server.employ("p1", "alice", notice_date=TODAY - 30, last_working_day=TODAY + 6)
            endpoint.enrol(server.database)
        server.take(first)
        _close(server, _alerts(server)[0]["id"])
        if per_batch == 1:
            for record in late:
                server.take(record)
        else:
            server.take(*late)
        outcomes.append(_alerts(server))
    assert [alert["status"] for alert in outcomes[0]] == ["closed", "open"]
    assert outcomes[0][1]["events"] == 17
    assert outcomes[0] == outcomes[1]


def test_a_closed_alert_keeps_the_evidence_it_was_judged_by_and_the_next_one_shows_what_is_new(
    server: Server,
) -> None:
    endpoint = _leaver(server)
    server.take(_copy(endpoint, NOW, files=4))
    _close(server, _alerts(server)[0]["id"])
    server.take(endpoint.record([copied_file(NOW + 5000, name="one-more.csv", size=7)]))
    server.take(endpoint.record([copied_file(NOW + 6000, name="and-another.csv", size=8)]))
    closed, opened = (alert_detail(server.database, alert["id"]) for alert in _alerts(server))
    names = [{event.event["file"]["name"] for event in each.evidence.largest} for each in (closed, opened)]
    assert names == [{f"customers-{number}.csv" for number in range(4)}, {"one-more.csv", "and-another.csv"}]
    assert [(each.evidence.total, each.evidence.bytes) for each in (closed, opened)] == [(4, 4000), (2, 15)]
    assert [(each.proof.good, each.proof.events) for each in (closed, opened)] == [(True, 4), (True, 2)]
    assert [(one.id, one.verdict) for one in opened.earlier] == [(closed.alert.id, "expected")]
    assert closed.earlier == ()
    assert opened.alert.sentence["en"].endswith(
        "; part of it was judged before and is not among this alert's evidence"
    )
    assert "judged" not in closed.alert.sentence["en"]
