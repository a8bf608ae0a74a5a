"""How likely a leak is before anything was seen does not depend on who came first that day, and when."""

from __future__ import annotations

from sqlalchemy import update

from analytics.risk import notice_weights
from server.pipeline.memory import Memory
from server.store.tables import people
from tests.server.pipeline.conftest import DAY, NOW, Server

TODAY = NOW // DAY


def test_people_in_all_time_zones_count_by_their_own_date(server: Server) -> None:
    server.employ("p1", "alice", notice_date=TODAY)
    server.employ("p2", "bob", notice_date=TODAY)
    server.employ("p3", "carol", notice_date=TODAY + 1)
    server.employ("p4", "dan")
    with server.database.begin() as connection:
        for person, zone in (("p1", "Pacific/Kiritimati"), ("p2", "Pacific/Pago_Pago")):
            connection.execute(update(people).where(people.c.id == person).values(time_zone=zone))
    with server.database.read() as connection:
        memory = Memory(connection, server.clock)
    alice, dan = memory.directory.person("p1"), memory.directory.person("p4")
    for day, share in ((TODAY - 1, 0.0), (TODAY, 0.5), (TODAY + 1, 0.75)):
        on_notice, others = notice_weights(share)
        assert memory.anomaly_weight(dan, day) == others
        assert memory.anomaly_weight(alice, day) == (on_notice if day >= TODAY else others)
