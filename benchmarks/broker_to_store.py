"""From a real Kafka broker to stored events and alerts, against its ceilings: decoding alone, and librdkafka.

python -m benchmarks.broker_to_store [--events N] [--repeats N] [--json FILE]

One process works through the same records in each row, and its CPU time (user, system, all threads) counts:
decoding them from memory; reading them from the broker, without and with decoding; and the whole way (read,
admit, enrich, policies, anomaly, alerts, commit on SQLite, with the log's positions), each with kafka-python,
which Leaver uses, and with confluent-kafka (librdkafka) in its place. The best of some rounds counts, and
ratios are within this run. The broker's own CPU time is told beside.
"""

from __future__ import annotations

import gc
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from sqlalchemy import func, select

from benchmarks.company_load import DAY_MS, Company, Load
from benchmarks.librdkafka_log import LibrdkafkaLog, until_all_is_read
from event_schema.wire import decode_events
from server.log.contract import EventLog, LoggedRecord
from server.log.kafka import KafkaLog
from server.log.kafka_topic import ensure_topic
from server.pipeline.worker import RECORDS_PER_BATCH, PipelineWorker
from server.store.database import open_database, upgrade
from server.store.tables import event_blocks
from server.training.activity_training import train_activities
from tests.kafka_broker.broker import KafkaBroker

NOW = 1_795_000_000_000
PARTITIONS = 8
TOPIC = "bench"
CLIENTS: dict[str, Callable[[str], EventLog]] = {
    "kafka-python": lambda bootstrap: KafkaLog(bootstrap, TOPIC),
    "confluent-kafka": lambda bootstrap: LibrdkafkaLog(bootstrap, TOPIC),
}


class Row(msgspec.Struct, frozen=True):
    what: str
    client: str
    events_per_cpu_second: float
    microseconds: float
    """CPU time for one event."""
    of_decoding: float
    broker_share: float
    """CPU time of the broker, as a share of ours."""


class Measured(msgspec.Struct, frozen=True):
    cpu: float
    broker: float


def measure(broker: KafkaBroker, work: Callable[[], Any]) -> Measured:
    gc.collect()
    before, cpu = _cpu_of(broker.pid), time.process_time()
    work()
    return Measured(time.process_time() - cpu, _cpu_of(broker.pid) - before)


def decode(load: Load) -> None:
    for record in load.records:
        decode_events(record)


def read(make: Callable[[str], EventLog], broker: KafkaBroker, load: Load, *, decoded: bool) -> Measured:
    def each(found: Sequence[LoggedRecord]) -> None:
        for logged in found:
            assert logged.record is not None
            if decoded:
                decode_events(logged.record)

    log = make(broker.bootstrap)
    try:
        # Connected, and past what is done once.
        log.end_offsets()
        records: list[int] = []
        measured = measure(
            broker,
            lambda: records.append(until_all_is_read(log, max_records=RECORDS_PER_BATCH, each=each)),
        )
    finally:
        log.close()
    if records != [len(load.records)]:
        raise click.ClickException(f"{len(load.records)} records, {records} read")
    return measured


def store(make: Callable[[str], EventLog], broker: KafkaBroker, load: Load, company: Company) -> Measured:
    """The whole way, on a new database."""
    with tempfile.TemporaryDirectory(prefix="leaver-bench-") as name:
        database = open_database(f"sqlite:///{name}/leaver.db", clock=lambda: NOW)
        upgrade(database)
        with database.begin() as connection:
            company.settle(connection)
        train_activities(database, now=NOW - 5 * DAY_MS)
        log = make(broker.bootstrap)
        worker = PipelineWorker(database, log, clock=lambda: NOW)
        log.end_offsets()
        taken: list[int] = []

        def work() -> None:
            while sum(taken) < load.events:
                taken.append(worker.step(1.0).events)

        try:
            measured = measure(broker, work)
            with database.read() as connection:
                stored = connection.execute(select(func.sum(event_blocks.c.count))).scalar_one()
        finally:
            log.close()
            database.close()
    if stored != load.events:
        raise click.ClickException(f"{load.events} events, {stored} stored")
    return measured


def _cpu_of(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(broker: KafkaBroker, events: int, repeats: int) -> list[Row]:
    company = Company(1, NOW // DAY_MS - 1)
    load = company.week(events)
    ensure_topic(broker.bootstrap, TOPIC, partitions=PARTITIONS)
    log = KafkaLog(broker.bootstrap, TOPIC)
    log.append(load.records)
    log.close()
    rounds: list[dict[tuple[str, str], Measured]] = []
    for _ in range(repeats):
        # In turn, so that what else the machine does falls on all of them.
        found = {("decode", ""): measure(broker, lambda: decode(load))}
        for client, make in CLIENTS.items():
            found["read", client] = read(make, broker, load, decoded=False)
            found["read, decode", client] = read(make, broker, load, decoded=True)
            found["the whole way", client] = store(make, broker, load, company)
        rounds.append(found)
    best = {key: min((found[key] for found in rounds), key=lambda one: one.cpu) for key in rounds[0]}
    reference = best["decode", ""].cpu
    return [
        Row(
            what,
            client,
            load.events / each.cpu,
            each.cpu / load.events * 1e6,
            reference / each.cpu,
            each.broker / each.cpu,
        )
        for (what, client), each in best.items()
    ]


@click.command()
@click.option("--events", default=200_000, show_default=True, help="About how many events.")
@click.option("--repeats", default=3, show_default=True, help="Rounds of which the best counts.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures here too.")
def main(events: int, repeats: int, json_file: Path | None) -> None:
    """Print events per CPU second of each way, and what share of decoding's speed that is."""
    broker = KafkaBroker()
    try:
        rows = run(broker, events, repeats)
    finally:
        broker.stop()
    click.echo(
        f"{'':<15} {'client':<16} {'events/CPU s':>13} {'µs/event':>9} {'x decoding':>11} {'broker':>8}"
    )
    for row in rows:
        click.echo(
            f"{row.what:<15} {row.client:<16} {row.events_per_cpu_second:>13,.0f} {row.microseconds:>9.2f}"
            f" {row.of_decoding:>11.2f} {row.broker_share:>+7.0%}"
        )
    speeds = {(row.what, row.client): row.events_per_cpu_second for row in rows}
    for what in ("read, decode", "the whole way"):
        ratio = speeds[what, "kafka-python"] / speeds[what, "confluent-kafka"]
        click.echo(f"{what}: kafka-python at {ratio:.2f} x confluent-kafka")
    if json_file is not None:
        json_file.write_text(json.dumps([msgspec.to_builtins(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
