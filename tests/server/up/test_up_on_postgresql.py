"""`leaver up` on a real PostgreSQL: starts, says what is wrong, outlives whatever the database does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from server.store.postgresql import LOCKS, UP, WRITERS
from tests.postgres_server.server import PASSWORD, PostgresServer
from tests.server.pipeline.endpoint import copied_file
from tests.server.up.conftest import Start
from tests.server.up.enrolled_agent import EnrolledAgent
from tests.server.up.up_process import UpProcess, leaver, leaver_json

pytestmark = pytest.mark.long

ROLE = "leaver_server"
WAIT_SECONDS = 60.0


def _now() -> int:
    return time.time_ns() // 1_000_000


def _until(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not done():
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS:.0f} s in vain: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """Empty, of a role that has a password and owns nothing else, as an administrator would make it."""
    name = postgres_server.new_database(migrated=False)
    with postgres_server.connect(name) as connection:
        quoted = PASSWORD.replace("'", "''")
        connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{quoted}'")
        connection.execute(f'ALTER DATABASE "{name}" OWNER TO {ROLE}')
    yield name
    postgres_server.drop_database(name)
    with postgres_server.connect() as connection:
        connection.execute(f"DROP ROLE {ROLE}")


def _configure(data: Path, server: PostgresServer, database: str, *, password: str = PASSWORD) -> None:
    data.mkdir(parents=True, exist_ok=True)
    secret = data / "database-password"
    secret.write_text(password + "\n", encoding="utf-8")
    secret.chmod(0o600)
    (data / "server.toml").write_text(
        f'[listen]\naddress = "127.0.0.1:0"\n[database]\n'
        f'url = "postgresql://{ROLE}@127.0.0.1:{server.port}/{database}"\npassword_file = "{secret}"\n',
        encoding="utf-8",
    )


class Chain:
    """A running server with one agent, which counts what was acknowledged to it."""

    def __init__(self, up: UpProcess) -> None:
        self.up = up
        self.client = up.client()
        self.agent = EnrolledAgent(self.client, up.data, "desk-17")
        self.acknowledged = 0

    def send(self) -> None:
        """Until it is acknowledged, as an agent does."""
        record = self.agent.endpoint.record([copied_file(_now(), name=f"{n}.xlsx") for n in range(50)])
        _until("the server takes a record", lambda: self.agent.send([record]).status_code == 200)
        self.acknowledged += record.count

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = leaver_json("status", data=self.up.data)
        return found

    def healthy(self) -> bool:
        return self.client.get("/readyz").status_code == 200

    def close(self) -> None:
        self.client.close()


@pytest.fixture(scope="module")
def chain(
    postgres_server: PostgresServer, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chain]:
    data = tmp_path_factory.mktemp("up") / "data"
    _configure(data, postgres_server, database)
    up = UpProcess(data)
    running = Chain(up)
    yield running
    running.close()
    up.close()


def test_a_password_comes_from_its_file_and_is_never_shown(chain: Chain, database: str) -> None:
    assert chain.up.said("database") is not None
    assert f"/{database}" in str(chain.up.said("database"))
    chain.send()
    _until("it is stored", lambda: bool(chain.status()["events_stored"] == chain.acknowledged))
    shown = leaver("config", "show", data=chain.up.data)
    assert "password_file" in shown.stdout
    assert PASSWORD not in shown.stdout + "\n".join([*chain.up.lines, *chain.up.errors])


def test_a_second_leaver_up_on_the_same_database_is_refused_and_told_who_has_it(
    chain: Chain, postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    _configure(tmp_path, postgres_server, database)
    second = leaver("up", data=tmp_path)
    assert second.returncode == 1
    assert f"in use by another leaver up (process {chain.up.process.pid} on " in second.stderr
    assert PASSWORD not in second.stderr
    assert chain.healthy()


def _restart(server: PostgresServer, _database: str) -> None:
    server.halt()
    time.sleep(1)
    server.start()


def _kill(server: PostgresServer, _database: str) -> None:
    server.kill()
    server.start()


def _cut_connections(server: PostgresServer, database: str) -> None:
    for _ in range(20):
        server.end_connections(database)
        time.sleep(0.05)


def _hang(server: PostgresServer, _database: str) -> None:
    server.pause()
    time.sleep(1)
    server.resume()


def _exhaust_connections(server: PostgresServer, database: str) -> None:
    """Every place for a connection is somebody else's, those for superusers too."""
    others: list[psycopg.Connection[Any]] = []
    server.end_connections(database)
    try:
        while True:
            others.append(server.connect())
    except psycopg.OperationalError as error:
        assert "too many clients" in str(error)
        time.sleep(1)
    finally:
        for other in others:
            other.close()


def _lock_tables(server: PostgresServer, database: str) -> None:
    """As VACUUM FULL or an administrator's ALTER TABLE do; and another writer who does not finish."""
    with server.connect(database) as connection, connection.transaction():
        connection.execute(f"SELECT pg_advisory_xact_lock({LOCKS}, {WRITERS})")
        time.sleep(0.5)
        connection.execute("LOCK TABLE log_positions, channel_days, agents IN ACCESS EXCLUSIVE MODE")
        time.sleep(1)


@pytest.mark.parametrize(
    "trouble", [_restart, _kill, _cut_connections, _hang, _exhaust_connections, _lock_tables]
)
def test_whatever_the_database_does_the_server_goes_on_by_itself_and_counts_each_event_once(
    chain: Chain,
    postgres_server: PostgresServer,
    database: str,
    trouble: Callable[[PostgresServer, str], None],
) -> None:
    said_before = len(chain.up.errors)
    stop = threading.Event()
    sent_in_trouble: list[int] = []

    def keep_sending() -> None:
        while not stop.is_set():
            chain.send()
            sent_in_trouble.append(1)

    sender = threading.Thread(target=keep_sending)
    sender.start()
    try:
        _until("records flow", lambda: len(sent_in_trouble) > 2)
        trouble(postgres_server, database)
        so_far = len(sent_in_trouble)
        _until("records flow again", lambda: len(sent_in_trouble) > so_far + 2)
    finally:
        stop.set()
        sender.join()
    _until("health is good again", chain.healthy)
    _until("all is stored", lambda: bool(chain.status()["log"]["lag"] == 0))
    status = chain.status()
    assert status["events_stored"] == chain.acknowledged
    assert status["dead_letters"] == {}
    parts = status["process"]["parts"]
    assert {"one server", "pipeline", "housekeeping", "looking back", "training"} <= set(parts)
    assert [name for name, part in parts.items() if part["restarts"]] == []
    lines = [json.loads(line) for line in chain.up.errors[said_before:]]
    assert {line["event"] for line in lines} <= {
        "database_unavailable",
        "available_again",
        "log_not_trimmed",
        "old_data_not_dropped",
    }, lines


def test_a_server_whose_place_somebody_else_took_in_an_outage_ends(
    postgres_server: PostgresServer, start: Start, tmp_path: Path
) -> None:
    name = postgres_server.new_database(migrated=False)
    (tmp_path / "server.toml").write_text(
        f'[listen]\naddress = "127.0.0.1:0"\n[database]\nurl = "{postgres_server.url(name)}"\n'
    )
    up = start(tmp_path)
    query = (
        "SELECT pid FROM pg_locks JOIN pg_database AS d ON d.oid = database"
        " WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND datname = %s"
    )
    with postgres_server.connect(name) as other:
        other.execute("SET application_name = 'leaver up, process 1 on elsewhere 00'")
        (holder,) = other.execute(query, [LOCKS, UP, name]).fetchall()
        # Waiting in line, it has the place the moment that the holder's connection is gone.
        taker = threading.Thread(target=other.execute, args=(f"SELECT pg_advisory_lock({LOCKS}, {UP})",))
        taker.start()
        _until("it waits in line", lambda: _waits(postgres_server))
        with postgres_server.connect() as third:
            third.execute("SELECT pg_terminate_backend(%s)", [holder[0]])
        taker.join(30)
        assert up.process.wait(30) == 1
    up.close()
    assert up.errors[-1].endswith("is in use by another leaver up (process 1 on elsewhere)")
    postgres_server.drop_database(name)


def _waits(server: PostgresServer) -> bool:
    with server.connect() as connection:
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return connection.execute(query).fetchone() == (1,)


def test_what_is_wrong_at_the_start_is_said_in_one_line_and_exits_with_four(
    postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    def refused(words: str, command: str = "init") -> None:
        done = leaver(command, data=tmp_path)
        assert done.returncode == 4, done.stderr
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
        assert PASSWORD not in done.stderr
        assert "not the password" not in done.stderr

    _configure(tmp_path, postgres_server, database, password="not the password")
    refused("password authentication failed", "up")
    _configure(tmp_path, postgres_server, "no_such_database")
    refused('database "no_such_database" does not exist')
    config = tmp_path / "server.toml"
    config.write_text('[database]\nurl = "postgresql://leaver@127.0.0.1:1/leaver"\n')
    refused("Connection refused")
    with postgres_server.connect() as connection:
        connection.execute("CREATE DATABASE latin ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
    config.write_text(f'[database]\nurl = "{postgres_server.url("latin")}"\n')
    refused("its encoding is LATIN1: make the database with ENCODING 'UTF8'")
    postgres_server.drop_database("latin")


def test_a_missing_password_file_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text(
        '[database]\nurl = "postgresql://leaver@127.0.0.1:1/leaver"\npassword_file = "/nowhere/secret"\n'
    )
    done = leaver("init", data=tmp_path)
    assert done.returncode == 2
    assert "/nowhere/secret: No such file" in done.stderr
