"""Somebody is flagged while two workers store events from Kafka: they are looked back at once, and the one
alert holds what was done before and what came meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from server.store.database import open_database
from server.store.tables import alert_days, look_backs
from tests.kafka_broker.broker import KafkaBroker
from tests.server.conftest import NewDatabaseUrl
from tests.server.pipeline.endpoint import copied_file
from tests.server.up.conftest import Start
from tests.server.up.enrolled_agent import EnrolledAgent
from tests.server.up.up_process import leaver, leaver_json
from tests.server.up.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.databases("postgresql"), pytest.mark.long]
DAY = 86_400_000
DESKS, DAYS = 6, 15
TOPIC = "leaver.events.flagged"
Begin = Callable[[Path, str], WorkerProcess]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Starts a worker on the data directory given."""
    started: list[WorkerProcess] = []

    def begin_one(data: Path, name: str) -> WorkerProcess:
        started.append(WorkerProcess(data, name))
        return started[-1]

    yield begin_one
    for worker in started:
        worker.end()


def _until(what: str, happened: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def test_a_flag_beside_two_workers_is_looked_back_at_once_and_makes_one_alert(
    tmp_path: Path, start: Start, begin: Begin, new_database_url: NewDatabaseUrl, kafka_broker: KafkaBroker
) -> None:
    url = new_database_url(tmp_path)
    (tmp_path / "server.toml").write_text(
        f'[listen]\naddress = "127.0.0.1:0"\n[database]\nurl = "{url}"\n'
        f'[log]\nkind = "kafka"\nbootstrap = ["{kafka_broker.bootstrap}"]\n'
        f'topic = "{TOPIC}"\npartitions = 4\n'
        "[pipeline]\nenabled = false\nsession_seconds = 6\n"
    )
    up = start(tmp_path)
    workers = [begin(tmp_path, name) for name in ("one", "two")]
    people = tmp_path / "people.csv"
    people.write_text("id,accounts\nE1,alice\nE2,bob\n")
    assert leaver("people", "import", "--yes", str(people), data=up.data).returncode == 0
    _until(
        "both workers hold partitions",
        lambda: [len(row["partitions"]) for row in leaver_json("status", data=up.data)["workers"]] == [2, 2],
    )
    now = time.time_ns() // 1_000_000
    with up.client() as client:
        agents = [EnrolledAgent(client, up.data, f"desk-{number}") for number in range(DESKS)]

        def work(day: int) -> None:
            for number, agent in enumerate(agents):
                files = [
                    copied_file(
                        now - day * DAY - 1000 - number,
                        name=f"{number}-{day}.{who}.zip",
                        size=2_000_000,
                        account=who,
                        host=f"desk-{number}",
                    )
                    for who in ("alice", "bob")
                ]
                assert agent.send_events(files).status_code == 200

        for day in range(DAYS, 3, -1):
            work(day)
        sent = DESKS * 2 * (DAYS - 3)
        _until("all is stored", lambda: leaver_json("status", data=up.data)["events_stored"] == sent)
        assert all(row["batches"] for row in leaver_json("status", data=up.data)["workers"])
        assert leaver_json("alerts", "list", data=up.data) == []
        last_day = (datetime.now(UTC) + timedelta(days=6)).date().isoformat()
        work(3)
        done = leaver("people", "flag", "E1", "--last-day", last_day, "--reason", "case 9", data=up.data)
        assert done.returncode == 0, done.stderr
        # The workers go on while the past is made anew.
        for day in (2, 1, 0):
            work(day)
    sent += DESKS * 2 * 4

    def is_done() -> bool:
        status = leaver_json("status", data=up.data)
        return bool(status["events_stored"] == sent and not status["look_backs"]["waiting"])

    _until("stored and looked back at", is_done)
    (alert,) = leaver_json("alerts", "list", data=up.data)
    assert alert["who"]["status"] == "notice"
    assert alert["looked_back_at"] >= now
    state = leaver_json("status", data=up.data)["look_backs"]
    assert (state["finished"], state["failed"], state["opened"] + state["joined"]) == (1, 0, 1)
    database = open_database(url, clock=lambda: now)
    with database.read() as connection:
        rows = connection.execute(select(look_backs)).all()
        days = set(connection.execute(select(alert_days.c.day)).scalars())
    database.close()
    assert len(days) == DAYS + 1, "what was done before the flag, and what came beside it"
    assert [row.person_id for row in rows] == ["E1"]
    assert [worker.process.poll() for worker in workers] == [None, None]
    assert up.terminate()[0] == 0
