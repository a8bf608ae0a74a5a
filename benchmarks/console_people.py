"""The console's pages of people in a large company: the list, and one person with much behind them.

python -m benchmarks.console_people [--people N] [--alerts N] [--events N] [--postgresql] [--json]

Asked over HTTPS on loopback, signed in as an analyst: milliseconds of the server and the client together, by
the clock and of CPU, the median and the slowest of so many askings; the first apart (it reads the people).
A person has EVENTS events on 180 days, each in a block of its own, something on every channel of every day,
alerts and uses; the others share the alerts.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import click
from sqlalchemy import text

from benchmarks.company_rows import (
    DAY_MS,
    TODAY,
    busy_person,
    channel_day,
    fill_people,
    insert_all,
    rule_day,
)
from benchmarks.page_times import PageRow, asking, filled_site, page_row, tell, times_of
from event_schema.channels import CHANNELS
from server.people.roles import Role
from server.store.database import Database
from server.store.tables import (
    agents,
    alert_days,
    alerts,
    channel_days,
    collector_days,
    rule_days,
    subject_agents,
)
from tests.server.alerts.recorded_leak import NOW
from tests.server.console.site import Site

BUSY = "person:E000050"
_FAMILIES = ("removable_storage_copy", "cloud_upload", "mail", "printing", "logins")


@click.command()
@click.option("--people", default=10_000, show_default=True)
@click.option("--alerts", "alert_count", default=50_000, show_default=True)
@click.option("--events", default=5_000, show_default=True)
@click.option("--postgresql", is_flag=True)
@click.option("--json", "as_json", is_flag=True)
def main(people: int, alert_count: int, events: int, postgresql: bool, as_json: bool) -> None:
    """Fill, ask, tell."""
    fill = partial(_fill, people=people, alert_count=alert_count, events=events)
    with filled_site(fill, postgresql=postgresql) as (site, _, _):
        rows = _ask(site)
    heading = f"{people:,} people, {alert_count:,} alerts, a person with {events:,} events"
    tell(heading, rows, postgresql=postgresql, as_json=as_json)


def _ask(site: Site) -> list[PageRow]:
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
    return [page_row(name, times_of(asking(client, address))) for name, address in pages.items()]


def _fill(database: Database, people: int, alert_count: int, events: int) -> None:
    dice = random.Random(3)
    fill_people(database, people)
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
    insert_all(database, agents, agents_rows)
    seen = [
        {"subject": f"person:E{number:06}", "agent": f"laptop-{number:06}", "first_time": NOW - 10 * DAY_MS}
        for number in range(people)
    ]
    insert_all(database, subject_agents, seen)
    insert_all(database, channel_days, _channel_days(people, dice))
    insert_all(
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
    busy_person(database, BUSY, "laptop-000050", events, dice)
    days = range(TODAY - 120, TODAY + 1, 2)
    hits = (rule_day(BUSY, f"rule-{rule}", day, "cloud_upload", at=NOW) for day in days for rule in range(2))
    insert_all(database, rule_days, hits)


def _channel_days(people: int, dice: random.Random) -> Iterator[dict[str, Any]]:
    """Of all but the busy person."""
    for number in range(people):
        subject = f"person:E{number:06}"
        if subject != BUSY:
            for channel in ("removable_storage", "uploads"):
                for day in (TODAY - number % 45, TODAY - 60):
                    yield channel_day(subject, channel, day, dice)


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
    insert_all(database, alerts, rows)
    insert_all(database, alert_days, days)


if __name__ == "__main__":
    main()
