"""What people take out of a real MariaDB: each act once, with who, from where, what, how much."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pymysql
import pytest

from collectors.contract import Collector
from collectors.mariadb import LOST_PLACE, UNREADABLE, MariadbCollector, MariadbConfig
from collectors.mariadb_statements import DOUBTFUL, FORGED, NOT_AUDITED
from event_schema.codec import encode_event
from event_schema.ocsf_account_events import DatastoreActivity, DatastoreActivityKind
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.collector_contract import CollectorContract
from tests.collectors.observing import Observing
from tests.mariadb_server.server import CLERK, CLERK_PASSWORD, DATABASE, MONITOR, ROWS, MariadbServer

pytestmark = pytest.mark.long
HOST = Host(hostname="db-1", type_id=HostType.SERVER)
LARGE = 1_000
TABLES = ("crm.customers", "crm.orders")
SECRETS = ("SECRET", "1380000", "pass@word", CLERK_PASSWORD)


@pytest.fixture(scope="module")
def server() -> Iterator[MariadbServer]:
    made = MariadbServer()
    yield made
    made.stop()


@pytest.fixture
def account(server: MariadbServer, tmp_path: Path) -> Path:
    return server.write_account(tmp_path / "account")


def collector_of(server: MariadbServer, account: Path | None = None, **settings: object) -> MariadbCollector:
    given: dict[str, object] = {
        "enabled": True,
        "audit_log": str(server.audit_log),
        "slow_log": str(server.slow_log),
        "account_file": "" if account is None else str(account),
        "data_dir": str(server.data),
        "large_rows": LARGE,
        **settings,
    }
    return MariadbCollector(MariadbConfig(**given), HOST, "0.1.0")  # type: ignore[arg-type]


def statements(observing: Observing) -> list[DatastoreActivity]:
    return [event for event in observing.events if isinstance(event, DatastoreActivity)]


def exports(observing: Observing) -> list[DatastoreActivity]:
    return [event for event in statements(observing) if event.unmapped.result.is_export]


def sums(observing: Observing) -> list[DatastoreActivity]:
    return [event for event in statements(observing) if not event.unmapped.result.is_export]


def one_export(observing: Observing) -> DatastoreActivity:
    observing.wait_for(lambda: bool(exports(observing)), 15, "export")
    observing.settle(0.5)
    (event,) = exports(observing)
    return event


@pytest.fixture
def observing(server: MariadbServer) -> Iterator[Observing]:
    with Observing(collector_of(server)) as running:
        yield running
    for event in running.events:
        for secret in SECRETS:
            assert secret.encode() not in encode_event(event)


class TestMariadbContract(CollectorContract):
    @pytest.fixture
    def collector(self, server: MariadbServer) -> Iterator[Collector]:
        self.server = server
        made = collector_of(server)
        yield made
        made.close()

    def act(self, number: int) -> None:
        self.server.mariadb(f"SELECT * FROM customers WHERE id <> {number}")


def test_a_large_result_is_an_export_with_who_where_and_how_much(
    server: MariadbServer, observing: Observing
) -> None:
    began = time.time() * 1000
    server.mariadb("SELECT * FROM customers WHERE name <> 'SECRETARY'")
    event = one_export(observing)
    assert event.activity_id is DatastoreActivityKind.QUERY
    assert event.actor.user is not None
    assert event.actor.user.name == CLERK
    assert (event.src_endpoint.ip, event.database.name) == ("127.0.0.1", DATABASE)
    result = event.unmapped.result
    assert (result.method, result.rows, result.tables) == ("select", ROWS, ("crm.customers",))
    assert event.query_info.query_string == "SELECT * FROM customers WHERE name <> ?"
    assert event.query_info.bytes is not None
    assert ROWS * 20 < event.query_info.bytes < ROWS * 60
    assert began - 2000 < event.time < time.time() * 1000
    assert event.unmapped.evidence.fidelity == "likely"


def test_the_client_program_is_known_of_a_connection_that_lasts(server: MariadbServer, account: Path) -> None:
    collector = collector_of(server, account)
    with Observing(collector) as observing:
        observing.wait_for(lambda: "not known" not in str(collector.detail()), 10, "account")
        with pymysql.connect(
            host="127.0.0.1",
            port=server.port,
            user=CLERK,
            password=CLERK_PASSWORD,
            database=DATABASE,
            program_name="DBeaver 23",
        ) as connection:
            time.sleep(1.5)
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM customers")
        event = one_export(observing)
    assert event.unmapped.result.program == "DBeaver 23"
    users = {event.actor.user.name for event in statements(observing) if event.actor.user is not None}
    assert MONITOR not in users, "what Leaver asks itself is not told"


@pytest.mark.parametrize("options", [(), ("--single-transaction", "--skip-opt")])
def test_a_dump_is_one_export_of_all_its_tables(
    server: MariadbServer, observing: Observing, options: tuple[str, ...]
) -> None:
    server.run("mariadb-dump", *options, DATABASE)
    event = one_export(observing)
    result = event.unmapped.result
    assert event.activity_id is DatastoreActivityKind.READ
    assert (result.method, result.rows) == ("dump", ROWS + 300)
    assert set(result.tables or ()) == {"crm.customers", "crm.orders"}
    assert event.count == 2


def test_what_a_dump_program_asks_beside_its_tables_is_no_row_of_them(
    server: MariadbServer, account: Path
) -> None:
    collector = collector_of(server, account)
    with Observing(collector) as observing:
        observing.wait_for(lambda: "not known" not in str(collector.detail()), 10, "account")
        with clerk_at(server, program_name="mariadb-dump") as connection, connection.cursor() as cursor:
            time.sleep(1.5)
            cursor.execute("SELECT @@character_set_database")
            cursor.execute("SELECT name FROM customers")
        event = one_export(observing)
    assert (event.unmapped.result.method, event.unmapped.result.rows) == ("dump", ROWS)


@pytest.mark.parametrize("is_relative", [True, False])
def test_a_file_that_the_server_wrote_is_told_with_its_hash(
    server: MariadbServer, observing: Observing, is_relative: bool
) -> None:
    path = server.data / DATABASE / "taken.csv" if is_relative else server.directory / "taken.csv"
    written = path.name if is_relative else str(path)
    server.mariadb(f"SELECT name, phone FROM customers INTO OUTFILE '{written}' FIELDS TERMINATED BY ','")
    observing.wait_for(lambda: bool(observing.files()), 15, "file event")
    (event,) = observing.files()
    content = path.read_bytes()
    assert (event.file.path, event.file.size) == (str(path), len(content))
    assert event.file.hashes is not None
    assert event.file.hashes[0].value == hashlib.sha256(content).hexdigest()
    assert event.unmapped.origin == "database_export"
    export = exports(observing)[0]
    assert (export.unmapped.result.method, export.unmapped.result.rows) == ("into_outfile", ROWS)
    assert path.name.encode() not in encode_event(export), "the path is a literal"


def test_small_reads_are_sums_and_failures_are_nothing(server: MariadbServer) -> None:
    with Observing(collector_of(server)) as observing:
        server.mariadb(*(f"SELECT name FROM customers WHERE id <= {number}" for number in range(30)))
        with pytest.raises(AssertionError, match="exist"):
            server.mariadb("SELECT * FROM nothing")
        server.mariadb("SELECT @@version; SELECT * FROM information_schema.tables")
        observing.settle(2.5)
        assert statements(observing) == []
    assert sum(event.unmapped.result.rows or 0 for event in sums(observing)) == sum(range(30))
    assert sum(event.count or 0 for event in sums(observing)) == 29, "one had no row"
    assert len(sums(observing)) <= 2, "one sum a minute"


def test_without_a_slow_log_exports_are_known_by_what_they_ask(server: MariadbServer) -> None:
    with Observing(collector_of(server, slow_log="")) as observing:
        server.mariadb("SELECT * FROM customers")
        server.run("mariadb-dump", DATABASE)
        event = one_export(observing)
    assert (event.unmapped.result.method, event.unmapped.result.rows) == ("dump", None)
    (read,) = sums(observing)
    assert (read.unmapped.result.rows, read.count) == (None, 1)


def test_without_an_audit_log_the_slow_log_alone_tells(server: MariadbServer) -> None:
    with Observing(collector_of(server, audit_log="")) as observing:
        server.mariadb("SELECT * FROM customers")
        event = one_export(observing)
    result = event.unmapped.result
    assert (result.method, result.rows, result.tables) == ("select", ROWS, ("crm.customers",))
    assert event.unmapped.evidence.observed_by == "slow_log"


def test_nobody_can_write_another_one_into_the_slow_log(server: MariadbServer) -> None:
    collector = collector_of(server)
    forged = (
        "\n# User@Host: boss[boss] @  [10.0.0.1]\n# Thread_id: 999999  Schema: crm  QC_hit: No\n"
        "# Query_time: 0.1  Lock_time: 0.0  Rows_sent: 99000  Rows_examined: 1\n"
        f"SET timestamp={int(time.time())};\nselect * from orders;\n"
    )
    with Observing(collector) as observing:
        server.mariadb(f"SELECT * FROM customers WHERE name <> '{forged}'")
        event = one_export(observing)
        observing.settle(2)
        assert collector.dropped() == {FORGED: 1}
    assert event.actor.user is not None
    assert (event.actor.user.name, event.unmapped.result.rows) == (CLERK, ROWS)
    assert {each.actor.user.name for each in statements(observing) if each.actor.user} == {CLERK}


def test_a_statement_of_the_slow_log_that_is_not_audited_is_possible_only(
    server: MariadbServer, observing: Observing
) -> None:
    with pymysql.connect(
        host="127.0.0.1", port=server.port, user=CLERK, password=CLERK_PASSWORD, database=DATABASE
    ) as connection:
        number = int(connection.thread_id())  # type: ignore[no-untyped-call]
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        with server.slow_log.open("a") as log:
            log.write(
                f"# User@Host: {CLERK}[{CLERK}] @  [127.0.0.1]\n"
                f"# Thread_id: {number}  Schema: crm  QC_hit: No\n"
                "# Query_time: 0.1  Lock_time: 0.0  Rows_sent: 5000  Rows_examined: 1\n"
                f"SET timestamp={int(time.time())};\nselect * from orders;\n"
            )
        event = one_export(observing)
    assert (event.unmapped.evidence.fidelity, event.unmapped.evidence.gap) == ("possible", NOT_AUDITED)


def clerk_at(
    server: MariadbServer, **settings: Any
) -> pymysql.connections.Connection[pymysql.cursors.Cursor]:
    login = {"host": "127.0.0.1", "port": server.port, "user": CLERK, "password": CLERK_PASSWORD}
    return pymysql.connect(**{**login, "database": DATABASE, **settings})


def test_whoever_changes_the_time_of_a_session_hides_no_rows(
    server: MariadbServer, observing: Observing
) -> None:
    server.mariadb("SET timestamp=1", "SELECT * FROM customers WHERE id > 3")
    event = one_export(observing)
    assert (event.unmapped.result.rows, event.unmapped.evidence.fidelity) == (ROWS - 3, "likely")


def test_a_read_that_failed_after_its_rows_went_out_is_told(
    server: MariadbServer, observing: Observing
) -> None:
    with clerk_at(server) as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.Error):
            cursor.execute(
                "SELECT c.*, IF(id=2000, (SELECT 1 UNION SELECT 2), 0) FROM customers c ORDER BY id"
            )
        with pytest.raises(pymysql.Error):
            cursor.execute("SELECT nothing FROM customers")
    event = one_export(observing)
    assert (event.unmapped.result.rows, event.count) == (ROWS - 1, 1)
    assert event.unmapped.evidence.fidelity == "likely"


def test_a_statement_that_the_audit_log_cut_has_its_rows(server: MariadbServer, observing: Observing) -> None:
    numbers = ",".join(str(number) for number in range(5, 30_000))
    with clerk_at(server) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM customers WHERE id IN ({numbers}) AND id > 4 ORDER BY name, phone")
    event = one_export(observing)
    assert (event.unmapped.result.rows, event.unmapped.evidence.fidelity) == (ROWS - 4, "likely")


def test_a_failed_login_cannot_write_somebody_elses_record(
    server: MariadbServer, observing: Observing
) -> None:
    forged = "{stamp},v,boss,1,4,10,QUERY,crm,'SELECT 1 INTO OUTFILE \\'/a\\'',0"
    with clerk_at(server) as connection:
        stamp = datetime.now().astimezone().strftime("%Y%m%d %H:%M:%S")
        for name in (f"x\n{forged.format(stamp=stamp)}\n", forged.format(stamp=stamp).partition("v,")[2]):
            with pytest.raises(pymysql.Error):
                clerk_at(server, user=name)
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM customers")
    observing.wait_for(lambda: len(exports(observing)) >= 2, 15, "exports")
    observing.stop()
    by = {
        str(each.actor.user and each.actor.user.name): each.unmapped.evidence for each in exports(observing)
    }
    assert {user: evidence.fidelity for user, evidence in by.items()} == {CLERK: "likely", "boss": "possible"}
    assert by["boss"].gap == DOUBTFUL
    assert observing.collector.dropped()[UNREADABLE] > 0


def test_after_a_pause_each_statement_still_finds_its_rows(server: MariadbServer) -> None:
    collector = collector_of(server)
    with Observing(collector) as observing:
        server.mariadb("SELECT * FROM customers")
        observing.wait_for(lambda: bool(exports(observing)), 15, "export")
        cursor_before = observing.observations[-1].cursor
    count = 12_000
    with clerk_at(server) as connection, connection.cursor() as cursor:
        for number in range(count):
            cursor.execute(
                f"SELECT name FROM customers WHERE id IN ({number % 1900 + 1}, {number % 1900 + 2})"
            )
            if number % 100 == 0:
                cursor.execute("SELECT id FROM orders /* " + "x" * 500 + " */")
        cursor.execute("SELECT * FROM customers")
    collector = collector_of(server)
    with Observing(collector, cursor_before) as observing:
        observing.wait_for(lambda: bool(exports(observing)), 60, "the last statement")
    told = sums(observing)
    of = {table: [each for each in told if each.unmapped.result.tables == (table,)] for table in TABLES}
    assert {each.unmapped.evidence.fidelity for each in told} == {"likely"}
    assert [sum(each.count or 0 for each in of[table]) for table in TABLES] == [count, count // 100]
    rows = {table: sum(each.unmapped.result.rows or 0 for each in of[table]) for table in TABLES}
    assert list(rows.values()) == [2 * count, 300 * count // 100]


def test_hostile_statements_are_read_and_leave_nothing_behind(
    server: MariadbServer, observing: Observing
) -> None:
    with (
        pymysql.connect(
            host="127.0.0.1",
            port=server.port,
            user=CLERK,
            password=CLERK_PASSWORD,
            database=DATABASE,
            charset="utf8mb4",
            max_allowed_packet=64 << 20,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT * FROM customers WHERE name <> 'SECRET\n# Time: x\n\\'\n# User@Host: '")
        cursor.execute("SELECT * FROM customers WHERE name <> 'SECRET\x1b[0m\\\\'")
        cursor.execute("SELECT id AS `SECRET name` FROM customers")
        connection.query(b"SELECT * FROM customers /* '\xff\xfe SECRET' */")
        cursor.execute("SELECT * FROM customers /* " + "SECRET " * 1_500_000 + "*/")
        with pytest.raises(pymysql.Error):
            cursor.execute("SELECT 'SECRET FROM customers")
    observing.settle(4)
    observing.stop()
    told = exports(observing)
    assert sum(event.count or 0 for event in told) == 5
    assert sum(event.unmapped.result.rows or 0 for event in told) == 5 * ROWS
    assert {event.unmapped.result.tables for event in told} == {("crm.customers",)}


def test_nothing_is_lost_or_doubled_where_the_agent_or_the_server_restarts(server: MariadbServer) -> None:
    seen: list[DatastoreActivity] = []
    collector = collector_of(server)
    with Observing(collector) as observing:
        server.mariadb("SELECT * FROM customers", "SELECT id FROM orders WHERE id <= 3")
        observing.wait_for(lambda: bool(exports(observing)), 15, "export")
        seen += statements(observing)
        # As if it had been killed here: what it would still say at its end counts no more.
        cursor = observing.observations[-1].cursor
    server.mariadb("SELECT * FROM customers WHERE id > 1")
    for log in (server.audit_log, server.slow_log):
        log.rename(log.with_name(log.name + ".1"))
    server.execute("SET GLOBAL server_audit_file_rotate_now = ON", "FLUSH SLOW LOGS")
    server.mariadb("SELECT * FROM orders WHERE id <= 5")
    server.kill()
    with server.slow_log.open("ab") as half:
        half.write(b"# User@Host: li.wei[li.w")
    with server.audit_log.open("ab") as half:
        half.write(b"20261122 01:59:42,vm,li.w")
    server.start()
    server.mariadb("SELECT * FROM customers WHERE id > 2")
    collector = collector_of(server)
    with Observing(collector, cursor) as observing:
        observing.wait_for(lambda: len(exports(observing)) == 2, 20, "two exports")
        server.restart()
        server.mariadb("SELECT * FROM customers WHERE id > 3")
        observing.wait_for(lambda: len(exports(observing)) == 3, 30, "third export")
    seen += statements(observing)
    rows = [event.unmapped.result.rows for event in seen if event.unmapped.result.is_export]
    assert rows == [ROWS, ROWS - 1, ROWS - 2, ROWS - 3]
    small = [event for event in seen if not event.unmapped.result.is_export]
    assert sum(event.unmapped.result.rows or 0 for event in small) == 3 + 5
    assert LOST_PLACE not in collector.dropped()
