"""How many events one CPU second takes from observation to spool, and from spool to packed record.

Run: python -m benchmarks.spool_throughput [--events N]. Times are CPU seconds of this process (user and
system), so that a busy machine does not change them much; wall time stands beside, with fsync in it.
Events are full ones: path, SHA-256, user, program, device. Shipping goes over real TLS to `leaver up` in
a process of its own; the wall time holds the server's work too.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.enrolment import enrol, parse_line
from agent.identity import Identity
from agent.packing import Signer
from agent.shippers.https import HttpsShipper
from agent.spool import Spool
from agent.spool_reader import SpooledEvent
from agent.spool_segment import NewEntry
from agent.spool_writer import BATCH_ENTRIES
from event_schema.codec import encode_event
from event_schema.ocsf_events import FileActivity, FileSystemActivity, event_metadata, file_system_activity
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
    PeripheralDevice,
    PeripheralType,
    Process,
    User,
)
from event_schema.ocsf_unmapped import Evidence, Unmapped

SETTINGS = """\
[listen]
address = "127.0.0.1:0"
[limits]
agent_events_per_second = 1000000
agent_events_at_once = 10000000
"""


def full_event(number: int) -> FileSystemActivity:
    """As the removable-storage collector makes them."""
    name = f"客户名单 {number:06d}.xlsx"
    digest = hashlib.sha256(name.encode()).hexdigest()
    return file_system_activity(
        FileActivity.CREATE,
        time=1_795_305_600_000 + number,
        metadata=event_metadata("removable_storage", "0.1.0"),
        actor=Actor(
            user=User(name="alice", uid="1501"),
            process=Process(
                pid=4000 + number % 1000,
                name="cp",
                file=Executable(name="cp", type_id=FileType.REGULAR, path="/usr/bin/cp"),
                auid=1501,
            ),
        ),
        device=Host(hostname="laptop-17", type_id=HostType.LAPTOP, uid="laptop-17"),
        file=File(
            name=name,
            type_id=FileType.REGULAR,
            path=f"/media/alice/STICK/2026/{number % 50}/{name}",
            ext="xlsx",
            size=20_000 + number,
            hashes=(Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=digest),),
            drive_type_id=DriveType.REMOVABLE,
            volume="STICK",
        ),
        unmapped=Unmapped(
            evidence=Evidence(fidelity="exact", observed_by="fanotify_fid", actor_from="audit"),
            peripheral_device=PeripheralDevice(
                name="SanDisk Ultra",
                type_id=PeripheralType.EXTERNAL_STORAGE,
                uid="0781:5581:4C530001",
                serial_number="4C530001",
                vendor_name="SanDisk",
                model="Ultra",
            ),
        ),
    )


def measured(what: str, events: int, work: Callable[[], int]) -> None:
    """Runs `work`, which returns the bytes it made, and prints one row."""
    cpu, wall = time.process_time(), time.monotonic()
    size = work()
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    click.echo(f"{what:<44} {events / cpu:>12,.0f} {events / wall:>12,.0f} {size / events:>10.0f}")


@click.command()
@click.option("--events", default=100_000, show_default=True, help="How many events.")
def main(events: int) -> None:
    """Print events per CPU second and per second of wall time, and bytes per event."""
    click.echo(f"Python {sys.version.split()[0]}, {events} events")
    click.echo(f"{'':<44} {'per CPU s':>12} {'per s':>12} {'B/event':>10}")
    made = [full_event(number) for number in range(events)]
    encoded: list[bytes] = []

    def encode() -> int:
        encoded.extend(map(encode_event, made))
        return sum(map(len, encoded))

    measured("encode", events, encode)
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), max_bytes=4 << 30)
        measured(
            f"append, fsync, pack, {BATCH_ENTRIES} at a time",
            events,
            partial(_append, spool, encoded, BATCH_ENTRIES),
        )
        measured("read, pack, sign, acknowledge", events, partial(_drain, spool))
        few = encoded[: max(10, events // 10)]
        measured("append, fsync, 10 at a time", len(few), partial(_append, spool, few, 10))
        _drain(spool)
        _append(spool, encoded, BATCH_ENTRIES)
        with _running_server(Path(folder) / "server") as line:
            identity = enrol(parse_line(line), Path(folder) / "state", replace=False)
            work = partial(_ship, spool, identity)
            measured("read, pack, sign, ship over TLS, acknowledge", events, work)
        spool.close()


@contextmanager
def _running_server(data: Path) -> Iterator[str]:
    """`leaver up` with an empty installation. Gives an enrolment line."""
    data.mkdir()
    (data / "server.toml").write_text(SETTINGS, encoding="utf-8")
    command = [sys.executable, "-c", "from server.command_line import main; main()"]
    environment = {**os.environ, "LEAVER_DATA": str(data)}
    with subprocess.Popen([*command, "up"], env=environment, stdout=subprocess.PIPE, text=True) as up:
        try:
            assert up.stdout is not None
            if not any(line.startswith("ready") for line in up.stdout):
                raise click.ClickException("the server did not start")
            said = subprocess.run(
                [*command, "agents", "enrol", "bench", "--json"],
                env=environment,
                capture_output=True,
                check=True,
            )
            yield json.loads(said.stdout)["line"]
        finally:
            up.terminate()


def _append(spool: Spool, encoded: list[bytes], batch: int) -> int:
    for first in range(0, len(encoded), batch):
        spool.append(
            [
                NewEntry("removable_storage", 1_795_305_600_000, d, "17")
                for d in encoded[first : first + batch]
            ]
        )
    return spool.stats().backlog_bytes


def _drain(spool: Spool) -> int:
    return _send(spool, Signer(Ed25519PrivateKey.generate(), "bench", spool.epoch), None)


def _ship(spool: Spool, identity: Identity) -> int:
    shipper = HttpsShipper(identity)
    try:
        return _send(spool, Signer(identity.key, identity.facts.agent, spool.epoch), shipper)
    finally:
        shipper.close()


def _send(spool: Spool, signer: Signer, shipper: HttpsShipper | None) -> int:
    """What the agent's shipping thread does, without its pauses. Returns the bytes of all records."""
    size = 0
    while items := spool.read(-1):
        records = signer.records(items)
        if shipper is not None:
            shipper.ship(records)
        size += sum(len(record.value) for record in records)
        last = items[-1]
        if not isinstance(last, SpooledEvent):
            raise click.ClickException(f"the spool lost events: {last}")
        spool.acknowledge(last.seq)
    return size


if __name__ == "__main__":
    main()
