"""PostgreSQL cuts the pipeline's connection, at each statement in turn: every event counts once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from server.pipeline.worker import PipelineWorker
from server.store.database import StoreUnavailable
from server.store.tables import (
    activity_days,
    agent_epochs,
    alert_days,
    alerts,
    channel_days,
    event_blocks,
    log_positions,
    subject_events,
    subject_places,
)
from tests.postgres_server.server import PostgresServer
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

pytestmark = [pytest.mark.databases("postgresql"), pytest.mark.long]
TODAY = NOW // DAY


@contextmanager
def _cut_at(engine: Engine, postgres_server: PostgresServer, number: int) -> Iterator[list[str]]:
    """Ends the connection on the server's side just after its statement `number`. Yields the
    statements. After the one that prepares an upsert comes its COPY, after the last one the COMMIT."""
    begun: list[str] = []

    def look(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        begun.append(statement)
        if len(begun) == number:
            pid = connection.connection.dbapi_connection.info.backend_pid
            with postgres_server.connect() as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    event.listen(engine, "after_cursor_execute", look)
    try:
        yield begun
    finally:
        event.remove(engine, "after_cursor_execute", look)


def _outcome(server: Server) -> dict[str, list[Any]]:
    ids = {"id", "alert", "fence"}
    with server.database.read() as connection:
        return {
            table.name: sorted(
                tuple(row) for row in connection.execute(select(*(c for c in table.c if c.name not in ids)))
            )
            if table is not alerts
            else sorted(
                (row.subject, row.family, row.status, row.score, row.events, row.first_time, row.last_time)
                for row in connection.execute(select(alerts))
            )
            for table in (
                agent_epochs,
                alert_days,
                alerts,
                event_blocks,
                log_positions,
                channel_days,
                activity_days,
                subject_places,
                subject_events,
            )
        }


def _step(worker: PipelineWorker) -> int:
    """Records that were worked on; -1: the database was cut off."""
    try:
        return worker.step(0).records
    except StoreUnavailable:
        return -1


def test_a_connection_cut_at_any_statement_loses_nothing_and_doubles_nothing(
    new_server: NewServer, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All that can go by COPY does, so that it is cut off in COPY too.
    monkeypatch.setattr("server.store.upsert.COPY_FROM_ROWS", 1)
    endpoint = Endpoint()
    servers = [new_server(), new_server()]
    for server in servers:
        endpoint.enrol(server.database)
        server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
    stream = [
        endpoint.record(
            [copied_file(NOW - 5 * DAY + n * DAY // 20 + i, size=n * 10**7 + i) for i in range(3)]
        )
        for n in range(100)
    ]
    undisturbed, cut = servers
    undisturbed.take(*stream)
    worker = cut.worker(records_per_batch=2)
    cuts = 0
    position = itertools.count()
    for number in itertools.count(1):
        cut.log.append([stream[next(position)], stream[next(position)]])
        with _cut_at(cut.database._engine, postgres_server, number) as begun:
            done = _step(worker)
        if done == -1:
            cuts += 1
            assert len(begun) == number
            assert _step(worker) == 2
        else:
            assert len(begun) < number, "a cut that nobody noticed"
            break
    cut.take(*stream[next(position) :])
    assert cuts > 12
    assert _outcome(cut) == _outcome(undisturbed)
    with cut.database.read() as connection:
        assert connection.execute(select(func.sum(event_blocks.c.count))).scalar_one() == 300
        assert connection.execute(select(func.count()).select_from(alerts)).scalar_one() >= 1
