"""Database collectors on real servers: acts done, found, and right; what a busy server costs.

python -m benchmarks.database_statements [--acts 20] [--rate 2000] [--seconds 20] [--statements 20000]

CPU is that of the collector's process: servers and load are others.
"""

from __future__ import annotations

import subprocess
import sys
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


class Way(msgspec.Struct, frozen=True):
    """One way to take the whole table `customers`. `bytes_least`: what the server sends, where it tells."""

    name: str
    take: Callable[[], object]
    bytes_least: int | None = None


def exports(observing: Observing) -> list[DatastoreActivity]:
    found = [event for event in observing.events if isinstance(event, DatastoreActivity)]
    return [event for event in found if event.unmapped.result.is_export]


def takings(event: DatastoreActivity) -> int:
    """How many times the whole table was taken: several of one session are told together."""
    return (event.unmapped.result.rows or 0) // ROWS


def is_right(event: DatastoreActivity, way: Way) -> dict[str, bool]:
    result = event.unmapped.result
    user = None if event.actor.user is None else event.actor.user.name
    times = takings(event)
    return {
        "user": user == CLERK,
        "address": event.src_endpoint.ip == "127.0.0.1",
        "tables": {name.rpartition(".")[2] for name in result.tables or ()} == {"customers"},
        "rows": times > 0 and result.rows == times * ROWS,
        "bytes": way.bytes_least is None or (event.query_info.bytes or 0) >= times * way.bytes_least,
    }


def acts(server: str, collector: Collector, ways: list[Way], count: int) -> None:
    """The table: of `count` acts of each way, how many were found, and how many were right in what."""
    facts = ("user", "address", "tables", "rows", "bytes")
    totals = dict.fromkeys(("done", "found", *facts, "all"), 0)
    with Observing(collector) as observing:
        time.sleep(2)
        for way in ways:
            before = len(exports(observing))
            for _ in range(count):
                way.take()
            observing.settle(4, 300)
            found = exports(observing)[before:]
            row = {"done": count, "found": sum(map(takings, found))}
            for fact in facts:
                row[fact] = sum(takings(each) for each in found if is_right(each, way)[fact])
            row["all"] = sum(takings(each) for each in found if all(is_right(each, way).values()))
            show(server, way.name, row, {"bytes"} if way.bytes_least is None else set())
            totals = {name: totals[name] + row[name] for name in totals}
    show(server, "all", totals, {"bytes"})
    click.echo(f"{server}: {totals['all']} of {totals['done']} found and right in all")


def show(server: str, way: str, row: dict[str, int], unknown: set[str]) -> None:
    cells = "".join(f"{'–' if name in unknown else count:>9}" for name, count in row.items())
    click.echo(f"{server:<11} {way:<24}{cells}")


def heading() -> None:
    names = ("done", "found", "user", "address", "tables", "rows", "bytes", "all")
    click.echo(f"{'server':<11} {'way':<24}" + "".join(f"{name:>9}" for name in names))


def under_load(server: str, collector: Collector, take_all: Callable[[], object], load: list[str]) -> None:
    """What a busy server costs: `load` reads a row at a time and prints how many; then a table is taken."""
    with Observing(collector) as observing:
        time.sleep(2)
        began, began_s = time.process_time(), time.monotonic()
        done = int(subprocess.run(load, check=True, capture_output=True, text=True).stdout)
        lasted = time.monotonic() - began_s
        take_all()
        ended_s = time.monotonic()
        observing.wait_for(lambda: bool(exports(observing)), 600, "the last statement")
        late = time.monotonic() - ended_s
        used = time.process_time() - began
    found = [event for event in observing.events if isinstance(event, DatastoreActivity)]
    sums = [event for event in found if not event.unmapped.result.is_export]
    told, rows = (sum(numbers) for numbers in zip(*map(_counts, sums), strict=True))
    click.echo(
        f"{server}, {done / lasted:,.0f} statements/s: {used / done * 1000:.3f} CPU s per 1,000 statements,"
        f" {used / lasted:.1%} of a core; {told} of {done} told, {rows} rows, in {len(sums)} events;"
        f" the last one {late:.1f} s after it ran; dropped {dict(collector.dropped()) or 'nothing'}"
    )


def _counts(event: DatastoreActivity) -> tuple[int, int]:
    return event.count or 1, event.unmapped.result.rows or 0


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


def load_of(kind: str, port: int, rate: int, seconds: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.database_load", kind, str(port), str(rate), str(seconds)]


@click.command()
@click.option("--acts", "count", default=20, show_default=True, help="Exports in each way.")
@click.option("--rate", default=2_000, show_default=True, help="Statements a second of the busy server.")
@click.option("--seconds", default=20, show_default=True, help="So long it is busy.")
@click.option("--statements", default=20_000, show_default=True, help="Small reads in a log read at once.")
def main(count: int, rate: int, seconds: int, statements: int) -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        heading()
        _postgresql(place, count, rate, seconds)
        _mariadb(place, count, rate, seconds)
        log = place / "pg.json"
        log.touch()
        busy(
            "postgresql, log at once",
            PostgresqlCollector(PostgresqlConfig(log=str(log)), _HOST, "0"),
            log,
            audit_line,
            statements,
        )
        log = place / "audit.log"
        log.touch()
        busy(
            "mariadb, log at once",
            MariadbCollector(MariadbConfig(audit_log=str(log)), _HOST, "0"),
            log,
            server_audit_lines,
            statements,
        )
    fingerprints()


def _postgresql(place: Path, count: int, rate: int, seconds: int) -> None:
    server = AuditedPostgres()
    try:
        config = PostgresqlConfig(
            log=str(server.log_folder / "*.json"),
            log_time_zone="Asia/Shanghai",
            account_file=str(server.write_account(place / "pg")),
            large_rows=_LARGE,
        )
        cursor = ("FETCH_COUNT=2000",)
        ways = [
            Way("SELECT", lambda: server.psql("SELECT * FROM customers")),
            Way("COPY TO STDOUT", lambda: server.psql("COPY customers TO STDOUT")),
            Way("\\copy", lambda: server.psql(r"\copy customers to '/dev/null'")),
            Way("pg_dump", lambda: server.run("pg_dump", "--table=customers")),
            Way("cursor", lambda: server.psql("SELECT * FROM customers", variables=cursor)),
        ]
        acts("postgresql", PostgresqlCollector(config, _HOST, "0"), ways, count)
        under_load(
            "postgresql",
            PostgresqlCollector(config, _HOST, "0"),
            ways[0].take,
            load_of("postgresql", server.port, rate, seconds),
        )
    finally:
        server.stop()


def _mariadb(place: Path, count: int, rate: int, seconds: int) -> None:
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
        whole = len(server.mariadb("SELECT * FROM customers"))
        outfile = "SELECT id FROM customers INTO OUTFILE 'o{}.csv'"
        ways = [
            Way("SELECT", lambda: server.mariadb("SELECT * FROM customers"), whole),
            Way("SELECT INTO OUTFILE", lambda: server.mariadb(outfile.format(next(number)))),
            Way("mariadb-dump", lambda: server.run("mariadb-dump", "crm", "customers"), whole),
        ]
        acts("mariadb", MariadbCollector(config, _HOST, "0"), ways, count)
        under_load(
            "mariadb",
            MariadbCollector(config, _HOST, "0"),
            ways[0].take,
            load_of("mariadb", server.port, rate, seconds),
        )
    finally:
        server.stop()


if __name__ == "__main__":
    main()
