"""A company whose queue is full: people from an HR file, some of them leaving, and alerts about them as the
pipeline stores them, deterministic."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, insert

from server.alerts.queue.rows import queue_row
from server.people.hr_import import ImportOptions, import_people
from server.people.pseudonyms import give_pseudonyms, person_subject
from server.store.database import Database
from server.store.tables import alert_days, alert_rows, alerts

NOW: Final = 1_795_305_600_000  # 2026-11-22T00:00:00Z
DAY_MS: Final = 86_400_000
CHANNELS: Final = ("removable_storage", "uploads", "mail", "printing", "postgresql")
FAMILIES: Final = {
    "removable_storage": "removable_storage_copy",
    "uploads": "upload",
    "mail": "outbound_mail",
    "printing": "printing",
    "postgresql": "database_export",
}
DONE: Final = {
    "removable_storage": ("copied to removable storage", "复制到移动存储"),
    "uploads": ("sent out", "向外发送"),
    "mail": ("mailed", "以邮件发送"),
    "printing": ("printed", "打印"),
    "postgresql": ("read from databases", "从数据库读取"),
}
DEPARTMENTS: Final = ("Sales", "R&D", "Support", "Platform", "Legal", "Finance")
SECRET_NAMES: Final = ("Zhanna", "Quillfeather")
"""First and last name of everybody, with a number."""
_AT_ONCE: Final = 1000


def hr_file(people: int) -> bytes:
    """A tenth of them leaves within four weeks, a twentieth left."""
    lines = ["id,name,accounts,department,manager,time zone,notice date,last working day"]
    today = datetime.fromtimestamp(NOW / 1000, UTC).date()
    for number in range(people):
        notice = last = ""
        if number % 10 == 0:
            notice, last = f"{today - timedelta(days=10)}", f"{today + timedelta(days=1 + number % 28)}"
        elif number % 20 == 1:
            notice, last = f"{today - timedelta(days=40)}", f"{today - timedelta(days=3 + number % 9)}"
        first, family = SECRET_NAMES
        lines.append(
            f"E{number:05},{first} {family}{number},acct{number:05}x,{DEPARTMENTS[number % 6]},,UTC,"
            f"{notice},{last}"
        )
    return "\n".join(lines).encode()


def full_queue(database: Database, *, count: int, people: int, seed: int = 8) -> None:
    """`count` open alerts about `people`, the last one now."""
    with database.begin() as connection:
        report = import_people(
            connection, hr_file(people), actor="cli:hr", at=NOW, options=ImportOptions(expect_leavers=people)
        )
        assert report.applied, report.stopped
    with database.begin() as connection:
        give_pseudonyms(connection, [person_subject(f"E{number:05}") for number in range(people)])
    rows = list(_alerts(count, people, seed))
    for start in range(0, count, _AT_ONCE):
        with database.begin() as connection:
            _write(connection, rows[start : start + _AT_ONCE])


def _write(connection: Connection, rows: list[dict[str, Any]]) -> None:
    connection.execute(insert(alerts), rows)
    kept, days = [], []
    for row in rows:
        facts = row["facts"]
        made = queue_row(facts, row["sentence"], facts["channels"])
        amount = facts["copy" if "copy" in facts else "act"]
        kept.append(
            {
                "alert": row["id"],
                "channels": made.channels,
                "rules": made.rules,
                "words": made.words,
                "files": amount.get("files", amount.get("items")),
                "bytes": amount["bytes"],
            }
        )
        days += [
            {"alert": row["id"], "channel": channel, "day": row["last_time"] // DAY_MS, "whole": True}
            for channel in facts["channels"]
        ]
    connection.execute(insert(alert_rows), kept)
    connection.execute(insert(alert_days), days)


def _alerts(count: int, people: int, seed: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(seed)
    used: set[tuple[int, str]] = set()
    for number in range(1, count + 1):
        while True:
            person, channel = chance.randrange(people), chance.choice(CHANNELS)
            family = f"{FAMILIES[channel]}"
            if (person, family) in used:
                # One alert a person and family is not closed: rules of people's own make further families.
                family = f"own_{number}"
            if (person, family) not in used:
                used.add((person, family))
                break
        files, size = chance.randrange(1, 400), chance.randrange(10_000, 4_000_000_000)
        score = min(100, 50 + int(chance.expovariate(1 / 14)))
        done, done_zh = DONE[channel]
        rule = f"{chance.randrange(60):08x}-5d52-4a0e-8a3d-4a1f0e6c1a11"
        last = NOW - chance.randrange(60 * DAY_MS) if number > 1 else NOW - 240_000
        points = score // 2
        amount = (
            {"copy": {"bytes": size, "files": files}}
            if channel == "removable_storage"
            else {"act": {"channel": channel, "items": files, "bytes": size}}
        )
        yield {
            "id": number,
            "subject": person_subject(f"E{person:05}"),
            "family": family,
            "status": "open",
            "by_rules": True,
            "score": score,
            "traits": [],
            "sentence": {
                "en": f"{files} files ({size // 1_000_000} MB) {done}, {score // 3}× the usual",
                "zh": f"{done_zh} {files} 个文件（{size // 1_000_000} MB），为平常的 {score // 3} 倍",
            },
            "shares": [
                {"source": "anomaly", "points": score - points, "share": 0.5},
                {"source": rule, "points": points, "share": 0.5},
            ],
            "facts": {
                "day": last // DAY_MS,
                "days": [last // DAY_MS],
                "channels": [channel],
                "rules": [
                    {
                        "id": rule,
                        "title": f"Rule {rule[:8]} of our own",
                        "level": "high",
                        "days": 1,
                        "hits": files,
                    }
                ],
                "strange": [channel],
                "explanation": {"filler": "x" * 1200},
                **amount,
            },
            "policy_version": "p1",
            "first_time": last - 3_600_000,
            "last_time": last,
            "events": files,
            "opened_at": last,
            "updated_at": last,
        }
