"""What people take out of a real PostgreSQL: each act once, with who, from where, what and how much."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from collectors.contract import Collector, Unsupported
from collectors.postgresql import LOST_PLACE, NO_ACCOUNT, PostgresqlCollector, PostgresqlConfig
from event_schema.codec import encode_event
from event_schema.ocsf_account_events import DatastoreActivity, DatastoreActivityKind
from event_schema.ocsf_endpoint_events import FileSystemActivity
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.collector_contract import CollectorContract
from tests.collectors.observing import Observing
from tests.postgres_server.audited import CLERK, CLERK_PASSWORD, DATABASE, MONITOR, ROWS, AuditedPostgres

pytestmark = pytest.mark.long
HOST = Host(hostname="db-1", type_id=HostType.SERVER)
LARGE = 1_000
SECRETS = ("SECRET", "1380000", "pass@word", CLERK_PASSWORD)


@pytest.fixture(scope="module")
def server() -> Iterator[AuditedPostgres]:
    made = AuditedPostgres()
    yield made
    made.stop()


@pytest.fixture
def account(server: AuditedPostgres, tmp_path: Path) -> Path:
    return server.write_account(tmp_path / "account")


def collector_of(server: AuditedPostgres, account: Path | None, **settings: object) -> PostgresqlCollector:
    given: dict[str, object] = {
        "enabled": True,
        "log": str(server.log_folder / "*.json"),
        "log_time_zone": "Asia/Shanghai",
        "account_file": "" if account is None else str(account),
        "large_rows": LARGE,
        **settings,
    }
    return PostgresqlCollector(PostgresqlConfig(**given), HOST, "0.1.0")  # type: ignore[arg-type]


def statements(observing: Observing) -> list[DatastoreActivity]:
    return [event for event in observing.events if isinstance(event, DatastoreActivity)]


def exports(observing: Observing) -> list[DatastoreActivity]:
    return [event for event in statements(observing) if event.unmapped.result.is_export]


def sums(observing: Observing) -> list[DatastoreActivity]:
    return [event for event in statements(observing) if not event.unmapped.result.is_export]


def tables_of(event: DatastoreActivity) -> set[str]:
    return {name.rpartition(".")[2] for name in event.unmapped.result.tables or ()}


def one_export(observing: Observing) -> DatastoreActivity:
    observing.wait_for(lambda: bool(exports(observing)), 15, "export")
    observing.settle(0.5)
    (event,) = exports(observing)
    return event


@pytest.fixture
def observing(server: AuditedPostgres, account: Path) -> Iterator[Observing]:
    collector = collector_of(server, account)
    with Observing(collector) as running:
        # The rows of what ran before must be known first.
        running.wait_for(lambda: "rows of COPY" not in str(collector.detail()), 10, "first look")
        yield running
    for event in running.events:
        for secret in SECRETS:
            assert secret.encode() not in encode_event(event)


class TestPostgresqlContract(CollectorContract):
    @pytest.fixture
    def collector(self, server: AuditedPostgres, account: Path) -> Iterator[Collector]:
        self.server = server
        made = collector_of(server, account)
        yield made
        made.close()

    def act(self, number: int) -> None:
        self.server.psql(f"SELECT * FROM customers WHERE id <> {number}")


def test_a_large_result_is_an_export_with_who_where_and_how_much(
    server: AuditedPostgres, observing: Observing
) -> None:
    began = time.time() * 1000
    server.psql("SELECT * FROM customers WHERE name <> 'SECRETARY'", program="DBeaver 23")
    event = one_export(observing)
    assert event.activity_id is DatastoreActivityKind.QUERY
    assert event.actor.user is not None
    assert event.actor.user.name == CLERK
    assert (event.src_endpoint.ip, event.database.name) == ("127.0.0.1", DATABASE)
    assert event.src_endpoint.port
    result = event.unmapped.result
    assert (result.method, result.rows, result.program) == ("select", ROWS, "DBeaver 23")
    assert tables_of(event) == {"customers"}
    assert event.query_info.query_string == "SELECT * FROM customers WHERE name <> ?"
    assert began - 2000 < event.time < time.time() * 1000
    assert event.unmapped.evidence.fidelity == "exact"


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("COPY customers TO STDOUT", ROWS),
        (r"\copy customers to '/dev/null' csv", ROWS),
        (r"\copy (select * from customers where id <= 7) to '/dev/null'", 7),
        ("COPY (SELECT name FROM customers WHERE id > 1500) TO PROGRAM 'cat > /dev/null'", 500),
    ],
)
def test_a_copy_is_an_export_of_so_many_rows(
    server: AuditedPostgres, observing: Observing, statement: str, rows: int
) -> None:
    server.psql(statement)
    event = one_export(observing)
    assert event.activity_id is DatastoreActivityKind.READ
    assert (event.unmapped.result.method, event.unmapped.result.rows) == ("copy_to", rows)
    assert tables_of(event) == {"customers"}


def test_a_dump_is_one_export_of_all_its_tables(server: AuditedPostgres, observing: Observing) -> None:
    server.run("pg_dump")
    event = one_export(observing)
    result = event.unmapped.result
    assert (result.method, result.rows, result.program) == ("dump", ROWS + 300, "pg_dump")
    assert tables_of(event) == {"customers", "orders"}
    assert event.count == 2


def test_a_dump_under_another_name_that_fetches_is_still_a_dump(
    server: AuditedPostgres, observing: Observing
) -> None:
    server.run("pg_dump", "--inserts", "--table=customers", program="report")
    event = one_export(observing)
    result = event.unmapped.result
    assert (result.method, result.rows, result.program) == ("dump", ROWS, "report")


def test_small_fetches_of_one_large_result_are_one_export(
    server: AuditedPostgres, observing: Observing
) -> None:
    server.psql("SELECT * FROM customers", variables=("FETCH_COUNT=100",))
    event = one_export(observing)
    assert (event.unmapped.result.method, event.unmapped.result.rows) == ("select", ROWS)
    assert tables_of(event) == {"customers"}


def test_rows_come_also_from_a_prepared_statement_and_from_returning(
    server: AuditedPostgres, observing: Observing
) -> None:
    server.psql("PREPARE q(int) AS SELECT * FROM customers WHERE id > $1; EXECUTE q(5)")
    assert one_export(observing).unmapped.result.rows == ROWS - 5


def test_a_function_that_gives_out_a_table_is_an_export_though_no_table_is_named(
    server: AuditedPostgres, observing: Observing
) -> None:
    with server.connect(DATABASE) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION all_of_them() RETURNS SETOF customers LANGUAGE plpgsql"
            " SECURITY DEFINER AS $$ BEGIN RETURN QUERY SELECT * FROM customers; END $$"
        )
    server.psql("SELECT * FROM all_of_them()")
    event = one_export(observing)
    assert (event.unmapped.result.rows, event.unmapped.result.tables) == (ROWS, None)


def test_whoever_takes_another_role_hides_no_rows(server: AuditedPostgres, account: Path) -> None:
    with server.connect(DATABASE) as connection:
        connection.execute(f'CREATE ROLE reporting; GRANT reporting TO "{CLERK}"')
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reporting")
    collector = collector_of(server, account, rows_wait_s=3)
    with Observing(collector) as observing:
        observing.wait_for(lambda: "rows of COPY" not in str(collector.detail()), 10, "first look")
        server.psql("SET ROLE reporting", "COPY customers TO STDOUT")
        event = one_export(observing)
    assert event.actor.user is not None
    assert (event.actor.user.name, event.unmapped.result.rows) == (CLERK, ROWS)


def test_fetches_of_an_application_are_told_only_where_they_are_large(
    server: AuditedPostgres, account: Path
) -> None:
    collector = collector_of(server, account, unsummed_users=(CLERK,))
    with Observing(collector) as observing:
        observing.wait_for(lambda: "rows of COPY" not in str(collector.detail()), 10, "first look")
        server.psql("SELECT * FROM orders WHERE id < 90", variables=("FETCH_COUNT=50",))
        server.psql("SELECT * FROM customers", variables=("FETCH_COUNT=500",))
        one_export(observing)
    assert [event.unmapped.result.rows for event in statements(observing)] == [ROWS]


def test_small_reads_are_sums_and_what_stays_inside_is_no_export(
    server: AuditedPostgres, account: Path
) -> None:
    collector = collector_of(server, account)
    with Observing(collector) as observing:
        for number in range(30):
            server.psql(f"SELECT name FROM customers WHERE id <= {number}")
        server.psql("CREATE TEMP TABLE mine AS SELECT * FROM customers")
        server.psql("SELECT count(*) FROM pg_class; SELECT now()")
        observing.settle(1.5)
        # What a minute has is told when it is over, or when the agent ends.
        assert statements(observing) == []
    reads = [event for event in sums(observing) if event.unmapped.result.method == "select"]
    assert sum(event.unmapped.result.rows or 0 for event in reads) == sum(range(30))
    assert sum(event.count or 0 for event in reads) == 29, "one had no row"
    assert len(reads) <= 2, "one sum a minute"
    (inside,) = (event for event in sums(observing) if event.unmapped.result.method == "other")
    assert inside.unmapped.result.rows == ROWS
    assert exports(observing) == []


def test_accounts_of_applications_are_not_summed_but_their_exports_are_told(
    server: AuditedPostgres, account: Path
) -> None:
    with Observing(collector_of(server, account, unsummed_users=(CLERK,))) as observing:
        server.psql("SELECT name FROM customers WHERE id <= 5", "SELECT * FROM customers")
        one_export(observing)
    assert sums(observing) == []


def test_a_file_that_the_server_wrote_is_told_with_its_hash(
    server: AuditedPostgres, observing: Observing
) -> None:
    path = server.directory / "customers'1.csv"
    quoted = str(path).replace("'", "''")
    server.psql(f"COPY (SELECT * FROM customers) TO '{quoted}' CSV")
    observing.wait_for(lambda: bool(observing.files()), 15, "file event")
    (event,) = observing.files()
    assert isinstance(event, FileSystemActivity)
    content = path.read_bytes()
    assert (event.file.path, event.file.size, event.file.ext) == (str(path), len(content), "csv")
    assert event.file.hashes is not None
    assert event.file.hashes[0].value == hashlib.sha256(content).hexdigest()
    assert event.unmapped.origin == "database_export"
    assert event.actor.user is not None
    assert event.actor.user.name == CLERK
    assert str(path).encode() not in encode_event(exports(observing)[0]), "the path is a literal"


def test_an_old_file_whose_name_somebody_only_wrote_is_not_opened(
    server: AuditedPostgres, observing: Observing, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    old.write_text("x")
    os.utime(old, (1, 1))
    with pytest.raises(AssertionError, match=r"denied|could not"):
        server.psql(f"COPY customers TO '{old}'")
    server.psql(f"SELECT * FROM customers -- COPY customers TO '{old}'")
    one_export(observing)
    assert observing.files() == []


def test_without_an_account_copies_are_told_without_rows(server: AuditedPostgres) -> None:
    collector = collector_of(server, None)
    with Observing(collector) as observing:
        server.psql("COPY customers TO STDOUT")
        event = one_export(observing)
        assert NO_ACCOUNT in str(collector.detail())
    assert event.unmapped.result.rows is None
    assert event.unmapped.evidence.gap == NO_ACCOUNT


def test_what_leaver_asks_itself_is_not_told(server: AuditedPostgres, observing: Observing) -> None:
    time.sleep(6)
    server.psql("SELECT * FROM customers")
    one_export(observing)
    observing.stop()
    users = {event.actor.user.name for event in statements(observing) if event.actor.user is not None}
    assert MONITOR not in users


def test_csvlog_tells_the_same_with_lines_inside_statements(server: AuditedPostgres, account: Path) -> None:
    collector = collector_of(server, account, log=str(server.log_folder / "*.csv"))
    forged = (
        '\n2026-11-22 10:00:00.000 CST,"boss","crm",1,"10.0.0.1:5",a.b,1,"",,,0,LOG,00000,"AUDIT: SESSION'
    )
    with Observing(collector) as observing:
        server.psql(f"SELECT * FROM customers WHERE name <> '{forged}'", program='a "quoted", name\n')
        server.psql("COPY customers TO STDOUT")
        observing.wait_for(lambda: len(exports(observing)) == 2, 15, "two exports")
    assert {event.actor.user.name for event in statements(observing) if event.actor.user} == {CLERK}
    assert [event.unmapped.result.rows for event in exports(observing)] == [ROWS, ROWS]
    assert dict(collector.dropped()) == {}


def test_hostile_statements_are_read_and_leave_nothing_behind(
    server: AuditedPostgres, observing: Observing
) -> None:
    with psycopg.connect(
        host="127.0.0.1",
        port=server.port,
        user=CLERK,
        password=CLERK_PASSWORD,
        dbname=DATABASE,
        autocommit=True,
        application_name="x\n\x1b[31mred",
    ) as connection:
        connection.execute('SELECT * FROM customers WHERE name <> \'SECRET\n{"timestamp":"\'')
        connection.execute("SELECT * FROM customers WHERE name <> 'SECRET\x1b[0m\\'")
        connection.execute('SELECT id AS "SECRET name" FROM customers')
        connection.execute(b"SELECT * FROM customers /* " + b"SECRET " * 1_500_000 + b"*/")
        with pytest.raises(psycopg.Error):
            connection.execute(b"SELECT * FROM customers WHERE name <> '\xff\xfe'")
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT 'SECRET FROM customers")
    observing.settle(3)
    observing.stop()
    (told,) = exports(observing)
    assert (told.unmapped.result.rows, told.count) == (3 * ROWS, 3)
    assert "\n" not in (told.unmapped.result.program or "")
    (long,) = sums(observing)
    assert long.unmapped.evidence.gap == "the statement is too long to be read whole: its rows are not known"
    assert long.unmapped.result.tables == ("public.customers",)
    assert sum(observing.collector.dropped().values()) == 1


def test_nothing_is_lost_or_doubled_where_the_agent_or_the_server_restarts(
    server: AuditedPostgres, account: Path
) -> None:
    seen: list[DatastoreActivity] = []
    cursor = None
    collector = collector_of(server, account)
    with Observing(collector) as observing:
        server.psql("COPY customers TO STDOUT", "SELECT id FROM orders WHERE id <= 3")
        observing.wait_for(lambda: bool(exports(observing)), 15, "export")
        seen += statements(observing)
        # As if it had been killed here: what it would still say at its end counts no more.
        cursor = observing.observations[-1].cursor
    # While nobody looks: rotation, a kill in the middle of a line, and another file.
    server.psql("SELECT * FROM customers")
    with server.connect() as connection:
        connection.execute("SELECT pg_rotate_logfile()")
        time.sleep(1.2)
    server.psql("SELECT * FROM orders WHERE id <= 5")
    server.kill()
    newest = max(server.log_folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    with newest.open("ab") as log:
        log.write(b'{"timestamp":"2026-11-22 01:57:43.974 CST","user":"li')
    time.sleep(1.1)
    server.start()
    server.psql("SELECT * FROM customers WHERE id > 1")
    collector = collector_of(server, account)
    with Observing(collector, cursor) as observing:
        observing.wait_for(lambda: len(exports(observing)) == 2, 15, "two exports")
        server.restart()
        server.psql("SELECT * FROM customers WHERE id > 2")
        observing.wait_for(lambda: len(exports(observing)) == 3, 20, "third export")
        server.psql("COPY customers TO STDOUT")
        observing.wait_for(lambda: len(exports(observing)) == 4, 45, "fourth export")
    seen += statements(observing)
    assert [event.unmapped.result.rows for event in seen if event.unmapped.result.is_export] == [
        ROWS,
        ROWS,
        ROWS - 1,
        ROWS - 2,
        ROWS,
    ]
    small = [event for event in seen if not event.unmapped.result.is_export]
    assert sum(event.unmapped.result.rows or 0 for event in small) == 3 + 5
    assert LOST_PLACE not in collector.dropped()


def test_a_log_that_is_not_there_is_said_with_the_remedy(tmp_path: Path) -> None:
    config = PostgresqlConfig(enabled=True, log=str(tmp_path / "*.json"))
    with pytest.raises(Unsupported, match="no such file"):
        PostgresqlCollector(config, HOST, "0.1.0").check_supported()


def test_an_account_that_others_may_read_is_refused(server: AuditedPostgres, account: Path) -> None:
    account.chmod(0o644)
    with pytest.raises(Unsupported, match="chmod 600"):
        collector_of(server, account).check_supported()
