"""Amounts beyond all measure give numbers all the same, and little waits to be scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from server.pipeline.event_scoring import EventScoring
from tests.server.pipeline.conftest import NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.scored_company import (
    account_of,
    learnt_company,
    learnt_models,
    records,
    stored_anomalies,
)

pytestmark = pytest.mark.databases("sqlite")


def test_numbers_beyond_all_measure_are_bounded_and_so_is_what_waits(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt_company(server.database, learnt_models()[0])
    monkeypatch.setattr("server.detection.anomaly_scoring.WAITING_MAX", 5)
    waited = []
    settle = EventScoring.add

    def watched(self: EventScoring, *args: Any, **named: Any) -> None:
        settle(self, *args, **named)
        waited.append(len(self._memory.scorer._waiting))

    monkeypatch.setattr(EventScoring, "add", watched)
    copies = [
        copied_file(NOW - 100_000 + n, size=10**18, account=account_of(n % 9), name=f"{n}")
        for n in range(200)
    ]
    endpoint = Endpoint("laptop-1")
    endpoint.enrol(server.database)
    server.take(*records(endpoint, copies, range(10, 200, 10)))
    with server.database.read() as connection:
        stored = stored_anomalies(connection)
    for row in stored:
        assert 50 < row["points"] <= 100
        assert np.isfinite(list(row["evidence"].values())).all()
    assert len(stored) == 9
    assert max(waited) <= 5 + 10
