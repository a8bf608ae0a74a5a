"""What bounds of correlations drop is counted, wherever it shows."""

from __future__ import annotations

from sqlalchemy import func, select, update

from server.pipeline.observer import BatchDone, Unobserved
from server.pipeline.subject_correlations import LIMITS
from server.store.tables import alerts, correlation_groups
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.correlated import policies
from tests.server.pipeline.endpoint import copied_file
from tests.server.pipeline.test_correlations import SEQUENCE, enrolled, evidence_names, take, worker
from tests.server.pipeline.test_worker import rows


class Told(Unobserved):
    def __init__(self) -> None:
        self.batches: list[BatchDone] = []

    def batch_done(self, done: BatchDone) -> None:
        self.batches.append(done)


def test_what_bounds_drop_is_told(server: Server) -> None:
    (laptop,) = enrolled(server, "laptop")
    told = Told()
    server.log.append([laptop.record([copied_file(NOW, name="dump.sql")])])
    server.log.append([laptop.record([copied_file(NOW - 30 * DAY, name="dump.sql")])])
    working = worker(server, policies(), observer=told)
    while working.step(0).records:
        pass
    assert [done.correlations_dropped for done in told.batches] == [{"too_old": 1}]
    assert LIMITS.keep < 27 * DAY


def test_a_window_that_nobody_can_read_is_counted_also_where_only_an_alert_asks_for_it(
    server: Server,
) -> None:
    (laptop,) = enrolled(server, "laptop")
    take(server, policies(), laptop.record([copied_file(when, name=name) for name, when in SEQUENCE]))
    (alert,) = rows(server, alerts)
    with server.database.begin() as connection:
        connection.execute(update(correlation_groups).values(state=b"?"))
        unreadable = connection.execute(select(func.count()).select_from(correlation_groups)).scalar_one()
    told = Told()
    server.log.append([laptop.record([copied_file(NOW, name="holiday.jpg")])])
    worker(server, policies(), observer=told).step(0)
    assert [done.correlations_dropped for done in told.batches] == [{"groups_dropped": unreadable}]
    assert evidence_names(server, alert["id"]) == ["all.zip", "dump.sql", "out.pdf"]
