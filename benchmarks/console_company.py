"""A large company as all pages of the console have it before them, deterministic: the people and the full
queue of the tests (`tests/server/alerts/queue/full_queue.py`), and with these an agent a person, a person and
an alert with much behind them, cases, policies that hit, and an audit trail.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from sqlalchemy import select, update

from benchmarks.company_rows import (
    EPOCH,
    ROWS,
    TODAY,
    busy_person,
    channel_day,
    insert_all,
    rule_day,
    shipped_policies,
)
from server import audit
from server.cases.changing import add_note, open_or_join_case
from server.store.database import Database
from server.store.tables import (
    agent_epochs,
    agents,
    alert_days,
    alerts,
    channel_days,
    collector_days,
    rule_days,
    subject_agents,
    subject_events,
)
from tests.server.alerts.queue.full_queue import CHANNELS as QUEUE_CHANNELS
from tests.server.alerts.queue.full_queue import DAY_MS, NOW, full_queue
from tests.server.alerts.recorded_leak import (
    copied_file,
    enrolled_agent,
    known_of,
    open_alert,
    pack,
    store_block,
)

BUSY: Final = "person:E00050"
LEAVER: Final = "person:E00060"
CASES: Final = 600
TRAIL_ROWS: Final = 21_000
_HOUR: Final = 3_600_000
_COLLECTORS: Final = ("logins", "mail", "removable_storage", "uploads")
_BLOCK: Final = 200


class Filled(msgspec.Struct, frozen=True):
    """What stands for each kind of page. `leak`: an alert with all of the events."""

    leak: int
    case: int
    rule: str
    agent: str


def fill(database: Database, *, count: int, people: int, events: int) -> Filled:
    """`count` alerts, a fifth of them closed, about `people`; `events` of the leak and of the busy person."""
    full_queue(database, count=count, people=people)
    dice = random.Random(11)
    _judged(database, count)
    _fleet(database, people, dice)
    leak = _leak(database, count + 1, events)
    insert_all(database, channel_days, _few_days(people, dice))
    busy_person(database, BUSY, agent_of(50), events, dice)
    rule = _policies(database, people, dice)
    case = _cases(database, count)
    _trail(database, people)
    return Filled(leak, case, rule, agent_of(50))


def agent_of(number: int) -> str:
    return f"laptop-{number:06}"


def _judged(database: Database, count: int) -> None:
    with database.begin() as connection:
        for turn, verdict in enumerate(("confirmed", "expected", "false")):
            numbers = select(alerts.c.id).where(alerts.c.id % 15 == 5 * turn)
            closed = {"status": "closed", "verdict": verdict, "closed_at": NOW, "closed_by": "user:omar"}
            connection.execute(update(alerts).where(alerts.c.id.in_(numbers)).values(**closed))
        for number in range(1, min(count, 3_000), 10):
            merged = update(alerts).where(alerts.c.id == number + 1, alerts.c.status == "open")
            main = select(alerts.c.id).where(alerts.c.id == number, alerts.c.status == "open")
            connection.execute(merged.where(main.exists()).values(merged_into=number))


def _fleet(database: Database, people: int, dice: random.Random) -> None:
    """Nine of ten agents report; each watched all of the last days but one."""
    insert_all(
        database,
        agents,
        (
            {
                "name": agent_of(number),
                "created_at": NOW - 100 * DAY_MS,
                "enrolled_at": NOW - 100 * DAY_MS,
                "clock_offset": number % 7,
                "heartbeat_at": NOW + _HOUR - (2 * DAY_MS if number % 10 == 3 else 9_000),
                "heartbeat": _heartbeat(number),
            }
            for number in range(people)
        ),
    )
    insert_all(
        database,
        subject_agents,
        (
            {"subject": f"person:E{number:05}", "agent": agent_of(number), "first_time": NOW - 90 * DAY_MS}
            for number in range(people)
        ),
    )
    insert_all(
        database,
        collector_days,
        (
            {"agent": agent_of(number), "collector": collector, "day": day}
            for number in range(people)
            for collector in _COLLECTORS
            for day in range(TODAY - 13, TODAY + 1)
            if day != TODAY - number % 40
        ),
    )
    insert_all(
        database,
        agent_epochs,
        (
            {
                "agent": agent_of(number),
                "epoch": EPOCH,
                "first_seen": NOW - 90 * DAY_MS,
                "seen": f"0-{dice.randrange(10_000)}",
                "lost": 0,
                "duplicates": 0,
            }
            for number in range(people)
        ),
    )
    # What an endpoint's filter goes by.
    with database.read() as connection:
        days = connection.execute(
            select(alerts.c.subject, alert_days.c.channel, alert_days.c.day)
            .join(alert_days, alert_days.c.alert == alerts.c.id)
            .distinct()
        ).all()
    insert_all(
        database,
        subject_events,
        (
            {
                "subject": row.subject,
                "day": row.day,
                "channel": row.channel,
                "agent": agent_of(int(row.subject.removeprefix("person:E"))),
                "epoch": EPOCH,
                "first_seq": place * 10,
                "last_seq": place * 10 + 9,
            }
            for place, row in enumerate(days)
        ),
    )


def _heartbeat(number: int) -> dict[str, Any]:
    return {
        "sent_at": NOW,
        "version": "1.4.2" if number % 5 else "1.4.1",
        "next_seq": 4_000 + number,
        "backlog_events": 40 if number % 50 == 1 else 0,
        "backlog_bytes": 0,
        "lost_events": 0,
        "collectors": [
            {
                "name": name,
                "state": "unsupported" if name == "mail" and number % 25 == 2 else "running",
                "observed": number * 3,
                "restarts": 0,
                "dropped": {},
                "detail": "what it reads, and by which of the ways that there are on this machine",
                "days_watched": list(range(TODAY - 13, TODAY + 1)),
            }
            for name in _COLLECTORS
        ],
        "cpu_seconds": 812.5,
        "memory_bytes": 48_000_000,
    }


def _leak(database: Database, number: int, events: int) -> int:
    key = enrolled_agent(database)
    files = [copied_file(each, size=(each + 1) * 1_000) for each in range(events)]
    for start in range(0, events, _BLOCK):
        part = files[start : start + _BLOCK]
        known = [(event.time, known_of(start + index)) for index, event in enumerate(part)]
        store_block(database, pack(key, start, part), list(known))
    with database.begin() as connection:
        # There is one alert a person and family.
        other = update(alerts).where(alerts.c.subject == LEAVER, alerts.c.family == "removable_storage_copy")
        connection.execute(other.values(family="own_copies"))
    open_alert(database, events=events, subject=LEAVER, alert_id=number, score=100)
    return number


def _few_days(people: int, dice: random.Random) -> Iterator[dict[str, Any]]:
    busy = int(BUSY.removeprefix("person:E"))
    for number in range(people):
        if number != busy:
            for channel in QUEUE_CHANNELS[:2]:
                for day in (TODAY - number % 45, TODAY - 60):
                    yield channel_day(f"person:E{number:05}", channel, day, dice)


def _policies(database: Database, people: int, dice: random.Random) -> str:
    """Those that are shipped; each person was hit by four of them."""
    found = shipped_policies(database)
    insert_all(
        database,
        rule_days,
        (
            rule_day(f"person:E{number:05}", policy.rule_id, TODAY - dice.randrange(30), policy.family)
            for number in range(people)
            for policy in dice.sample(found, 4)
        ),
    )
    return found[0].rule_id


def _cases(database: Database, count: int) -> int:
    """The first one has 400 alerts and 200 notes, the others ten alerts each."""
    actor = "user:analy.one"
    with database.read() as connection:
        free = list(
            connection.execute(
                select(alerts.c.id)
                .where(alerts.c.merged_into.is_(None))
                .order_by(alerts.c.id)
                .limit(count // 4)
            ).scalars()
        )
    with database.begin() as connection:
        large, rest = free[:400], free[400:]
        first = open_or_join_case(connection, large, actor=actor, at=NOW, title="Drawings that went out").case
        for number in range(200):
            add_note(connection, first, f"Asked the manager, call {number}", actor=actor, at=NOW + number)
        for number in range(min(CASES - 1, len(rest) // 10)):
            part = rest[number * 10 : number * 10 + 10]
            open_or_join_case(connection, part, actor=actor, at=NOW - number, title=f"Looked into, {number}")
    return first


def _trail(database: Database, people: int) -> None:
    actors = ("user:analy.one", "user:admin.one", "cli:root")
    acts = ("alert.close", "alert.view", "people.change", "policy.publish", "session.begin")
    for start in range(0, TRAIL_ROWS, ROWS):
        with database.begin() as connection:
            for number in range(start, min(start + ROWS, TRAIL_ROWS)):
                act = acts[number % len(acts)]
                named = {"alert": f"alert:{number}", "people": f"person:E{number % people:05}"}
                audit.append(
                    connection,
                    at=NOW - (TRAIL_ROWS - number) * 1000,
                    actor=actors[number % len(actors)],
                    action=act,
                    object=named.get(act.partition(".")[0], f"user:number {number % 40}"),
                    reason=f"Zhanna Quillfeather{number % people} asked for it" if number % 4 == 0 else None,
                    detail={"before": "open", "after": "closed", "of": number % 90},
                )
