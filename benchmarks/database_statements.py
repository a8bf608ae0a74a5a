"""Database collectors: acts done, found, found right on real servers; CPU seconds per 1,000 statements.

python -m benchmarks.database_statements [--acts 100] [--statements 20000]
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from collectors.contract import Collector
from collectors.mariadb import MariadbCollector, MariadbConfig
from collectors.postgresql import PostgresqlCollector, PostgresqlConfig
from collectors.sql_fingerprint import TableFinder, fingerprint_of
from event_schema.ocsf_account_events import DatastoreActivity
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.observing import Observing
from tests.mariadb_server.server import CLERK, ROWS, MariadbServer
from tests.postgres_server.audited import AuditedPostgres

_HOST = Host(hostname="db-1", type_id=HostType.SERVER)
_LARGE = 1_000


def exports(observing: Observing) -> list[DatastoreActivity]:
    found = [event for event in observing.events if isinstance(event, DatastoreActivity)]
    return [event for event in found if event.unmapped.result.is_export]


def takings(event: DatastoreActivity) -> int:
    """How many times the whole table was taken: several of one session are told together."""
    return (event.unmapped.result.rows or 0) // ROWS


def right(event: DatastoreActivity) -> bool:
    """User, address, table and rows are what they were."""
    result = event.unmapped.result
    user = None if event.actor.user is None else event.actor.user.name
    tables = {name.rpartition(".")[2] for name in result.tables or ()}
    facts = (user, event.src_endpoint.ip, tables)
    return facts == (CLERK, "127.0.0.1", {"customers"}) and result.rows == takings(event) * ROWS


def acts(name: str, collector: Collector, ways: list[Callable[[], object]], count: int) -> None:
    with Observing(collector) as observing:
        time.sleep(2)
        for number in range(count):
            ways[number % len(ways)]()
        observing.settle(4, 300)
        found = exports(observing)
        click.echo(
            f"{name}: {count} acts done, {sum(map(takings, found))} found,"
            f" {sum(takings(each) for each in found if right(each))} with right user, address, table, rows"
        )


def busy(name: str, collector: Collector, log: Path, line: Callable[[int], str], count: int) -> None:
    """What a busy server's log costs: small reads, read from a log that is written at once."""
    with Observing(collector) as observing:
        observing.settle(0.5)
        began = time.process_time()
        with log.open("a") as file:
            file.writelines(line(number) for number in range(count))
            file.write(line(-1))
        observing.wait_for(lambda: bool(exports(observing)), 600, "the last line")
        used = time.process_time() - began
    found = [event for event in observing.events if isinstance(event, DatastoreActivity)]
    told = sum(event.count or 1 for event in found) - 1
    cost = f"{used / count * 1000:.3f} CPU s per 1,000 statements"
    click.echo(f"{name}: {cost}; {told} of {count} told in {len(found) - 1} events")


def audit_line(number: int) -> str:
    """The last one, -1, is an export."""
    table = number % 20
    text = f"SELECT a, b FROM t{table} WHERE id = {number} AND name = 'n{number}'"  # noqa: S608 - a log's line
    rows = 3 if number >= 0 else 1_000_000
    audit = f'AUDIT: SESSION,{number + 2},1,READ,SELECT,TABLE,public.t{table},"{text}",<not logged>,{rows}'
    record = {
        "timestamp": "2026-11-22 01:57:43.974 UTC",
        "user": f"app{number % 5}",
        "dbname": "crm",
        "remote_host": "10.0.0.7",
        "remote_port": 5000,
        "session_id": f"6b02.{number % 50}",
        "message": audit,
        "application_name": "app",
        "query_id": 5,
    }
    return msgspec.json.encode(record).decode() + "\n"


def server_audit_lines(number: int) -> str:
    """The last one, -1, is an export."""
    table = number % 20
    head = f"20261122 01:59:42,vm,app{number % 5},10.0.0.7,{number % 50},{number + 2}"
    text = f"SELECT a, b FROM t{table} WHERE id = {number} AND name = \\'n\\'"  # noqa: S608 - a log's line
    if number < 0:
        text += " INTO OUTFILE \\'/nowhere\\'"
    return f"{head},READ,crm,t{table},\n{head},QUERY,crm,'{text}',0\n"


def fingerprints() -> None:
    statements = {
        "short": "SELECT name, phone FROM customers WHERE id > 1000 AND city = 'x'",
        "500-row INSERT": f"INSERT INTO t VALUES {','.join(f'({n}, 7, {n})' for n in range(500))}",  # noqa: S608 - not run
    }
    for name, statement in statements.items():
        began, count = time.process_time(), 0
        while time.process_time() - began < 1:
            fingerprint_of(statement, "postgres")
            count += 1
        click.echo(f"fingerprint, {name}: {count / (time.process_time() - began):,.0f} per CPU s")
    finder = TableFinder("postgres")
    began = time.process_time()
    for number in range(300):
        finder.tables(fingerprint_of(f"SELECT a FROM t{number}", "postgres"))  # noqa: S608 - not run
    click.echo(f"tables by sqlglot, not cached: {300 / (time.process_time() - began):,.0f} per CPU s")


@click.command()
@click.option("--acts", "count", default=100, show_default=True, help="Exports on each real server.")
@click.option("--statements", default=20_000, show_default=True, help="Small reads in a busy log.")
def main(count: int, statements: int) -> None:
    """Prints the figures."""
    fingerprints()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        log = place / "pg.json"
        log.touch()
        busy(
            "postgresql, busy log",
            PostgresqlCollector(PostgresqlConfig(log=str(log)), _HOST, "0"),
            log,
            audit_line,
            statements,
        )
        log = place / "audit.log"
        log.touch()
        busy(
            "mariadb, busy log",
            MariadbCollector(MariadbConfig(audit_log=str(log)), _HOST, "0"),
            log,
            server_audit_lines,
            statements,
        )
        _postgresql(place, count)
        _mariadb(place, count)


def _postgresql(place: Path, count: int) -> None:
    server = AuditedPostgres()
    try:
        config = PostgresqlConfig(
            log=str(server.log_folder / "*.json"),
            log_time_zone="Asia/Shanghai",
            account_file=str(server.write_account(place / "pg")),
            large_rows=_LARGE,
        )
        ways: list[Callable[[], object]] = [
            lambda: server.psql("SELECT * FROM customers"),
            lambda: server.psql("COPY customers TO STDOUT"),
            lambda: server.psql(r"\copy customers to '/dev/null'"),
            lambda: server.run("pg_dump", "--table=customers"),
            lambda: server.psql("SELECT * FROM customers", variables=("FETCH_COUNT=2000",)),
        ]
        acts("postgresql", PostgresqlCollector(config, _HOST, "0"), ways, count)
    finally:
        server.stop()


def _mariadb(place: Path, count: int) -> None:
    server = MariadbServer()
    try:
        config = MariadbConfig(
            audit_log=str(server.audit_log),
            slow_log=str(server.slow_log),
            account_file=str(server.write_account(place / "my")),
            data_dir=str(server.data),
            large_rows=_LARGE,
        )
        number = iter(range(count))
        ways: list[Callable[[], object]] = [
            lambda: server.mariadb("SELECT * FROM customers"),
            lambda: server.mariadb(f"SELECT id FROM customers INTO OUTFILE 'o{next(number)}.csv'"),  # noqa: S608
            lambda: server.run("mariadb-dump", "crm", "customers"),
        ]
        acts("mariadb", MariadbCollector(config, _HOST, "0"), ways, count)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
