"""An evidence pack of a large case: seconds, CPU and memory to make it and to verify it, and its size.

    python -m benchmarks.evidence_pack [--alerts 200] [--events 5000] [--json]

The alerts are of different people; each has so many events, in signed records of 200. SQLite in a folder of
its own. Memory is the most that the process had, measured in a process that only makes the pack.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from sqlalchemy import insert

from event_schema.ocsf_objects import User
from server.cases.changing import open_or_join_case
from server.evidence_pack.making import make_pack
from server.evidence_pack.pack_request import PackRequest
from server.evidence_pack.scope import scope_of_case
from server.evidence_pack.verifier import verify
from server.evidence_seal import SealKey
from server.store.database import open_database, upgrade
from server.store.tables import alert_days, alerts, subject_events
from tests.server.alerts.recorded_leak import (
    AGENT,
    CHANNEL,
    DAY,
    EPOCH,
    NOW,
    copied_file,
    enrolled_agent,
    known_of,
    pack,
    store_block,
)


def fill(url: str, count: int, events: int) -> None:
    """The alerts and their events."""
    database = open_database(url, clock=lambda: NOW)
    upgrade(database)
    key = enrolled_agent(database)
    template = copied_file(1, size=1_000_000)
    for number in range(count):
        account = f"user{number:03}"
        actor = msgspec.structs.replace(template.actor, user=User(name=account, uid="1501"))
        first = number * events
        for start in range(first, first + events, 200):
            part = [
                msgspec.structs.replace(copied_file(seq, size=seq + 1), actor=actor)
                for seq in range(start, min(start + 200, first + events))
            ]
            store_block(database, pack(key, start, part), [(each.time, known_of(1)) for each in part])
        with database.begin() as connection:
            row = {
                "id": number + 1,
                "subject": f"account:{account}",
                "family": "removable_storage_copy",
                "status": "open",
                "score": 50 + number % 50,
                "traits": [],
                "sentence": {"en": "465 MB to a device first seen that day", "zh": "…"},
                "shares": [{"source": "anomaly", "points": 50 + number % 50, "share": 1.0}],
                "facts": {},
                "policy_version": "p1",
                "first_time": NOW,
                "last_time": NOW + count * events * 1000,
                "events": events,
                "opened_at": NOW,
                "updated_at": NOW,
            }
            connection.execute(insert(alerts).values(row))
            connection.execute(insert(alert_days).values(alert=number + 1, channel=CHANNEL, day=DAY))
            place = {"agent": AGENT, "epoch": EPOCH, "first_seq": first, "last_seq": first + events - 1}
            connection.execute(
                insert(subject_events).values(subject=f"account:{account}", channel=CHANNEL, day=DAY, **place)
            )
    with database.begin() as connection:
        open_or_join_case(connection, range(1, count + 1), actor="user:omar", at=NOW, title="large")
    database.close()


def make(url: str, path: str, told: multiprocessing.Queue[tuple[float, float, float, int]]) -> None:
    """In a process of its own."""
    database = open_database(url, clock=lambda: NOW)
    before = time.perf_counter()
    with database.read() as connection:
        scope = scope_of_case(connection, 1)
    with Path(path).open("w+b") as file:
        request = PackRequest("user:omar", NOW)
        made = make_pack(database, scope, request, SealKey.new(), file, scratch=Path(path).parent)
    seconds = time.perf_counter() - before
    used = resource.getrusage(resource.RUSAGE_SELF)
    told.put((seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, made.events))
    database.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=200)
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url, path = f"sqlite:///{folder}/leaver.db", f"{folder}/case.zip"
        fill(url, given.alerts, given.events)
        context = multiprocessing.get_context("spawn")
        told: multiprocessing.Queue[tuple[float, float, float, int]] = context.Queue()
        child = context.Process(target=make, args=(url, path, told))
        child.start()
        seconds, cpu, mebibytes, events = told.get()
        child.join()
        before = time.perf_counter()
        verdict = verify(path)
        result = {
            "alerts": given.alerts,
            "events": events,
            "seconds": round(seconds, 1),
            "cpu_seconds": round(cpu, 1),
            "peak_mebibytes": round(mebibytes),
            "pack_bytes": Path(path).stat().st_size,
            "verify_seconds": round(time.perf_counter() - before, 1),
            "good": verdict.good,
        }
    if given.json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        sys.stdout.write("".join(f"{name:<16} {value}\n" for name, value in result.items()))
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
