"""Rows of the queue as analysts see them: pseudonyms, what was done, how much, how it stands. No names.

What people typed and what names databases goes through the mask that the caller gives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from analytics.risk import ANOMALY_SOURCE, SLOW_SOURCE
from event_schema.leaver_fields import PersonStatus
from event_schema.struct_base import Milliseconds
from server.alerts.queue.reading import Found, Part, StoredRow
from server.alerts.queue.rows import shipped_ids
from server.alerts.severity import Severity, severity_of
from server.people.directory import Directory
from server.people.pseudonyms import candidate
from server.triage.following import Followed

Standing = Literal["new", "in_work", "snoozed", "closed", "merged"]
Mask = Callable[[Sequence[str]], Sequence[str]]
"""Texts without the names of anybody whom the directory knows."""
_STAMP: Final = 10


class Title(msgspec.Struct, frozen=True):
    """What an alert is called. `rule`: by the title of the rule that weighs most, `family` otherwise."""

    words: str
    kind: Literal["shipped", "own", "family"]
    """A rule of Leaver's own, one that people wrote (masked), or a policy family."""


class QueueRowView(msgspec.Struct, frozen=True):
    """One row. `stamp` changes whenever anything else of it does."""

    id: int
    score: int
    severity: Severity
    title: Title
    sentence: dict[str, str]
    """By language."""
    pseudonym: str
    department: str | None
    status: PersonStatus
    """The person's, today, as `days_to_last_day`."""
    days_to_last_day: int | None
    channels: tuple[str, ...]
    files: int | None
    bytes: int | None
    events: int
    last_time: Milliseconds
    opened_at: Milliseconds
    standing: Standing
    verdict: str | None
    owner: str | None
    closed_by: str | None
    closed_at: Milliseconds | None
    snoozed_until: Milliseconds | None
    merged_into: int | None
    parts: int
    """Alerts that were merged into it."""
    part_score: int | None
    """The highest of these, where it is above the alert's own."""
    case: int | None
    seen: str
    """What whoever changes it says that they saw: VERSION:EVENTS:SCORE:LAST, with its parts."""
    version: int
    """Of what people did with it: whoever changes it says which they saw."""
    followed: Followed = ""
    """By the viewer."""
    stamp: str = ""


class Sight(msgspec.Struct, frozen=True):
    """What rows are made with. `pseudonyms`: by subject. `parts`, `cases`, `followed`: by alert."""

    directory: Directory
    key: bytes
    pseudonyms: Mapping[str, str]
    parts: Mapping[int, Sequence[Part]]
    asleep: frozenset[int]
    cases: Mapping[int, int]
    mask: Mask
    now: int
    followed: Mapping[int, Followed] = {}


def row_views(found: Sequence[Found], stored: Mapping[int, StoredRow], sight: Sight) -> list[QueueRowView]:
    """In the order found; alerts that are gone by now are left out."""
    rows = [stored[each.alert] for each in found if each.alert in stored]
    titles = {row.id: _title(row) for row in rows}
    # One net for all that may name somebody: making it is what costs.
    risky = [titles[row.id].words for row in rows if titles[row.id].kind == "own"]
    risky += [words for row in rows if "steps" in row.facts for words in row.sentence.values()]
    wanted = list(dict.fromkeys(risky))
    masked = dict(zip(wanted, sight.mask(wanted), strict=True)) if wanted else {}
    return [_view(row, titles[row.id], masked, sight) for row in rows]


def _view(row: StoredRow, title: Title, masked: Mapping[str, str], sight: Sight) -> QueueRowView:
    person = None
    if row.subject.startswith("person:"):
        person = sight.directory.person(row.subject.removeprefix("person:"))
    status, days = sight.directory.status_at(person, sight.now)
    parts = sight.parts.get(row.id, ())
    highest = max((part.score for part in parts), default=0)
    risen = highest if highest > row.score else None
    sentence = row.sentence
    if "steps" in row.facts:
        sentence = {language: masked[words] for language, words in sentence.items()}
    if title.kind == "own":
        title = msgspec.structs.replace(title, words=masked[title.words])
    view = QueueRowView(
        id=row.id,
        score=row.score,
        severity=severity_of(risen or row.score),
        title=title,
        sentence=sentence,
        pseudonym=sight.pseudonyms.get(row.subject) or candidate(sight.key, row.subject),
        department=person.department if person else None,
        status=status,
        days_to_last_day=days,
        channels=tuple(filter(None, (row.channels or "").split(","))),
        files=row.files,
        bytes=row.bytes,
        events=row.events,
        last_time=max(row.last_time, *(part.last_time for part in parts), 0),
        opened_at=row.opened_at,
        standing=_standing(row, sight),
        verdict=row.verdict if row.status == "closed" else None,
        owner=row.owner,
        closed_by=row.closed_by if row.status == "closed" else None,
        closed_at=row.closed_at if row.status == "closed" else None,
        snoozed_until=row.snoozed_until if row.id in sight.asleep else None,
        merged_into=row.merged_into,
        parts=len(parts),
        part_score=risen,
        case=sight.cases.get(row.id),
        seen=_seen(row, parts),
        version=row.triage_version,
        followed=sight.followed.get(row.id, ""),
    )
    digest = hashlib.sha256(msgspec.json.encode(view)).hexdigest()
    return msgspec.structs.replace(view, stamp=digest[:_STAMP])


def _seen(row: StoredRow, parts: Sequence[Part]) -> str:
    every: tuple[StoredRow | Part, ...] = (row, *parts)
    events, score = sum(each.events for each in every), max(each.score for each in every)
    return f"{row.triage_version}:{events}:{score}:{max(each.last_time for each in every)}"


def _standing(row: StoredRow, sight: Sight) -> Standing:
    if row.status == "closed":
        return "closed"
    if row.merged_into is not None:
        return "merged"
    if row.id in sight.asleep:
        return "snoozed"
    return "new" if row.owner is None else "in_work"


def _title(row: StoredRow) -> Title:
    titles = {str(rule["id"]): str(rule["title"]) for rule in row.facts.get("rules", ())}
    by_rules = [each for each in row.shares if each["source"] not in (ANOMALY_SOURCE, SLOW_SOURCE)]
    lead = max(by_rules, key=lambda each: float(each["share"]), default=None)
    if lead is None or lead["source"] not in titles:
        return Title(row.family, "family")
    source = str(lead["source"])
    return Title(titles[source], "shipped" if source in shipped_ids() else "own")
