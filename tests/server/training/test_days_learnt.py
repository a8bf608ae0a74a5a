"""Which days a model is trained on: whole local days, wherever the people are."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.training.activity_training import train_activities
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

TODAY = NOW // DAY
HOUR = 3_600_000


@pytest.mark.parametrize(
    ("hours", "last_day"), [(0, TODAY - 2), (11, TODAY - 2), (12, TODAY - 1), (23, TODAY - 1)]
)
def test_a_day_that_still_runs_somewhere_is_not_learned(
    tmp_path: Path, database_url: str, hours: int, last_day: int
) -> None:
    server = Server(tmp_path, database_url)
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    midnight = TODAY * DAY
    server.take(
        endpoint.record([copied_file(midnight - day * DAY - 1, name=f"{day}.txt") for day in range(3)])
    )
    made = train_activities(server.database, now=midnight + hours * HOUR)
    server.close()
    # In UTC, the first of the files is yesterday's.
    assert (made.summary.last_day, made.summary.days) == (last_day, 2 if hours < 12 else 3)
