"""Both logs: events per CPU second of this process for append, ship and read, against decoding them.

python -m benchmarks.log_throughput [--kafka / --no-kafka]

Records hold 200 events each. The ratio is to decoding the same records (decompress and validate), what
the server has to do anyway. The broker's own CPU time is told apart.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.shippers.kafka import KafkaShipper
from event_schema.codec import encode_event
from event_schema.ocsf_events import FileActivity, event_metadata, file_system_activity
from event_schema.ocsf_objects import (
    Actor,
    DriveType,
    Executable,
    File,
    FileType,
    Fingerprint,
    HashAlgorithm,
    Host,
    HostType,
    Process,
    User,
)
from event_schema.ocsf_unmapped import Evidence, Unmapped
from event_schema.wire import WireRecord, decode_events, pack_events
from server.log.contract import EventLog
from server.log.embedded import EmbeddedLog
from server.log.kafka import KafkaLog
from server.log.kafka_topic import PARTITIONS, ensure_topic
from tests.kafka_broker.broker import KafkaBroker

EVENTS_PER_RECORD = 200
RECORDS = 1000
AGENTS = 20


def event(number: int) -> bytes:
    """A file copied to a stick; names, sizes and hashes differ as they do in life."""
    name = f"customers-{number % 977}-{number}.xlsx"
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    program = Executable(name="cp", type_id=FileType.REGULAR, path="/usr/bin/cp")
    return encode_event(
        file_system_activity(
            FileActivity.CREATE,
            time=1_790_000_000_000 + number * 37,
            metadata=event_metadata("removable_storage", "0.1.0"),
            actor=Actor(
                user=User(name=f"user{number % 60}", uid=str(1000 + number % 60)),
                process=Process(pid=2000 + number % 30_000, name="cp", file=program),
            ),
            device=Host(hostname="pc-17", type_id=HostType.LAPTOP, uid="pc-17"),
            file=File(
                name=name,
                type_id=FileType.REGULAR,
                path=f"/media/stick/offers/{name}",
                ext="xlsx",
                size=number * 7919 % 5_000_000,
                hashes=(Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=digest),),
                drive_type_id=DriveType.REMOVABLE,
            ),
            unmapped=Unmapped(
                evidence=Evidence(fidelity="exact", observed_by="fanotify_fid", actor_from="audit")
            ),
        )
    )


def make_records() -> list[WireRecord]:
    key = Ed25519PrivateKey.generate()
    records = []
    for number in range(RECORDS):
        first = number // AGENTS * EVENTS_PER_RECORD
        events = [event(number * EVENTS_PER_RECORD + index) for index in range(EVENTS_PER_RECORD)]
        agent = f"pc-{number % AGENTS}"
        records.append(pack_events(key, agent=agent, epoch="0" * 16, first_seq=first, events=events))
    return records


def measure(name: str, work: Callable[[], int], reference: float | None = None) -> float:
    """Prints and returns events per CPU second of `work`, which tells how many records it did."""
    cpu, wall = time.process_time(), time.monotonic()
    events = work() * EVENTS_PER_RECORD
    speed = events / (time.process_time() - cpu)
    ratio = "" if reference is None else f"   {speed / reference:5.2f} x decoding"
    click.echo(f"{name:44} {speed:12,.0f} /CPU s {events / (time.monotonic() - wall):12,.0f} /s{ratio}")
    return speed


def append_in_requests(
    append: Callable[[Sequence[WireRecord]], None], records: list[WireRecord], size: int
) -> int:
    for start in range(0, len(records), size):
        append(records[start : start + size])
    return len(records)


def read_everything(log: EventLog, *, decode: bool) -> int:
    positions, ends = dict(log.first_offsets()), log.end_offsets()
    done = 0
    while any(positions[partition] < end for partition, end in ends.items()):
        for logged in log.read(positions, max_records=100, timeout=1.0):
            positions[logged.partition] = logged.offset + 1
            done += 1
            if decode and logged.record is not None:
                decode_events(logged.record)
    return done


def cpu_of(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_embedded(records: list[WireRecord], decoding: float) -> None:
    with tempfile.TemporaryDirectory() as directory:
        log = EmbeddedLog(Path(directory) / "log", lambda: time.time_ns() // 1_000_000)
        for size in (1, 10, 100):
            name = f"embedded: append, {size} a request"
            measure(name, partial(append_in_requests, log.append, records, size), decoding)
        measure("embedded: read", lambda: read_everything(log, decode=False), decoding)
        measure("embedded: read and decode", lambda: read_everything(log, decode=True), decoding)
        log.close()


def measure_kafka(records: list[WireRecord], decoding: float) -> None:
    broker = KafkaBroker()
    try:
        ensure_topic(broker.bootstrap, partitions=PARTITIONS)
        log, shipper = KafkaLog(broker.bootstrap), KafkaShipper(broker.bootstrap)
        before = cpu_of(broker.pid)
        for size in (1, 10, 100):
            name = f"kafka: append, {size} a request"
            measure(name, partial(append_in_requests, log.append, records, size), decoding)
        measure("kafka: ship, 10 a call", partial(append_in_requests, shipper.ship, records, 10), decoding)
        middle = cpu_of(broker.pid)
        measure("kafka: read", lambda: read_everything(log, decode=False), decoding)
        measure("kafka: read and decode", lambda: read_everything(log, decode=True), decoding)
        after = cpu_of(broker.pid)
        click.echo(f"broker: {middle - before:.1f} CPU s taking, {after - middle:.1f} CPU s giving")
        shipper.close()
        log.close()
    finally:
        broker.stop()


@click.command()
@click.option("--kafka/--no-kafka", default=True, help="Start a real broker too.")
def main(kafka: bool) -> None:
    """Prints events per CPU second for both logs."""
    records = make_records()
    size = sum(len(record.value) for record in records) // len(records)
    click.echo(f"{RECORDS} records of {EVENTS_PER_RECORD} events, {size:,} bytes each")
    decoding = measure("decode only", lambda: sum(bool(decode_events(record)) for record in records))
    measure_embedded(records, decoding)
    if kafka:
        measure_kafka(records, decoding)


if __name__ == "__main__":
    main()
