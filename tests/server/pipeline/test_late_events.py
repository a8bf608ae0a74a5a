"""What decision 3 allows the order of arrival to show, and nothing else."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from server.store.tables import alerts, anomaly_days, channel_days, rule_days, subject_places
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.scored_company import activate, learnt_models

FIRST_USE = "6180443d-baea-4dce-911d-13f4426effd7"


def _rows(server: Server, table: Any, *without: str) -> list[dict[str, Any]]:
    with server.database.read() as connection:
        found = connection.execute(select(table).order_by(*table.primary_key.columns))
        return [{k: v for k, v in row._mapping.items() if k not in without} for row in found]


def test_a_late_first_use_of_a_device_leaves_sums_alike_and_takes_back_no_suspicion(
    new_server: NewServer,
) -> None:
    desk, laptop = Endpoint("desk"), Endpoint("laptop", epoch="e" * 16)
    early = laptop.record([copied_file(NOW - 3 * DAY, size=5_000_000_000, device="x:y:1")])
    later = desk.record([copied_file(NOW, size=5_000_000_000, device="x:y:1")])
    servers = []
    for order in ((early, later), (later, early)):
        server = new_server()
        server.employ("p1", "alice")
        for endpoint in (desk, laptop):
            endpoint.enrol(server.database)
        activate(server.database, learnt_models()[0])
        for record in order:
            server.take(record)
        servers.append(server)
    in_time, out_of_time = servers
    for table in (channel_days, subject_places):
        assert _rows(in_time, table) == _rows(out_of_time, table)
    assert [day["new_places"] for day in _rows(in_time, channel_days)] == [1, 0]
    heights = [[day["points"] for day in _rows(server, anomaly_days)] for server in servers]
    assert heights[0][0] == heights[1][0]
    assert 0 < heights[0][1] < heights[1][1]
    hits = [
        {(row["rule_id"], row["day"]): row["hits"] for row in _rows(server, rule_days)} for server in servers
    ]
    assert hits[0].items() < hits[1].items()
    assert hits[1].keys() - hits[0].keys() == {(FIRST_USE, NOW // DAY)}
    scores = [max(alert["score"] for alert in _rows(server, alerts)) for server in servers]
    assert scores[0] <= scores[1]
