"""The queue of alerts: the list, the panel beside it, what changed, one at a time, and saved views."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from markupsafe import Markup
from starlette.responses import Response

from server.accounts.users import list_users
from server.accounts.views_recorded import note_view
from server.alerts.queue.filters import Cursor, QueueFilter, read_cursor, read_filter
from server.alerts.queue.reading import COUNTED_MAX, PAGE_ROWS
from server.alerts.queue.saved import ViewRefused, delete_view, save_view
from server.alerts.queue.views import QueueRowView
from server.alerts.severity import Severity
from server.api.errors import ApiError
from server.console.alert_shown import summary_values
from server.console.cases_shown import case_choices
from server.console.channel_words import ORDER, channel_name
from server.console.ingest_watch import IngestWatch
from server.console.page import Ask, Console, Page
from server.console.queue_list import QueuePage, read_around, read_changes, read_page
from server.console.queue_words import (
    leaver_words,
    severity_word,
    standing_word,
    title_words,
    verdict_word,
)
from server.people.roles import Right, Role

SEVEN_DAYS: Final = 7
"""Today and the six days before."""


class Shown(msgspec.Struct, frozen=True):
    """A row as a page has it."""

    alert: int
    stamp: str


def queue(console: Console, ask: Ask) -> Response:
    """GET /alerts: the page, or its list alone where a part is asked for."""
    wanted = read_filter(ask.query)
    after = read_cursor(ask.query.get("after", ""))
    values = _list_values(console, ask, wanted, after)
    if ask.fragment:
        return ask.fragment_of("queue/_list.html", **values)
    around = read_around(console, ask)
    with console.database.read() as connection:
        people = [user.name for user in list_users(connection) if user.role is Role.ANALYST]
    text = ask.text
    return ask.page(
        "queue/page.html",
        **values,
        around=around,
        analysts=people,
        channels=[(channel, channel_name(channel, text)) for channel in ORDER],
        severities=[(each.value, severity_word(each, text)) for each in Severity],
        built_in=_built_in(ask),
        case_choices=case_choices(console),
    )


def _built_in(ask: Ask) -> list[tuple[str, str]]:
    """Views that everybody has: name and query."""
    first = datetime.fromtimestamp(ask.now / 1000, ask.zone).date() - timedelta(days=SEVEN_DAYS - 1)
    return [
        (ask.text("Mine"), QueueFilter(owner="me").query()),
        (ask.text("Following"), QueueFilter(following=True).query()),
        (ask.text("Unassigned critical"), QueueFilter(owner="none", severity=(Severity.CRITICAL,)).query()),
        (ask.text("Leavers, last 7 days"), QueueFilter(leavers=True, since=first).query()),
    ]


def _list_values(console: Console, ask: Ask, wanted: QueueFilter, after: Cursor | None) -> dict[str, Any]:
    ingest = console.made(IngestWatch).now()
    return {
        "page": read_page(console, ask, wanted, after, ingest),
        "filter": wanted,
        "after": after,
        "counted_max": COUNTED_MAX,
        "ingest": ingest,
        **_words(ask),
    }


def _words(ask: Ask) -> dict[str, Any]:
    text = ask.text
    return {
        "title_of": lambda row: title_words(row.title, text),
        "severity_of": lambda row: severity_word(row.severity, text),
        "standing_of": lambda row: standing_word(row, text),
        "verdict_of": lambda row: verdict_word(row.verdict, text),
        "leaver_of": lambda row: leaver_words(row.status, row.days_to_last_day, text),
        "channel_of": lambda channel: channel_name(channel, text),
    }


class ChangedRow(msgspec.Struct, frozen=True):
    """`html` None: the alert is gone."""

    alert: int
    html: str | None


class Changed(msgspec.Struct, frozen=True):
    """What a page that is open has to change. `fresh`: new ones above its end; `count`: the words for all;
    `notice`: what is said above the list where it may not be complete."""

    mark: str
    rows: list[ChangedRow]
    fresh: int
    fresh_words: str
    count: str
    notice: str


def changes(console: Console, ask: Ask) -> Response:
    """GET /alerts/changes?rows=ID.STAMP,…&until=CURSOR and the page's filters."""
    shown = _shown(ask.query.get("rows", ""))
    until = read_cursor(ask.query.get("until", ""))
    ingest = console.made(IngestWatch).now()
    numbers = [each.alert for each in shown]
    found = read_changes(console, ask, read_filter(ask.query), numbers, until, ingest)
    rows = []
    for each in shown:
        row = found.rows.get(each.alert)
        if row is None:
            rows.append(ChangedRow(each.alert, None))
        elif row.stamp != each.stamp:
            rows.append(ChangedRow(each.alert, _row_html(ask, row)))
    fresh = ask.text("{n} new ↑|{n} new ↑", n=found.fresh)
    notice = _html(ask, "queue/_ingest.html", {"ingest": ingest})
    return ask.json(
        Changed(found.mark, rows, found.fresh, fresh, count_words(ask, found.total), notice.strip())
    )


def _row_html(ask: Ask, row: QueueRowView) -> str:
    return _html(ask, "queue/_row.html", {"row": row, **_words(ask)})


def _html(ask: Ask, template: str, values: dict[str, Any]) -> str:
    return bytes(ask.fragment_of(template, **values).body).decode()


def count_words(ask: Ask, total: int) -> str:
    if total > COUNTED_MAX:
        return ask.text("{n}+ alerts", n=f"{COUNTED_MAX:,}")
    return ask.text("{n} alert|{n} alerts", n=total)


def _shown(text: str) -> list[Shown]:
    """Raises ApiError(400)."""
    found = []
    for part in filter(None, text.split(",")):
        number, _, stamp = part.partition(".")
        if not (number.isascii() and number.isdigit() and len(number) < 19) or not stamp.isalnum():
            raise ApiError(400, "bad_query", "query: rows are alerts and stamps")
        found.append(Shown(int(number), stamp))
    if len(found) > 2 * PAGE_ROWS:
        raise ApiError(400, "bad_query", f"query: at most {2 * PAGE_ROWS} rows")
    return found


def panel(console: Console, ask: Ask) -> Response:
    """GET /alerts/{id}/panel: the alert's page, shorter."""
    number: int = ask.path["id"]
    values = summary_values(console, ask, number)
    note_view(console, ask, f"alert:{number}")
    return ask.fragment_of("alerts/_summary.html", **values)


def review(console: Console, ask: Ask) -> Response:
    """GET /alerts/review: the worst alert that is open, behind a place; `done` of this sitting are told."""
    wanted = read_filter(ask.query)
    wanted = msgspec.structs.replace(wanted, status="open", sort="score")
    after = read_cursor(ask.query.get("after", ""))
    values = _list_values(console, ask, wanted, after)
    page: QueuePage = values["page"]
    row = page.rows[0] if page.rows else None
    values |= {
        "row": row,
        "here_after": None if row is None else Cursor(row.part_score or row.score, row.last_time, row.id),
    }
    if row is not None:
        note_view(console, ask, f"alert:{row.id}")
        values["summary"] = Markup(_html(ask, "alerts/_summary.html", summary_values(console, ask, row.id)))
    if ask.fragment:
        return ask.fragment_of("queue/_review.html", **values)
    with console.database.read() as connection:
        people = [user.name for user in list_users(connection) if user.role is Role.ANALYST]
    return ask.page("queue/review.html", analysts=people, case_choices=case_choices(console), **values)


def keep_view(console: Console, ask: Ask) -> Response:
    """POST /alerts/views: the filters of the page, by a name."""
    wanted = read_filter(ask.form)
    try:
        with console.database.begin() as connection:
            view = save_view(
                connection,
                ask.viewer.user,
                ask.form.get("name", ""),
                wanted,
                actor=ask.viewer.actor,
                at=ask.now,
            )
    except ViewRefused as error:
        raise ApiError(400, "view_refused", str(error)) from None
    return ask.redirect(f"/alerts?{view.query}" if view.query else "/alerts")


def drop_view(console: Console, ask: Ask) -> Response:
    """POST /alerts/views/{id}/delete"""
    with console.database.begin() as connection:
        gone = delete_view(connection, ask.viewer.user, ask.path["id"], actor=ask.viewer.actor, at=ask.now)
    if not gone:
        raise ApiError(404, "not_found", "there is no such view")
    return ask.redirect("/alerts")


PAGES = [
    Page("GET", "/alerts", Right.SEE_ALERTS, queue),
    Page("GET", "/alerts/changes", Right.SEE_ALERTS, changes),
    Page("GET", "/alerts/review", Right.SEE_ALERTS, review),
    Page("GET", "/alerts/{id:int}/panel", Right.SEE_ALERTS, panel),
    Page("POST", "/alerts/views", Right.SEE_ALERTS, keep_view),
    Page("POST", "/alerts/views/{id:int}/delete", Right.SEE_ALERTS, drop_view),
]
