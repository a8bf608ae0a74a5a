"""What decision 3 allows the order of arrival to show, and nothing else."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select

from analytics.storage_model import StorageModel
from server.detection.storage_anomaly import CHANNEL
from server.store.tables import alerts, channel_days, models, rule_days, subject_places
from tests.analytics.simulated_company import simulated_histories, training_set
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

FIRST_USE = "6180443d-baea-4dce-911d-13f4426effd7"


def _rows(server: Server, table: Any, *without: str) -> list[dict[str, Any]]:
    with server.database.read() as connection:
        found = connection.execute(select(table).order_by(*table.primary_key.columns))
        return [{k: v for k, v in row._mapping.items() if k not in without} for row in found]


def test_a_late_first_use_of_a_device_leaves_sums_alike_and_takes_back_no_suspicion(
    new_server: NewServer,
) -> None:
    model = StorageModel.train(training_set(simulated_histories(1, people=150, days=60), 0, 60), seed=1)
    assert not model.cold_start
    desk, laptop = Endpoint("desk"), Endpoint("laptop", epoch="e" * 16)
    early = laptop.record([copied_file(NOW - 3 * DAY, size=5_000_000_000, device="x:y:1")])
    later = desk.record([copied_file(NOW, size=5_000_000_000, device="x:y:1")])
    servers = []
    for order in ((early, later), (later, early)):
        server = new_server()
        server.employ("p1", "alice")
        for endpoint in (desk, laptop):
            endpoint.enrol(server.database)
        with server.database.begin() as connection:
            row = {"kind": CHANNEL, "created_at": 0, "active": True, "summary": {}}
            connection.execute(insert(models).values(**row, state=model.to_bytes()))
        for record in order:
            server.take(record)
        servers.append(server)
    in_time, out_of_time = servers
    for table, without in ((channel_days, ("anomaly",)), (subject_places, ())):
        assert _rows(in_time, table, *without) == _rows(out_of_time, table, *without)
    assert [day["new_places"] for day in _rows(in_time, channel_days)] == [1, 0]
    heights = [[day["anomaly"] for day in _rows(server, channel_days)] for server in servers]
    assert heights[0][0] == heights[1][0]
    assert 0 < heights[0][1] < heights[1][1]
    hits = [
        {(row["rule_id"], row["day"]): row["hits"] for row in _rows(server, rule_days)} for server in servers
    ]
    assert hits[0].items() < hits[1].items()
    assert hits[1].keys() - hits[0].keys() == {(FIRST_USE, NOW // DAY)}
    scores = [max(alert["score"] for alert in _rows(server, alerts)) for server in servers]
    assert scores[0] <= scores[1]
