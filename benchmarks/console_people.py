"""The console's pages of people in a large company: the list, and one person with much behind them.

python -m benchmarks.console_people [--people N] [--alerts N] [--events N] [--postgresql] [--json]

Asked over HTTPS on loopback, signed in as an analyst: milliseconds of the server and the client together, by
the clock and of CPU, the median and the slowest of so many askings; the first apart (it reads the people).
A person has EVENTS events on 180 days, each in a block of its own, something on every channel of every day,
alerts and uses; the others share the alerts.
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from sqlalchemy import insert, text

from benchmarks.people_directory import company_of
from event_schema.channels import CHANNELS
from server.people.facts_store import write_facts
from server.people.roles import Role
from server.pipeline.leaver_entries import encoded_entry, packed
from server.store.database import Database, open_database, upgrade
from server.store.tables import (
    agents,
    alert_days,
    alerts,
    channel_days,
    collector_days,
    event_blocks,
    rule_days,
    subject_agents,
    subject_events,
    subject_places,
    trait_uses,
)
from tests.postgres_server.server import PostgresServer
from tests.server.alerts.recorded_leak import NOW
from tests.server.console.site import Site

DAY_MS = 86_400_000
TODAY = NOW // DAY_MS
BUSY = "person:E000050"
ASKINGS = 15
_FAMILIES = ("removable_storage_copy", "cloud_upload", "mail", "printing", "logins")
_ROWS = 5_000


@click.command()
@click.option("--people", default=10_000, show_default=True)
@click.option("--alerts", "alert_count", default=50_000, show_default=True)
@click.option("--events", default=5_000, show_default=True)
@click.option("--postgresql", is_flag=True)
@click.option("--json", "as_json", is_flag=True)
def main(people: int, alert_count: int, events: int, postgresql: bool, as_json: bool) -> None:
    """Fill, ask, tell."""
    with tempfile.TemporaryDirectory() as folder, database_in(Path(folder), postgresql) as url:
        database = open_database(url, clock=lambda: NOW)
        upgrade(database)
        _fill(database, people, alert_count, events)
        database.close()
        site = Site(Path(folder), database_url=url, leak_files=0)
        try:
            rows = _ask(site)
        finally:
            site.close()
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return
    name = "PostgreSQL" if postgresql else "SQLite"
    click.echo(f"{name}: {people:,} people, {alert_count:,} alerts, a person with {events:,} events")
    click.echo(f"{'page':<34} {'first ms':>9} {'median':>8} {'slowest':>8} {'CPU ms':>7} {'kB':>7}")
    for row in rows:
        times = f"{row['first']:>9.1f} {row['median']:>8.1f} {row['slowest']:>8.1f} {row['cpu']:>7.1f}"
        click.echo(f"{row['page']:<34} {times} {row['kB']:>7.1f}")


@contextmanager
def database_in(folder: Path, postgresql: bool) -> Iterator[str]:
    if not postgresql:
        yield f"sqlite:///{folder}/leaver.db"
        return
    server = PostgresServer()
    try:
        yield server.url(server.new_database())
    finally:
        server.stop()


def _ask(site: Site) -> list[dict[str, Any]]:
    client = site.client(Role.ANALYST)
    found = client.get("/people?sort=last_day").text
    with site.database.read() as connection:
        busy = connection.execute(
            text("SELECT pseudonym FROM pseudonyms WHERE subject = :subject"), {"subject": BUSY}
        ).scalar_one()
    second = re.search(r'rel="next"|href="(/people\?[^"]+)" rel="next"', found)
    pages = {
        "people, worst first": "/people",
        "people, by last day": "/people?sort=last_day",
        "people, next page": (second[1] or "/people").replace("&amp;", "&") if second else "/people",
        "people, searched": "/people?text=department+7",
        "people, with open alerts": "/people?alerted=1",
        "person, 3 months": f"/people/{busy}",
        "person, 1 month": f"/people/{busy}?months=1",
        "person, 6 months": f"/people/{busy}?months=6",
        "person, activity, 6 months": f"/people/{busy}/activity?months=6",
        "person, hours, 3 months": f"/people/{busy}/hours?months=3",
        "person, hours, 6 months": f"/people/{busy}/hours?months=6",
    }
    rows = []
    for name, address in pages.items():
        times: list[float] = []
        cpu: list[float] = []
        size = 0
        for _ in range(ASKINGS + 1):
            began, worked = time.perf_counter(), time.process_time()
            answer = client.get(address)
            times.append((time.perf_counter() - began) * 1000)
            cpu.append((time.process_time() - worked) * 1000)
            assert answer.status_code == 200, (address, answer.text[-500:])
            size = len(answer.content)
        later = sorted(times[1:])
        rows.append(
            {
                "page": name,
                "first": times[0],
                "median": later[len(later) // 2],
                "slowest": later[-1],
                "cpu": sorted(cpu[1:])[len(later) // 2],
                "kB": size / 1000,
            }
        )
    return rows


def _fill(database: Database, people: int, alert_count: int, events: int) -> None:
    dice = random.Random(3)
    with database.begin() as connection:
        company = company_of(people, people * 3, people)
        for start in range(0, people, _ROWS):
            part = [(None, person) for person in company[start : start + _ROWS]]
            write_facts(connection, part, at=NOW, actor="benchmark", way="import")
    agents_rows = [
        {
            "name": f"laptop-{number:06}",
            "created_at": 0,
            "clock_offset": 0,
            "heartbeat_at": NOW,
            "heartbeat": {"version": "1.0", "collectors": [{"name": "uploads", "state": "running"}]},
        }
        for number in range(people)
    ]
    _insert(database, agents, agents_rows)
    seen = [
        {"subject": f"person:E{number:06}", "agent": f"laptop-{number:06}", "first_time": NOW - 10 * DAY_MS}
        for number in range(people)
    ]
    _insert(database, subject_agents, seen)
    _insert(database, channel_days, list(_channel_days(people, dice)))
    _insert(
        database,
        collector_days,
        [
            {"agent": "laptop-000050", "collector": channel, "day": day}
            for channel in sorted(CHANNELS)
            for day in range(TODAY - 120, TODAY + 1)
            if day % 17
        ],
    )
    _alerts(database, people, alert_count, dice)
    _busy(database, events, dice)


def _channel_days(people: int, dice: random.Random) -> Iterator[dict[str, Any]]:
    plain = {"day_type": "work", "items": 1, "new_places": 0}
    for number in range(people):
        subject, busy = f"person:E{number:06}", number == 50
        for channel in sorted(CHANNELS) if busy else ("removable_storage", "uploads"):
            for day in range(TODAY - 180, TODAY + 1) if busy else (TODAY - number % 45, TODAY - 60):
                at = day * DAY_MS + 9 * 3_600_000
                yield {
                    "subject": subject,
                    "channel": channel,
                    "day": day,
                    "bytes": dice.randrange(1, 10**8),
                    "files": dice.randrange(1, 50),
                    "first_time": at,
                    "last_time": at,
                    "events": 3,
                    **plain,
                }


def _alerts(database: Database, people: int, count: int, dice: random.Random) -> None:
    rows, days = [], []
    for number in range(count):
        person, family = number % people, number // people % len(_FAMILIES)
        is_open = number < people // 2 or (person == 50 and number < people * 3)
        last = NOW - dice.randrange(180) * DAY_MS
        score = dice.randrange(50, 101)
        rows.append(
            {
                "id": number + 1,
                "subject": f"person:E{person:06}",
                "family": _FAMILIES[family],
                "status": "open" if is_open else "closed",
                "score": score,
                "traits": [],
                "sentence": {
                    "en": f"{score} MB to a device first seen that day; 12 times the usual",
                    "zh": "…",
                },
                "shares": [{"source": "anomaly", "points": score, "share": 1.0}],
                "facts": {"bytes": score, "day": last // DAY_MS, "more": "x" * 600},
                "policy_version": "p1",
                "first_time": last - 1000,
                "last_time": last,
                "events": 30,
                "opened_at": last,
                "updated_at": last,
                "verdict": None if is_open else dice.choice(("confirmed", "expected", "false")),
                "closed_at": None if is_open else last + 1000,
                "closed_by": None if is_open else "user:omar",
            }
        )
        days.append({"alert": number + 1, "channel": "removable_storage", "day": last // DAY_MS})
    _insert(database, alerts, rows)
    _insert(database, alert_days, days)


def _busy(database: Database, events: int, dice: random.Random) -> None:
    fields = msgspec.json.encode({"person": {"status": "notice"}, "account": {}, "time": {}})
    blocks, index, uses, places = [], [], [], []
    for number in range(events):
        day = TODAY - 180 + number * 181 // events
        at = day * DAY_MS + dice.randrange(8, 19) * 3_600_000
        place = {"agent": "laptop-000050", "epoch": "00112233aabbccdd", "first_seq": number * 2}
        blocks.append(
            {
                **place,
                "count": 1,
                "received_at": at,
                "last_day": day,
                "signature": b"0" * 64,
                "value": dice.randbytes(800),
                "leaver": packed([encoded_entry(at, fields)]),
            }
        )
        index.append({**place, "subject": BUSY, "day": day, "channel": "uploads", "last_seq": number * 2})
    for number in range(400):
        seen = {"first_time": NOW - 90 * DAY_MS, "last_time": NOW - number * 1000}
        uses.append(
            {"trait": f"address:10.0.{number}.7", "subject": BUSY, "account": "account:a", "count": 3, **seen}
        )
        places.append(
            {"subject": BUSY, "channel": "uploads", "place": f"remote:drive{number}.example", **seen}
        )
    hits = [
        {
            "subject": BUSY,
            "rule_id": f"rule-{rule}",
            "channel": "uploads",
            "day": day,
            "family": "cloud_upload",
            "level": "medium",
            "title": "Uploads",
            "hits": 3,
            "first_time": NOW,
            "last_time": NOW,
            "first_version": 1,
            "last_version": 1,
        }
        for day in range(TODAY - 120, TODAY + 1, 2)
        for rule in range(2)
    ]
    for table, rows in (
        (event_blocks, blocks),
        (subject_events, index),
        (trait_uses, uses),
        (subject_places, places),
        (rule_days, hits),
    ):
        _insert(database, table, rows)


def _insert(database: Database, table: Any, rows: list[dict[str, Any]]) -> None:
    with database.begin() as connection:
        for start in range(0, len(rows), _ROWS):
            connection.execute(insert(table), rows[start : start + _ROWS])


if __name__ == "__main__":
    main()
