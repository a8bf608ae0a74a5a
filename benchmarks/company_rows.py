"""Rows that the companies of the console's benchmarks share: people's facts, shipped policies and a day that
one of them hit, a day of a channel, a person with much behind them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

import msgspec
from sqlalchemy import Table, insert

from benchmarks.people_directory import company_of
from event_schema.channels import CHANNELS
from policies.engine import Policy
from policies.rule_file import SHIPPED_RULES, parse_text, policy_of, read_folder
from server.people.facts_store import write_facts
from server.pipeline.leaver_entries import encoded_entry, packed
from server.policies.publishing import FoundTexts, publish
from server.store.database import Database
from server.store.tables import channel_days, event_blocks, subject_events, subject_places, trait_uses
from tests.server.alerts.recorded_leak import NOW

DAY_MS: Final = 86_400_000
TODAY: Final = NOW // DAY_MS
EPOCH: Final = "00112233aabbccdd"
ROWS: Final = 5_000
"""Written at once."""
_HOUR: Final = 3_600_000


def fill_people(database: Database, people: int) -> None:
    with database.begin() as connection:
        company = company_of(people, people * 3, people)
        for start in range(0, people, ROWS):
            part = [(None, person) for person in company[start : start + ROWS]]
            write_facts(connection, part, at=NOW, actor="benchmark", way="import")


def shipped_policies(database: Database) -> list[Policy]:
    """Published; those of which alerts can be."""
    texts = [parse_text(each) for each in read_folder(SHIPPED_RULES)[0]]
    with database.begin() as connection:
        publish(connection, [FoundTexts("shipped", "shipped", texts)], now=NOW)
    return [policy for each in texts if (policy := policy_of(each)) is not None and policy.family]


def rule_day(
    subject: str, rule_id: str, day: int, family: str | None, *, channel: str = "uploads", at: int = 0
) -> dict[str, Any]:
    return {
        "subject": subject,
        "rule_id": rule_id,
        "channel": channel,
        "day": day,
        "family": family,
        "level": "high",
        "title": "x",
        "hits": 3,
        "first_time": at,
        "last_time": at,
        "first_version": 1,
        "last_version": 1,
    }


def channel_day(subject: str, channel: str, day: int, dice: random.Random) -> dict[str, Any]:
    at = day * DAY_MS + 9 * _HOUR
    return {
        "subject": subject,
        "channel": channel,
        "day": day,
        "day_type": "work",
        "bytes": dice.randrange(1, 10**8),
        "files": dice.randrange(1, 50),
        "items": 1,
        "new_places": 0,
        "first_time": at,
        "last_time": at,
        "events": 3,
    }


def busy_person(database: Database, subject: str, agent: str, events: int, dice: random.Random) -> None:
    """Something on every channel of every day, and `events` on 180 days, each in a block of its own."""
    days = range(TODAY - 180, TODAY + 1)
    insert_all(
        database,
        channel_days,
        (channel_day(subject, channel, day, dice) for channel in sorted(CHANNELS) for day in days),
    )
    fields = msgspec.json.encode({"person": {"status": "notice"}, "account": {}, "time": {}})
    blocks, index = [], []
    for number in range(events):
        day = TODAY - 180 + number * 181 // events
        at = day * DAY_MS + dice.randrange(8, 19) * _HOUR
        place = {"agent": agent, "epoch": EPOCH, "first_seq": 10_000_000 + number * 2}
        kept = {"signature": b"0" * 64, "value": dice.randbytes(800)}
        entries = packed([encoded_entry(at, fields)])
        blocks.append({**place, "count": 1, "received_at": at, "last_day": day, **kept, "leaver": entries})
        last = place["first_seq"]
        index.append({**place, "subject": subject, "day": day, "channel": "uploads", "last_seq": last})
    seen = [{"first_time": NOW - 90 * DAY_MS, "last_time": NOW - number * 1000} for number in range(400)]
    uses = (
        {"trait": f"address:10.0.{number}.7", "subject": subject, "account": "account:a", "count": 3, **each}
        for number, each in enumerate(seen)
    )
    places = (
        {"subject": subject, "channel": "uploads", "place": f"remote:drive{number}.example", **each}
        for number, each in enumerate(seen)
    )
    insert_all(database, event_blocks, blocks)
    insert_all(database, subject_events, index)
    insert_all(database, trait_uses, uses)
    insert_all(database, subject_places, places)


def insert_all(database: Database, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    left = iter(rows)
    while part := list(islice(left, ROWS)):
        with database.begin() as connection:
            connection.execute(insert(table), part)
