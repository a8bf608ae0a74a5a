"""Reads what the queue's page shows, out of one snapshot of the database."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, time

import msgspec
from sqlalchemy import Connection, select

from server.alerts.queue.filters import Cursor, QueueFilter
from server.alerts.queue.reading import (
    Asked,
    Found,
    Part,
    read_above,
    read_asleep,
    read_parts,
    read_places,
    read_rows,
)
from server.alerts.queue.saved import SavedView, saved_of
from server.alerts.queue.searching import rule_titles, search
from server.alerts.queue.state import BudgetState, Mark, QueueState, read_budget, read_mark, read_state
from server.alerts.queue.views import QueueRowView, Sight, row_views
from server.console.ingest_watch import Ingest
from server.console.known_people import KnownPeople
from server.console.page import Ask, Console
from server.people.pseudonyms import known_pseudonyms
from server.people.text_mask import masked_prose
from server.store.tables import case_alerts
from server.triage.following import read_followed

MARK_CHARACTERS = 16


class QueuePage(msgspec.Struct, frozen=True):
    """One page. `mark`: of the state it was made at. `total`: at most 1,001."""

    rows: list[QueueRowView]
    total: int
    next: Cursor | None
    mark: str
    state: QueueState


class QueueAround(msgspec.Struct, frozen=True):
    """What stands around the list on a whole page. `rules`: (id, title as the viewer may see it, whether
    Leaver ships it)."""

    views: list[SavedView]
    rules: list[tuple[str, str, bool]]
    budget: BudgetState


def read_page(
    console: Console, ask: Ask, wanted: QueueFilter, after: Cursor | None, ingest: Ingest
) -> QueuePage:
    with console.database.read() as connection:
        # First: what changes while the rest is read is told as new, not lost.
        mark = mark_text(read_mark(connection, ask.now), ingest)
        places = read_places(connection, asked_of(console, ask, wanted, connection), after=after)
        rows = views_of(console, ask, connection, places.rows)
        state = read_state(connection, since=day_begins(ask), now=ask.now)
    return QueuePage(rows, places.total, places.next, mark, state)


def read_around(console: Console, ask: Ask) -> QueueAround:
    with console.database.read() as connection:
        views = saved_of(connection, ask.viewer.user)
        budget = read_budget(connection, ask.now)
        titles = rule_titles(connection)
    own = [rule for rule, (_, is_own) in titles.items() if is_own]
    masked = dict(zip(own, masked_prose(console, [titles[rule][0] for rule in own]), strict=True))
    rules = [(rule, masked.get(rule, title), not is_own) for rule, (title, is_own) in titles.items()]
    return QueueAround(views, rules, budget)


def read_some(console: Console, ask: Ask, numbers: Sequence[int]) -> dict[int, QueueRowView]:
    """Rows of these alerts, whatever filter they pass."""
    with console.database.read() as connection:
        found = [Found(number, 0, 0) for number in numbers]
        return {row.id: row for row in views_of(console, ask, connection, found)}


class Changes(msgspec.Struct, frozen=True):
    """`rows`: by alert, as they are now; those that are gone are missing. `fresh`: alerts that the filter
    finds above the end of the page and that are not on it."""

    mark: str
    rows: dict[int, QueueRowView]
    fresh: int
    total: int


def read_changes(
    console: Console,
    ask: Ask,
    wanted: QueueFilter,
    shown: Sequence[int],
    until: Cursor | None,
    ingest: Ingest,
) -> Changes:
    with console.database.read() as connection:
        mark = mark_text(read_mark(connection, ask.now), ingest)
        asked = asked_of(console, ask, wanted, connection)
        above = read_above(connection, asked, until)
        total = read_places(connection, asked, limit=1).total
        rows = views_of(console, ask, connection, [Found(number, 0, 0) for number in shown])
    known = set(shown)
    fresh = sum(each.alert not in known for each in above)
    return Changes(mark, {row.id: row for row in rows}, fresh, total)


def asked_of(console: Console, ask: Ask, wanted: QueueFilter, connection: Connection) -> Asked:
    people = console.made(KnownPeople)

    def own_titles() -> dict[str, str]:
        own = {rule: title for rule, (title, is_own) in rule_titles(connection).items() if is_own}
        return dict(zip(own, masked_prose(console, list(own.values())), strict=True))

    searched = search(connection, wanted, people.key(connection), own_titles)
    return Asked(
        wanted,
        ask.viewer.user,
        ask.zone,
        ask.now,
        searched,
        lambda: people.leaving(connection, ask.now),
        ask.viewer.actor,
    )


def views_of(
    console: Console, ask: Ask, connection: Connection, found: Sequence[Found]
) -> list[QueueRowView]:
    numbers = [each.alert for each in found]
    stored = read_rows(connection, numbers)
    people = console.made(KnownPeople)
    parts: dict[int, list[Part]] = read_parts(connection, numbers)
    sight = Sight(
        directory=people.directory(connection),
        key=people.key(connection),
        pseudonyms=known_pseudonyms(connection, [row.subject for row in stored.values()]),
        parts=parts,
        asleep=read_asleep(connection, numbers, ask.now),
        cases=_cases(connection, numbers),
        mask=lambda texts: masked_prose(console, texts),
        now=ask.now,
        followed=read_followed(connection, numbers, ask.viewer.actor),
    )
    return row_views(found, stored, sight)


def mark_text(mark: Mark, ingest: Ingest) -> str:
    """Of the alerts, and of whether they are all there are. Tells nothing but whether two are the same."""
    return hashlib.sha256(msgspec.json.encode((mark, ingest.mark))).hexdigest()[:MARK_CHARACTERS]


def day_begins(ask: Ask) -> int:
    """Of the viewer's today, ms UTC."""
    local = datetime.fromtimestamp(ask.now / 1000, ask.zone)
    return int(datetime.combine(local.date(), time(), ask.zone).timestamp() * 1000)


def _cases(connection: Connection, numbers: Sequence[int]) -> dict[int, int]:
    at = case_alerts.c
    query = select(at.alert, at.case).where(at.alert.in_(numbers))
    return {row.alert: row.case for row in connection.execute(query)}
