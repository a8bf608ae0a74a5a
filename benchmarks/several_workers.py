"""Several `leaver worker` on one real Kafka and PostgreSQL: events per CPU second, and how often they meet.

python -m benchmarks.several_workers [--events N] [--roaming PERCENT] [--json FILE]

Each run has a new topic and database with the same company, people and trained model. The workers are
processes; they have joined before the first event comes, and only their work is measured: CPU time (user and
system) of all of them, and that of PostgreSQL beside it. `--roaming` of the people have accounts on two
endpoints, so that two workers may change the same person's state. Memory is the workers' proportional share
(PSS) after the run. Seconds on the clock depend on the cores that were free, and are told only for that.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import msgspec
import psutil
from sqlalchemy import Connection, func, select, update

from benchmarks.company_load import DAY_MS, Company, Load
from server.log.kafka import KafkaLog
from server.log.kafka_topic import ensure_topic
from server.pipeline.worker_rows import list_workers
from server.store.database import Database, open_database, upgrade
from server.store.tables import accounts, event_blocks, log_positions
from server.training.activity_training import train_activities
from tests.kafka_broker.broker import KafkaBroker
from tests.postgres_server.server import PostgresServer

NOW = 1_795_000_000_000
PARTITIONS = 8
_WAIT_SECONDS = 300.0


class Result(msgspec.Struct, frozen=True):
    workers: int
    roaming_percent: int
    events: int
    seconds: float
    events_per_cpu_second: float
    database_share: float
    """CPU time of PostgreSQL, as a share of the workers'."""
    batches: int
    again: int
    """Batches that were done again, since another worker changed what they were worked out from."""
    megabytes: float
    """PSS of one worker."""


def run(
    broker: KafkaBroker, postgres: PostgresServer, load_events: int, workers: int, roaming: int
) -> Result:
    with tempfile.TemporaryDirectory(prefix="leaver-workers-") as name:
        folder = Path(name)
        own = postgres.new_database(migrated=False)
        topic = f"bench-{own}"
        ensure_topic(broker.bootstrap, topic, partitions=PARTITIONS)
        database = open_database(postgres.url(own), clock=lambda: NOW)
        upgrade(database)
        load = _company(database, load_events, roaming)
        (folder / "server.toml").write_text(
            f'[log]\nkind = "kafka"\nbootstrap = ["{broker.bootstrap}"]\ntopic = "{topic}"\n'
            f'partitions = {PARTITIONS}\n[database]\nurl = "{postgres.url(own)}"\n'
        )
        log = KafkaLog(broker.bootstrap, topic)
        started = [_start(folder, f"worker-{number}") for number in range(workers)]
        try:
            _wait(lambda: _have_joined(database, workers))
            processes = [psutil.Process(process.pid) for process in started]
            before, database_before = sum(map(_cpu, processes)), postgres.cpu_seconds()
            begun = time.monotonic()
            log.append(load.records)
            _wait(lambda: _lag(database, log) == 0)
            seconds = time.monotonic() - begun
            cpu = sum(map(_cpu, processes)) - before
            database_cpu = postgres.cpu_seconds() - database_before
            megabytes = sum(process.memory_full_info().pss for process in processes) / workers / 1e6
            with database.read() as connection:
                rows = list_workers(connection)
                stored = connection.execute(select(func.sum(event_blocks.c.count))).scalar_one()
        finally:
            for process in started:
                process.send_signal(signal.SIGTERM)
            for process in started:
                process.wait(30)
            log.close()
            database.close()
            postgres.drop_database(own)
    if stored != load.events:
        raise click.ClickException(f"{load.events} events, {stored} stored")
    return Result(
        workers,
        roaming,
        load.events,
        seconds,
        load.events / cpu,
        database_cpu / cpu,
        sum(row.batches for row in rows),
        sum(row.conflicts for row in rows),
        megabytes,
    )


def _company(database: Database, events: int, roaming: int) -> Load:
    company = Company(1, NOW // DAY_MS - 1)
    with database.begin() as connection:
        company.settle(connection)
        _let_roam(connection, company, roaming)
    train_activities(database, now=NOW - 5 * DAY_MS)
    return company.week(events)


def _let_roam(connection: Connection, company: Company, percent: int) -> None:
    """Neighbours become one person: the accounts of two endpoints."""
    for first, second in zip(company.workers[::2], company.workers[1::2], strict=True):
        if first.number // 2 % 100 < percent:
            owner = update(accounts).where(accounts.c.account == second.account)
            connection.execute(owner.values(person_id=str(first.number)))


def _start(folder: Path, name: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "server", "worker", "--data", str(folder), "--name", name]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _have_joined(database: Database, workers: int) -> bool:
    with database.read() as connection:
        shares = [row.partitions for row in list_workers(connection)]
    return len(shares) == workers and all(shares) and sum(map(len, shares)) == PARTITIONS


def _lag(database: Database, log: KafkaLog) -> int:
    with database.read() as connection:
        done = {row.partition: row.next_offset for row in connection.execute(select(log_positions))}
    return sum(end - done.get(partition, 0) for partition, end in log.end_offsets().items())


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _wait(happened: object) -> None:
    assert callable(happened)
    deadline = time.monotonic() + _WAIT_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            raise click.ClickException(f"nothing came of it within {_WAIT_SECONDS:.0f} s")
        time.sleep(0.2)


@click.command()
@click.option("--events", default=200_000, show_default=True, help="About how many events a run.")
@click.option("--roaming", default=20, show_default=True, help="Percent of the people on two endpoints.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures here too.")
def main(events: int, roaming: int, json_file: Path | None) -> None:
    """Print events per CPU second with 1, 2 and 4 workers, without and with people on two endpoints."""
    broker = KafkaBroker()
    try:
        postgres = PostgresServer()
        try:
            results = [
                run(broker, postgres, events, workers, percent)
                for percent in (0, roaming)
                for workers in (1, 2, 4)
            ]
        finally:
            postgres.stop()
    finally:
        broker.stop()
    click.echo(
        f"{'workers':>7} {'roaming':>8} {'events':>9} {'seconds':>8} {'events/CPU s':>13} {'PostgreSQL':>11}"
        f" {'batches':>8} {'again':>6} {'MB each':>8}"
    )
    for r in results:
        click.echo(
            f"{r.workers:>7} {r.roaming_percent:>6} % {r.events:>9,} {r.seconds:>8.1f}"
            f" {r.events_per_cpu_second:>13,.0f} {r.database_share:>+10.0%} {r.batches:>8} {r.again:>6}"
            f" {r.megabytes:>8.0f}"
        )
    if json_file is not None:
        json_file.write_text(json.dumps([msgspec.to_builtins(r) for r in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
