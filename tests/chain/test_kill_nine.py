"""The soak test in small: kill -9 while events flow changes nothing stored, on any log and database."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from server.pipeline.subject_state import CORRELATED
from tests.kafka_broker.broker import KafkaBroker
from tests.postgres_server.server import PostgresServer
from tests.soak.comparison import compare
from tests.soak.installation import prepare_data
from tests.soak.kill_nine import Course, Run, run_script
from tests.soak.outcome import read_outcome

EVENTS = 3000
AGENTS = 2
_BLOCK = "agent, epoch, first_seq, count, received_at, last_day, signature, value, leaver"


class Undisturbed(msgspec.Struct, frozen=True):
    """On the embedded log and SQLite."""

    prepared: Path
    course: Course
    run: Run
    data: Path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    prepared = folder / "prepared"
    course = Course(EVENTS, prepare_data(prepared), agents=AGENTS, seed=2)
    run = run_script(folder / "run", prepared, course, say=lambda _: None)
    # Leavers, the one who has left and the account of nobody: what is compared is not empty.
    assert len(run.outcome.tables["alerts"]) >= 4
    assert any(CORRELATED in row for row in run.outcome.tables["rule days"]), "no correlation fired"
    assert run.outcome.tables["events that correlations point to"]
    return Undisturbed(prepared, course, run, folder / "run" / "data")


def _assert_kills_change_nothing(
    folder: Path, undisturbed: Undisturbed, course: Course, *victims: str
) -> None:
    said: list[str] = []
    killed = run_script(folder, undisturbed.prepared, course, say=said.append)
    assert killed.kills == dict.fromkeys(victims, course.kills)
    assert killed.in_flow >= 2, said
    lines = compare(
        undisturbed.run.outcome,
        killed.outcome,
        names=course.names,
        count=EVENTS,
        base_time=course.base_time,
    )
    assert [line for line in lines if line.fault] == []


def test_kill_nine_of_agents_and_server_leaves_events_and_alerts_as_undisturbed(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    course = msgspec.structs.replace(undisturbed.course, kills=3)
    _assert_kills_change_nothing(tmp_path / "killed", undisturbed, course, "agent", "server")


@pytest.mark.long
def test_kill_nine_of_agent_server_and_postgresql_leaves_what_an_undisturbed_run_on_sqlite_leaves(
    tmp_path: Path, undisturbed: Undisturbed, postgres_server: PostgresServer
) -> None:
    course = msgspec.structs.replace(undisturbed.course, kills=1, postgres=postgres_server)
    _assert_kills_change_nothing(tmp_path / "killed", undisturbed, course, "agent", "server", "database")


@pytest.mark.long
@pytest.mark.kafka
def test_kill_nine_of_agent_server_worker_broker_and_postgresql_leaves_what_is_left_without_any_of_that(
    tmp_path: Path, undisturbed: Undisturbed, postgres_server: PostgresServer, kafka_broker: KafkaBroker
) -> None:
    course = msgspec.structs.replace(
        undisturbed.course, kills=1, workers=1, postgres=postgres_server, kafka=kafka_broker
    )
    victims = ("agent", "server", "worker", "broker", "database")
    _assert_kills_change_nothing(tmp_path / "killed", undisturbed, course, *victims)


@pytest.mark.parametrize(
    ("sabotage", "reported"),
    [
        pytest.param(
            "DELETE FROM event_blocks WHERE id = (SELECT max(id) FROM event_blocks)",
            {"events", "events as scripted"},
            id="a record is dropped",
        ),
        pytest.param(
            f"INSERT INTO event_blocks SELECT id + 1, {_BLOCK} FROM event_blocks"
            " WHERE id = (SELECT max(id) FROM event_blocks)",
            {"stored twice"},
            id="a record is stored twice",
        ),
        pytest.param(
            "UPDATE agent_epochs SET seen = '0-4,6' || substr(seen, 2) WHERE agent = 'soak-1'",
            {"numbers missing"},
            id="a number is missing",
        ),
        pytest.param(
            "UPDATE channel_days SET bytes = bytes + 1 WHERE day = (SELECT max(day) FROM channel_days)",
            {"storage days"},
            id="bytes are counted twice",
        ),
        pytest.param(
            "UPDATE alerts SET score = score - 1 WHERE id = (SELECT max(id) FROM alerts)",
            {"alerts"},
            id="an alert has another score",
        ),
        pytest.param("UPDATE rule_days SET hits = hits + 1", {"rule days"}, id="rules fire twice"),
        pytest.param(
            "UPDATE log_positions SET next_offset = next_offset - 1",
            {"left on the log"},
            id="not all is read",
        ),
    ],
)
def test_the_comparison_tells_what_was_tampered_with(
    tmp_path: Path, undisturbed: Undisturbed, sabotage: str, reported: set[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(undisturbed.data, data)
    with closing(sqlite3.connect(data / "leaver.db")) as connection, connection:
        assert connection.execute(sabotage).rowcount >= 1
    lines = compare(
        undisturbed.run.outcome,
        read_outcome(data),
        names=undisturbed.course.names,
        count=EVENTS,
        base_time=undisturbed.course.base_time,
    )
    assert {line.what for line in lines if line.fault} == reported
