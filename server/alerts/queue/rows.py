"""What the queue shows and searches of an alert, written with it (raising.py): channels, rules, volume,
words.

The words are those of its sentence and of the titles of rules that Leaver ships: none of them names anybody.
A sequence's sentence names databases, and people write the titles of their own rules: these are not in it,
they are found by what the viewer sees of them (searching.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, func, select, update

from policies.rule_file import SHIPPED_RULES
from server.pipeline.subject_state import BORROWED
from server.store.database import Database
from server.store.tables import alert_days, alert_rows, alerts, channel_days
from server.store.upsert import upsert

WORDS_CHARACTERS: Final = 4000
_ID: Final = re.compile(r"^id:\s*['\"]?([0-9a-fA-F-]{36})", re.MULTILINE)
_AT_ONCE: Final = 500


class QueueRow(msgspec.Struct, frozen=True):
    """A row of the table `alert_rows`."""

    channels: str
    rules: str
    files: int
    bytes: int
    words: str


def queue_row(
    facts: Mapping[str, Any],
    sentence: Mapping[str, str],
    channels: Iterable[str],
) -> QueueRow:
    """`channels`: of its evidence. The volume is that of the sentence."""
    total = facts.get("total", {})
    # Of steps alone no day is evidence whole: what the largest of them took.
    steps = max((int(step["bytes"]) for step in facts.get("steps", ())), default=0)
    return QueueRow(
        channels=listed(channel.removesuffix(BORROWED) for channel in channels),
        rules=listed(str(rule["id"]) for rule in facts.get("rules", ())),
        files=int(total.get("files", 0)),
        bytes=int(total["bytes"]) if total.get("days") else steps,
        words=queue_words(facts, sentence),
    )


def queue_words(facts: Mapping[str, Any], sentence: Mapping[str, str]) -> str:
    """What free text finds the alert by."""
    told = [] if "steps" in facts else list(sentence.values())
    told += [str(rule["title"]) for rule in facts.get("rules", ()) if rule["id"] in shipped_ids()]
    return "\n".join(told).casefold()[:WORDS_CHARACTERS]


def listed(words: Iterable[str]) -> str:
    """Sorted, with commas around each: `,mail,uploads,`."""
    known = sorted({word for word in words if word and "," not in word})
    return f",{','.join(known)}," if known else ""


@cache
def shipped_ids() -> frozenset[str]:
    """Of the rules that Leaver ships."""
    found = (_ID.search(path.read_text(encoding="utf-8")) for path in SHIPPED_RULES.rglob("*.yml"))
    return frozenset(each[1] for each in found if each is not None)


def write_rows(connection: Connection, rows: Mapping[int, QueueRow]) -> None:
    """By alert. Inside the transaction that wrote the alerts."""
    upsert(
        connection,
        alert_rows,
        [{"alert": alert} | msgspec.structs.asdict(row) for alert, row in sorted(rows.items())],
    )


def write_words(
    connection: Connection, alert: int, facts: Mapping[str, Any], sentence: Mapping[str, str]
) -> None:
    """Of an alert whose sentence changed."""
    words = queue_words(facts, sentence)
    connection.execute(update(alert_rows).where(alert_rows.c.alert == alert).values(words=words))


def fill_rows(connection: Connection, *, limit: int = _AT_ONCE) -> int:
    """Writes rows of alerts that have none, which an older version raised; returns how many. Needs a write
    transaction."""
    found = _missing(connection, limit)
    ids = [row.id for row in found]
    by_alert: dict[int, list[tuple[str, int, int]]] = {}
    for row in connection.execute(_volume(ids)):
        taken = (row.channel, int(row.files or 0), int(row.bytes or 0))
        by_alert.setdefault(row.alert, []).append(taken)
    rows: dict[int, QueueRow] = {}
    for alert in found:
        places = by_alert.get(alert.id, [])
        made = queue_row(alert.facts, alert.sentence, (channel for channel, _, _ in places))
        files, size = sum(files for _, files, _ in places), sum(size for _, _, size in places)
        rows[alert.id] = msgspec.structs.replace(made, files=files, bytes=size or made.bytes)
    write_rows(connection, rows)
    return len(rows)


def fill_missing_rows(database: Database, *, stopped: Callable[[], bool]) -> int:
    """In short transactions; returns how many."""
    filled = 0
    while not stopped():
        with database.read() as connection:
            if not _missing(connection, 1):
                break
        with database.begin() as connection:
            filled += fill_rows(connection)
    return filled


def _missing(connection: Connection, limit: int) -> Sequence[Any]:
    query = (
        select(alerts.c.id, alerts.c.subject, alerts.c.facts, alerts.c.sentence)
        .outerjoin(alert_rows, alert_rows.c.alert == alerts.c.id)
        .where(alert_rows.c.alert.is_(None))
        .order_by(alerts.c.id)
        .limit(limit)
    )
    return connection.execute(query).all()


def _volume(ids: Sequence[int]) -> Select[Any]:
    """By alert and channel, of the days that are evidence whole and still there."""
    at, kept = alert_days.c, channel_days.c
    same = (kept.subject == alerts.c.subject) & (kept.channel == at.channel) & (kept.day == at.day)
    return (
        select(at.alert, at.channel, func.sum(kept.files).label("files"), func.sum(kept.bytes).label("bytes"))
        .join(alerts, alerts.c.id == at.alert)
        .outerjoin(channel_days, same & at.whole)
        .where(at.alert.in_(ids))
        .group_by(at.alert, at.channel)
    )
