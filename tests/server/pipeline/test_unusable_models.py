"""An active model of which this program can make nothing scores nothing, and stops nothing."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import select

from analytics.sealed_bytes import seal, unseal
from server.store.tables import activity_days, anomaly_days
from tests.server.pipeline.conftest import NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.scored_company import TODAY, account_of, learnt_company, learnt_models
from tests.server.training.measured_company import subject

pytestmark = pytest.mark.databases("sqlite")


def _of_fewer_activities() -> bytes:
    content = msgspec.msgpack.decode(unseal(learnt_models()[0], b"LVANOMAL", 1, "x"))
    del content["activities"]["removable_storage"]
    return seal(b"LVANOMAL", 1, msgspec.msgpack.encode(content))


@pytest.mark.parametrize("of_fewer", [False, True])
def test_a_model_that_this_program_cannot_use_stops_nothing(server: Server, of_fewer: bool) -> None:
    learnt_company(server.database, _of_fewer_activities() if of_fewer else b"of another version")
    endpoint = Endpoint("laptop-1")
    endpoint.enrol(server.database)
    server.take(endpoint.record([copied_file(NOW, account=account_of(3))]))
    with server.database.read() as connection:
        at = activity_days.c
        query = select(at.amounts).where(at.subject == subject(3), at.day == TODAY)
        assert connection.execute(query).scalars().all() == ["[1000,1,0]"]
        assert connection.execute(select(anomaly_days)).first() is None
