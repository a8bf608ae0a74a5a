"""Reads a page of the queue: 100 rows in the order asked for, and how many there are, up to a thousand.

Everything that is filtered by lies in two narrow indexes and in `alert_rows`; the alerts themselves are read
for the rows of the page alone. A merged alert is part of its main one, which is found by
what the part is found by; where the part's score is higher or its last act later, the main alert stands where
the part would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, and_, func, or_, select, tuple_
from sqlalchemy.orm import aliased

from server.alerts.queue.filters import ME, NONE, Cursor, QueueFilter
from server.alerts.queue.searching import Agents, Searched, SearchedWord
from server.alerts.severity import Severity, scores_of, severity_of
from server.store.many_values import any_of
from server.store.tables import alert_days, alert_rows, alerts, subject_events
from server.triage.following import is_followed
from server.triage.sleep import asleep

PAGE_ROWS: Final = 100
COUNTED_MAX: Final = 1000
"""More are "1,000+"."""
RISEN_MAX: Final = 1000
_NUMBER: Final = alerts.c.id + 0
"""Not found by an index: SQLite would look up each alert that may fit, in the table, and sort them all. As it
is, it goes through the queue's index in order, and stops when the page is full."""


class Asked(msgspec.Struct, frozen=True):
    """A filter, and who looks from where. `leavers`: subjects of people who are leaving or left, asked for
    only where the filter wants these."""

    filter: QueueFilter
    user: str
    zone: ZoneInfo
    now: int
    searched: Searched
    leavers: Callable[[], Sequence[str]]
    actor: str = ""
    """The viewer as in the audit trail: "user:omar"."""


class Found(msgspec.Struct, frozen=True):
    """An alert's place. `score`: its own, or that of a part which is higher."""

    alert: int
    score: int
    last_time: int

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.score, self.last_time, self.alert)


class _Lifted(NamedTuple):
    """What a main alert stands for with its parts."""

    score: int
    last_time: int


class Places(msgspec.Struct, frozen=True):
    """`total`: at most COUNTED_MAX + 1. `next`: where the next page begins after."""

    rows: tuple[Found, ...]
    total: int
    next: Cursor | None

    @property
    def is_counted(self) -> bool:
        return self.total <= COUNTED_MAX


def read_places(
    connection: Connection, asked: Asked, *, after: Cursor | None = None, limit: int = PAGE_ROWS
) -> Places:
    """The page behind `after`, and the number of all that the filter finds."""
    risen = _risen(connection)
    first = _found(connection, asked, risen, None, COUNTED_MAX + 1)
    found = first if after is None else _found(connection, asked, risen, after, limit + 1)
    rows = tuple(found[:limit])
    return Places(rows, len(first), rows[-1].cursor if len(found) > limit else None)


def read_above(connection: Connection, asked: Asked, until: Cursor | None) -> list[Found]:
    """What stands before the end of a page that somebody has before them; None: it was the last page."""
    found = _found(connection, asked, _risen(connection), None, 2 * PAGE_ROWS)
    return [each for each in found if until is None or _key(each, asked) >= _cursor_key(until, asked)]


def _found(
    connection: Connection, asked: Asked, risen: dict[int, _Lifted], after: Cursor | None, limit: int
) -> list[Found]:
    at = alerts.c
    query = _where(select(at.id, at.score, at.last_time), asked)
    if risen:
        query = query.where(at.id.not_in(risen))
    columns = (at.score, at.last_time, at.id) if asked.filter.sort == "score" else (at.last_time, at.id)
    if after is not None:
        query = query.where(tuple_(*columns) < tuple_(*_cursor_key(after, asked)))
    query = query.order_by(*(column.desc() for column in columns)).limit(limit)
    found = [Found(row.id, row.score, row.last_time) for row in connection.execute(query)]
    if not risen:
        return found
    moved = _where(select(at.id), asked, among=list(risen)).where(at.id.in_(risen))
    wanted = asked.filter.severity
    for number in connection.execute(moved).scalars():
        each = Found(number, *risen[number])
        if wanted and severity_of(each.score) not in wanted:
            continue
        if after is None or _key(each, asked) < _cursor_key(after, asked):
            found.append(each)
    return sorted(found, key=lambda each: _key(each, asked), reverse=True)[:limit]


def _key(found: Found, asked: Asked) -> tuple[int, ...]:
    return _cursor_key(found.cursor, asked)


def _cursor_key(cursor: Cursor, asked: Asked) -> tuple[int, ...]:
    if asked.filter.sort == "score":
        return cursor.score, cursor.last_time, cursor.alert
    return cursor.last_time, cursor.alert


def _risen(connection: Connection) -> dict[int, _Lifted]:
    """Main alerts with a part of a higher score or a later act, the highest first."""
    part = aliased(alerts)
    score, last = func.max(part.c.score), func.max(part.c.last_time)
    query = (
        select(alerts.c.id, alerts.c.score.label("own"), alerts.c.last_time, score, last)
        .join(part, part.c.merged_into == alerts.c.id)
        # Said in words of its index: PostgreSQL takes all alerts for parts else, and reads every one.
        .where(part.c.merged_into.is_not(None))
        .where(or_(part.c.score > alerts.c.score, part.c.last_time > alerts.c.last_time))
        .where(part.c.status == "open")
        .group_by(alerts.c.id, alerts.c.score, alerts.c.last_time)
        .order_by(score.desc(), alerts.c.id)
        .limit(RISEN_MAX)
    )
    rows = connection.execute(query)
    return {id: _Lifted(max(own, score), max(own_last, last)) for id, own, own_last, score, last in rows}


def _where(query: Select[Any], asked: Asked, *, among: Sequence[int] | None = None) -> Select[Any]:
    """`among`: these alone are asked about, and their severity is not told by their own score."""
    wanted = asked.filter
    conditions = [
        alerts.c.merged_into.is_(None),
        _status(asked),
        *_of_alerts(asked),
        *_of_rows(wanted, among),
    ]
    if wanted.severity and among is None:
        conditions.append(or_(*(_severity(each) for each in wanted.severity)))
    conditions += [_word(word, among) for word in asked.searched.words]
    return query.where(*conditions)


def _of_alerts(asked: Asked) -> Iterator[ColumnElement[bool]]:
    at, wanted = alerts.c, asked.filter
    if wanted.since is not None or wanted.until is not None:
        begin, end = wanted.between(asked.zone)
        yield _own_or_of_part(lambda table: table.c.last_time.between(begin, end))
    if wanted.owner == NONE:
        yield at.owner.is_(None)
    elif wanted.owner:
        yield at.owner == (asked.user if wanted.owner == ME else wanted.owner)
    if wanted.leavers:
        leavers = any_of(asked.leavers())
        yield _own_or_of_part(lambda table: table.c.subject.in_(leavers))
    if wanted.following:
        yield _own_or_of_part(lambda table: is_followed(asked.actor, table))
    if wanted.agent:
        yield _own_or_of_part(lambda table: _of_agents(asked.searched.agents, table))


def _of_rows(wanted: QueueFilter, among: Sequence[int] | None) -> Iterator[ColumnElement[bool]]:
    row = alert_rows.c
    kept: list[ColumnElement[bool]] = []
    if wanted.channel:
        kept.append(row.channels.contains(f",{wanted.channel},", autoescape=True))
    if wanted.policy:
        kept.append(row.rules.contains(f",{wanted.policy},", autoescape=True))
    if kept:
        yield _by_rows(and_(*kept), among)


def _own_or_of_part(told: Callable[[FromClause], ColumnElement[bool]]) -> ColumnElement[bool]:
    part = alerts.alias("part")
    mains = select(part.c.merged_into).where(part.c.merged_into.is_not(None), told(part))
    return or_(told(alerts), _NUMBER.in_(mains))


def _by_rows(told: ColumnElement[bool], among: Sequence[int] | None) -> ColumnElement[bool]:
    """Parts are looked up from their side: few are merged."""
    part, row = alerts.alias("part"), alert_rows.c
    mains = (
        select(part.c.merged_into)
        .join(alert_rows, row.alert == part.c.id)
        .where(part.c.merged_into.is_not(None), told)
    )
    own = select(row.alert).where(told)
    if among is not None:
        # Else all rows are read once more for these few.
        own = own.where(row.alert.in_(among))
    return or_(alerts.c.id.in_(own), _NUMBER.in_(mains))


def _word(word: SearchedWord, among: Sequence[int] | None) -> ColumnElement[bool]:
    """Each by itself: one may be a pseudonym, another one stand in the sentence."""
    row = alert_rows.c
    told = [row.words.contains(word.text, autoescape=True)]
    told += [row.rules.contains(f",{rule},", autoescape=True) for rule in word.rules]
    ways = [_by_rows(or_(*told), among)]
    if word.subjects:
        ways.append(_own_or_of_part(lambda table: table.c.subject.in_(any_of(word.subjects))))
    if word.alert is not None:
        ways.append(_own_or_of_part(lambda table: table.c.id == word.alert))
    if word.agents.names:
        ways.append(_own_or_of_part(lambda table: _of_agents(word.agents, table)))
    return or_(*ways)


def _status(asked: Asked) -> ColumnElement[bool]:
    at = alerts.c
    match asked.filter.status:
        case "open":
            # Few sleep: these are looked up, not every alert's four columns.
            return and_(at.status == "open", at.id.not_in(_asleep(asked.now)))
        case "snoozed":
            return at.id.in_(_asleep(asked.now))
        case "closed":
            return at.status == "closed"
        case _:
            return at.status.in_(("open", "closed"))


def _asleep(now: int) -> Select[Any]:
    return select(alerts.c.id).where(alerts.c.snoozed_until > now, alerts.c.status == "open", asleep(now))


def read_asleep(connection: Connection, numbers: Sequence[int], now: int) -> frozenset[int]:
    """Those of them that sleep."""
    return frozenset(connection.execute(_asleep(now).where(alerts.c.id.in_(numbers))).scalars())


def _severity(severity: Severity) -> ColumnElement[bool]:
    return alerts.c.score.between(*scores_of(severity))


def _of_agents(agents: Agents, table: FromClause = alerts) -> ColumnElement[bool]:
    """Whose evidence came from one of these."""
    days, seen = alert_days.c, subject_events.c
    evidence = (
        select(days.alert)
        .select_from(alert_days)
        .join(
            subject_events,
            (seen.subject == table.c.subject) & (seen.channel == days.channel) & (seen.day == days.day),
        )
        .where(days.alert == table.c.id, seen.agent.in_(agents.names))
        .correlate(table)
    )
    return and_(table.c.subject.in_(any_of(agents.subjects)), evidence.exists())


class StoredRow(msgspec.Struct, frozen=True):
    """What of an alert a row is made from."""

    id: int
    subject: str
    family: str
    status: str
    score: int
    sentence: dict[str, str]
    facts: dict[str, Any]
    shares: list[dict[str, Any]]
    events: int
    last_time: int
    opened_at: int
    updated_at: int
    verdict: str | None
    closed_at: int | None
    closed_by: str | None
    owner: str | None
    snoozed_until: int | None
    merged_into: int | None
    triage_version: int
    channels: str | None
    files: int | None
    bytes: int | None


class Part(msgspec.Struct, frozen=True):
    """An alert that was merged into another one."""

    id: int
    score: int
    events: int
    last_time: int


def read_rows(connection: Connection, numbers: Sequence[int]) -> dict[int, StoredRow]:
    """By alert."""
    own = [alerts.c[name] for name in StoredRow.__struct_fields__ if name in alerts.c]
    kept = [alert_rows.c[name] for name in StoredRow.__struct_fields__ if name not in alerts.c]
    query = (
        select(*own, *kept)
        .outerjoin(alert_rows, alert_rows.c.alert == alerts.c.id)
        .where(alerts.c.id.in_(numbers), alerts.c.status.in_(("open", "closed")))
    )
    return {row.id: _stored(row) for row in connection.execute(query)}


def _stored(row: Row[Any]) -> StoredRow:
    return StoredRow(**{str(name): value for name, value in row._mapping.items()})


def read_parts(connection: Connection, numbers: Sequence[int]) -> dict[int, list[Part]]:
    """By main alert, the highest first."""
    at = alerts.c
    query = (
        select(at.merged_into, at.id, at.score, at.events, at.last_time)
        .where(at.merged_into.in_(numbers))
        .order_by(at.score.desc(), at.id)
    )
    found: dict[int, list[Part]] = {}
    for row in connection.execute(query):
        found.setdefault(row.merged_into, []).append(Part(row.id, row.score, row.events, row.last_time))
    return found
