"""A running worker takes changed rules over, and alerts name the versions that fired."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import select

from server.alerts.views import alert_detail
from server.commands.alert_text import detail_text
from server.policies.versions import PolicyVersion, save, switch, versions_of_rule
from server.store.tables import alerts, hidden_hits, rule_days
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.policies.rule_texts import BUILD_SERVER, COPIED, ENDS, EXCEPTION, RULE

SPREADSHEET = COPIED.replace("file.ext: xlsx", "file.name|endswith: .xlsx").replace(
    "file.ext: XLSX", "file.name: list.xlsx"
)
HIGH = SPREADSHEET.replace("level: medium", "level: high")
OF_LAPTOP = BUILD_SERVER.replace("build-1", "laptop-1")


def _save(server: Server, text: str) -> PolicyVersion:
    with server.database.begin() as connection:
        return save(connection, text, file="a.yml", actor="cli:lin", reason="x", now=server.now)


def _rows(server: Server, table: Any) -> list[dict[str, Any]]:
    with server.database.read() as connection:
        return [dict(row._mapping) for row in connection.execute(select(table))]


@pytest.fixture
def endpoint(server: Server) -> Endpoint:
    server.employ()
    made = Endpoint()
    made.enrol(server.database)
    return made


def test_a_worker_goes_on_with_the_new_version_and_the_alert_names_both(
    server: Server, endpoint: Endpoint
) -> None:
    first = _save(server, SPREADSHEET)
    worker = server.worker()
    server.log.append([endpoint.record([copied_file(NOW - 2000)])])
    worker.step(0)
    (hits,) = _rows(server, rule_days)
    assert (hits["rule_id"], hits["level"], hits["first_version"], hits["last_version"]) == (
        RULE,
        "medium",
        1,
        1,
    )
    second = _save(server, HIGH)
    server.log.append([endpoint.record([copied_file(NOW - 1000)])])
    worker.step(0)
    (hits,) = _rows(server, rule_days)
    assert (hits["level"], hits["hits"], hits["first_version"], hits["last_version"]) == ("high", 2, 1, 2)
    (alert,) = _rows(server, alerts)
    (rule,) = alert["facts"]["rules"]
    assert rule["versions"] == [
        {"number": 1, "hash": first.hash},
        {"number": 2, "hash": second.hash},
    ]
    assert alert["score"] == 70, "what the highest version says of the day"


def test_the_alert_that_people_see_says_which_text_fired(server: Server, endpoint: Endpoint) -> None:
    version = _save(server, HIGH)
    server.take(endpoint.record([copied_file(NOW)]))
    detail = alert_detail(server.database, 1)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(detail_text(detail))
    assert f"v1 {version.hash[:8]}" in console.export_text()


def test_an_exception_hides_counts_and_ends_by_the_time_of_the_event(
    server: Server, endpoint: Endpoint
) -> None:
    _save(server, HIGH)
    _save(server, OF_LAPTOP)
    server.now = ENDS + 3_600_000
    times = (ENDS - DAY - 1, ENDS - 2, ENDS - 1, ENDS)
    server.take(endpoint.record([copied_file(time) for time in times]))
    (hits,) = _rows(server, rule_days)
    assert (hits["hits"], hits["first_time"]) == (1, ENDS)
    hidden = [
        (row["exception_id"], row["rule_id"], row["day"], row["hits"], row["last_time"])
        for row in _rows(server, hidden_hits)
    ]
    assert hidden == [
        (EXCEPTION, RULE, ENDS // DAY - 2, 1, ENDS - DAY - 1),
        (EXCEPTION, RULE, ENDS // DAY - 1, 2, ENDS - 1),
    ]


def test_events_that_come_again_are_not_hidden_again(server: Server, endpoint: Endpoint) -> None:
    _save(server, HIGH)
    _save(server, OF_LAPTOP)
    record = endpoint.record([copied_file(NOW)])
    server.take(record)
    server.take(record)
    assert [row["hits"] for row in _rows(server, hidden_hits)] == [1]


def test_a_rule_out_of_use_fires_no_more_and_its_neighbours_do(server: Server, endpoint: Endpoint) -> None:
    _save(server, SPREADSHEET)
    _save(server, HIGH.replace("0f4d1c0e", "1f4d1c0e"))
    worker = server.worker()
    with server.database.begin() as connection:
        switch(connection, RULE, enabled=False, actor="cli:lin", reason="x", now=NOW)
        assert versions_of_rule(connection, RULE)[0].number == 2
    server.log.append([endpoint.record([copied_file(NOW)])])
    worker.step(0)
    assert [row["rule_id"][0] for row in _rows(server, rule_days)] == ["1"]
