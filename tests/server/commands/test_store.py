"""`leaver store migrate`: all of it or nothing, both ways, and never under a running server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from server import audit
from server.agents.registry import create_token
from server.commands.opening import open_installation, system_clock
from server.data_directory import DataDirectory
from server.installation import created_installation
from server.pipeline.worker import PipelineWorker
from server.store.database import Database, open_database, upgrade
from server.store.tables import (
    agent_findings,
    installation,
    known_exports,
    metadata,
    subject_agents,
)
from server.store.tables import audit as audit_table
from server.training.activity_training import train_activities
from tests.postgres_server.server import PostgresServer
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.up.up_process import leaver
from tests.soak.installation import prepare_data

pytestmark = pytest.mark.long

Tables = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the demo's company, 60 days of it, a model and an alert, on SQLite."""
    data = tmp_path_factory.mktemp("demo") / "data"
    now = prepare_data(data)
    endpoint = Endpoint("desk-17")
    with open_installation(data) as opened:
        endpoint.enrol(opened.database)
        log = opened.open_log()
        # The account of the company's leaver, see prepare_data.
        copies = [copied_file(now, name=f"{n}.csv", size=10**9, account="unused") for n in range(50)]
        log.append([endpoint.record(copies)])
        worker = PipelineWorker(opened.database, log, clock=system_clock)
        while worker.step(0).records:
            pass
        log.close()
        made = {"sha256": "ab" * 32, "origin": "database_export", "seen_at": now}
        with opened.database.begin() as connection:
            connection.execute(insert(known_exports).values(made))
    return data


@pytest.fixture
def empty(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of an empty database, over the socket."""
    name = postgres_server.new_database(migrated=False)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


def _contents(url: str) -> Tables:
    database = open_database(url, clock=system_clock)
    with database.read() as connection:
        found = {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in metadata.sorted_tables
        }
    database.close()
    return found


def _url(data: Path) -> str:
    return f"sqlite:///{data}/leaver.db"


def test_the_demos_data_goes_to_postgresql_and_back_and_is_the_same(
    demo: Path, empty: str, tmp_path: Path
) -> None:
    before = _contents(_url(demo))
    assert sum(map(len, before.values())) > 1000
    for name in ("event_blocks", "people", "models", "audit", "alerts", "pseudonyms"):
        assert before[name]
    for name in (
        "channel_days",
        "activity_days",
        "subject_places",
        "rule_days",
        "known_exports",
        "trait_uses",
    ):
        assert before[name]
    there = leaver("store", "migrate", "--to", empty, data=demo)
    assert there.returncode == 0, there.stderr
    assert "the audit trail's chain holds" in there.stdout
    assert f'url = "{empty}"' in there.stdout
    assert _contents(empty) == before

    back = tmp_path / "back.db"
    done = leaver(
        "store", "migrate", "--from", empty, "--to", f"sqlite:///{back}", "--json", data=tmp_path / "none"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["rows"] == {name: len(rows) for name, rows in before.items()}
    assert told["audit_broken_at"] is None
    assert _contents(f"sqlite:///{back}") == before
    assert _contents(_url(demo)) == before


def test_the_copy_is_worked_with_as_the_original_was(demo: Path, empty: str, tmp_path: Path) -> None:
    assert leaver("store", "migrate", "--to", empty, data=demo).returncode == 0
    data = tmp_path / "data"
    data.mkdir()
    (data / "server.toml").write_text(f'[database]\nurl = "{empty}"\n', encoding="utf-8")
    listed = leaver("alerts", "list", "--json", data=data)
    assert json.loads(listed.stdout) == json.loads(leaver("alerts", "list", "--json", data=demo).stdout)
    with open_installation(data) as opened:
        database = opened.database
        # Rows that number themselves go on above those that were copied.
        with database.begin() as connection:
            create_token(connection, "later", now=1, actor="test")
            finding = {"agent": "a", "kind": "gap", "detail": "", "first_at": 0, "last_at": 0, "count": 1}
            connection.execute(insert(agent_findings).values(finding))
            made = {"sha256": "cd" * 32, "origin": "file_server", "seen_at": 1}
            numbered = insert(known_exports).values(made).returning(known_exports.c.id)
            assert connection.execute(numbered).scalar_one() == 2
        model = train_activities(database, now=system_clock())
        with database.read() as connection:
            assert audit.verify(connection) is None
    assert model.id == max(row[0] for row in _contents(_url(demo))["models"]) + 1


def test_numbers_of_rows_that_are_gone_are_not_given_again_there_or_back(empty: str, tmp_path: Path) -> None:
    finding = {"agent": "a", "kind": "gap", "detail": "", "first_at": 0, "last_at": 0, "count": 1}

    def next_number(url: str) -> int:
        database = open_database(url, clock=system_clock)
        upgrade(database)
        with database.begin() as connection:
            row = insert(agent_findings).values(finding).returning(agent_findings.c.id)
            number = int(connection.execute(row).scalar_one())
            connection.execute(delete(agent_findings))
        database.close()
        return number

    assert next_number(_url(tmp_path)) == 1
    back = f"sqlite:///{tmp_path}/back.db"
    assert leaver("store", "migrate", "--to", empty, data=tmp_path).returncode == 0
    assert next_number(empty) == 2
    assert leaver("store", "migrate", "--from", empty, "--to", back, data=tmp_path / "none").returncode == 0
    assert next_number(back) == 3


def test_nothing_is_copied_into_a_database_that_has_rows(demo: Path, empty: str) -> None:
    there = open_database(empty, clock=system_clock)
    upgrade(there)
    with there.begin() as connection:
        connection.execute(insert(installation).values(key="id", value="other"))
    before = _contents(empty)
    refused = leaver("store", "migrate", "--to", empty, data=demo)
    assert refused.returncode == 1
    assert "is not empty: there are rows in installation" in refused.stderr
    assert _contents(empty) == before
    there.close()
    onto_itself = leaver("store", "migrate", "--to", _url(demo), data=demo)
    assert onto_itself.returncode == 1
    assert "is not empty" in onto_itself.stderr


def _filled(url: str) -> Database:
    database = open_database(url, clock=system_clock)
    upgrade(database)
    with database.begin() as connection:
        for number in range(20):
            audit.append(connection, at=number, actor="a", action="b", object="c", detail={"n": number})
        connection.execute(
            insert(subject_agents), [{"subject": f"s{n}", "agent": "a", "first_time": n} for n in range(30)]
        )
    return database


def test_a_row_that_does_not_fit_leaves_nothing_behind(empty: str, tmp_path: Path) -> None:
    source = _filled(_url(tmp_path))
    with source.begin() as connection:
        connection.execute(insert(subject_agents).values(subject="x" * 500, agent="a", first_time=1))
    source.close()
    failed = leaver("store", "migrate", "--to", empty, data=tmp_path)
    assert failed.returncode == 1
    # The kind of error alone: its words may hold the value.
    assert "table subject_agents: a row does not fit: StringDataRightTruncation" in failed.stderr
    assert not any(_contents(empty).values())


def test_a_chain_that_was_broken_stays_broken_at_the_same_row_and_is_told(empty: str, tmp_path: Path) -> None:
    source = _filled(_url(tmp_path))
    with source.begin() as connection:
        connection.execute(update(audit_table).where(audit_table.c.seq == 7).values(reason="forged"))
    source.close()
    done = leaver("store", "migrate", "--to", empty, data=tmp_path)
    assert done.returncode == 3
    assert "chain is broken at row 7" in done.stdout
    assert len(_contents(empty)["audit"]) == 20


def test_a_chain_that_the_copy_would_break_stops_the_copy(empty: str, tmp_path: Path) -> None:
    source = _filled(_url(tmp_path))
    # As an older program could write it: PostgreSQL has no place for this character.
    with source.begin() as connection:
        row = dict(connection.execute(select(audit_table).where(audit_table.c.seq == 20)).one()._mapping)
        row["reason"] = "zero \0"
        connection.execute(delete(audit_table).where(audit_table.c.seq == 20))
        named = {str(name): value for name, value in row.items() if name != "hash"}
        values = [json.dumps(value) if name == "detail" else value for name, value in named.items()]
        connection.exec_driver_sql(
            "INSERT INTO audit (seq, at, actor, action, object, reason, detail, previous_hash, hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, audit._hash(named)),
        )
    with source.read() as connection:
        assert audit.verify(connection) is None
    source.close()
    failed = leaver("store", "migrate", "--to", empty, data=tmp_path)
    assert failed.returncode == 1
    assert "the copied audit trail does not fit its hashes at row 20" in failed.stderr
    assert not any(_contents(empty).values())


def test_while_a_server_runs_on_either_side_nothing_is_copied(
    empty: str, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    _filled(_url(tmp_path)).close()
    with open_installation(tmp_path) as opened, opened.directory.locked(clock=system_clock):
        refused = leaver("store", "migrate", "--to", empty, data=tmp_path)
        assert refused.returncode == 1
        assert f"{tmp_path} is in use by another leaver up" in refused.stderr
        # Named by its URL it is the same database.
        refused = leaver("store", "migrate", "--from", _url(tmp_path), "--to", empty, data=tmp_path / "none")
        assert refused.returncode == 1
        assert f"{tmp_path} is in use by another leaver up" in refused.stderr
    other = tmp_path / "other"
    other.mkdir()
    (other / "server.toml").write_text(f'[database]\nurl = "{empty}"\n')
    directory = DataDirectory(other)
    with created_installation(directory, directory.load_config(), clock=system_clock):
        refused = leaver("store", "migrate", "--to", empty, data=tmp_path)
        assert refused.returncode == 1
        assert "in use by another leaver up (process " in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--to", "postgresql://u@127.0.0.1:1/x"), 4, "Connection refused"),
        (("--to", "postgresql://u:secret@127.0.0.1:1/x"), 2, "--to: holds a password"),
        (("--to", "mysql://u@127.0.0.1:1/x"), 2, "--to: begins neither with sqlite:"),
        (("--to", "sqlite:////nowhere/at/all.db"), 4, "No such file"),
        (("--from", "sqlite:////nowhere/at/all.db", "--to", "sqlite:////tmp/x.db"), 4, "no such file"),
        (("--to", "postgresql://u@h/x", "--to-password-file", "/nowhere/p"), 1, "/nowhere/p: No such file"),
        (("--to", ""), 2, "--to: is empty"),
        (("--to", "sqlite:////tmp/x.db", "--from-password-file", "p"), 2, "goes with --from"),
        ((), 2, "--to"),
    ],
)
def test_what_cannot_be_reached_or_is_wrong_is_said_with_its_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    _filled(_url(tmp_path)).close()
    done = leaver("store", "migrate", *arguments, data=tmp_path)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert "secret" not in done.stderr
