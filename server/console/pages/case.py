"""One case: GET /cases/{id}, and what is done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection
from starlette.responses import Response

from server.accounts.views_recorded import note_view
from server.api.errors import ApiError
from server.cases import changing
from server.cases.days import CaseDay, case_days
from server.cases.reading import PAGE_ROWS
from server.cases.records import CaseRefused, Outcome, UnknownCase, Verb
from server.console.case_packs import Packs
from server.console.cases_shown import no_case, prose, refusal, revealed_to, whole_case
from server.console.channel_words import ORDER, channel_name
from server.console.charts.lanes import Lane, LaneDay, lanes
from server.console.ingest_watch import IngestWatch
from server.console.numbers_asked import alert_numbers, whole_number
from server.console.page import Ask, Console, Page
from server.console.triage_told import owner_of
from server.evidence_pack.custody import custody_of_case
from server.people.roles import Right

TYPED_BYTES: Final = 256 << 10
CUSTODY_ROWS: Final = 100

Do = Callable[[Connection, int, str, int], object]
"""(connection, case, actor, at)."""


def case(console: Console, ask: Ask) -> Response:
    """GET /cases/{id}"""
    number = ask.path["id"]
    found = whole_case(console, ask, number)
    note_view(console, ask, f"case:{number}")
    with console.database.read() as connection:
        days = case_days(connection, number)
        custody, more = custody_of_case(
            connection, number, [alert.id for alert in found.alerts], limit=CUSTODY_ROWS
        )
    typed = [row.reason for row in custody if row.reason is not None]
    reasons = iter(prose(console, typed, revealed_to(console, ask)))
    first, before = _rows_from(ask, "alerts"), _rows_from(ask, "history")
    packs = console.made(Packs)
    return ask.page(
        "cases/one.html",
        ingest=console.made(IngestWatch).now(),
        case=found.case,
        alerts=found.alerts[first : first + PAGE_ROWS],
        alerts_first=first,
        history=found.history[::-1][before : before + PAGE_ROWS],
        history_before=before,
        history_total=len(found.history),
        page_rows=PAGE_ROWS,
        packs=found.packs,
        case_id=number,
        lanes=_lanes(days, ask) if days else None,
        custody=[(row, None if row.reason is None else next(reasons)) for row in custody],
        custody_more=more,
        progress={pack.id: packs.jobs.progress(pack.id) for pack in found.packs},
        fingerprint=packs.jobs.key.fingerprint,
        outcomes=[each.value for each in Outcome],
        may_unmask=ask.viewer.may(Right.UNMASK) and ask.viewer.token is None,
        mine=ask.viewer.actor,
    )


def note(console: Console, ask: Ask) -> Response:
    """`text`."""
    text = ask.form.get("text", "")
    return _done(
        console, ask, lambda c, case, actor, at: changing.add_note(c, case, text, actor=actor, at=at)
    )


def assign(console: Console, ask: Ask) -> Response:
    """`owner`: me, a user's name, or nothing for nobody; `version` as it was shown."""
    owner, version = owner_of(console, ask, ask.form.get("owner", "")), _version(ask)
    return _done(
        console,
        ask,
        lambda c, case, actor, at: changing.assign(c, case, owner, actor=actor, at=at, version=version),
    )


def rename(console: Console, ask: Ask) -> Response:
    """`title`, `version`."""
    title, version = ask.form.get("title", ""), _version(ask)
    return _done(
        console,
        ask,
        lambda c, case, actor, at: changing.rename(c, case, title, actor=actor, at=at, version=version),
    )


def close(console: Console, ask: Ask) -> Response:
    """`outcome`, `reason`, `version`."""
    reason, version = ask.form.get("reason", ""), _version(ask)
    try:
        outcome = Outcome(ask.form.get("outcome", ""))
    except ValueError:
        raise ApiError(400, "bad_outcome", ask.text("Say what it was")) from None
    return _done(
        console,
        ask,
        lambda c, case, actor, at: changing.close_case(
            c, case, outcome, reason, actor=actor, at=at, version=version
        ),
    )


def reopen(console: Console, ask: Ask) -> Response:
    """`reason`, `version`."""
    reason, version = ask.form.get("reason", ""), _version(ask)
    return _done(
        console,
        ask,
        lambda c, case, actor, at: changing.reopen_case(c, case, reason, actor=actor, at=at, version=version),
    )


def add(console: Console, ask: Ask) -> Response:
    """`alerts`: numbers."""
    numbers = alert_numbers(ask, ask.form.get("alerts", ""))
    return _done(
        console, ask, lambda c, case, actor, at: changing.add_alerts(c, case, numbers, actor=actor, at=at)
    )


def remove(console: Console, ask: Ask) -> Response:
    """`alerts`: numbers."""
    numbers = alert_numbers(ask, ask.form.get("alerts", ""))
    return _done(
        console, ask, lambda c, case, actor, at: changing.remove_alerts(c, case, numbers, actor=actor, at=at)
    )


def _done(console: Console, ask: Ask, do: Do) -> Response:
    number = ask.path["id"]
    try:
        with console.database.begin() as connection:
            do(connection, number, ask.viewer.actor, ask.now)
    except UnknownCase:
        raise no_case(ask) from None
    except CaseRefused as error:
        raise refusal(ask, error) from None
    return ask.redirect(f"/cases/{number}")


def _version(ask: Ask) -> int | None:
    return whole_number(ask, "version") if "version" in ask.form else None


def _rows_from(ask: Ask, name: str) -> int:
    """Which rows of a list are asked for: 0, 100, …"""
    given = ask.query.get(name, "")
    return (
        int(given) // PAGE_ROWS * PAGE_ROWS if given.isascii() and given.isdigit() and len(given) < 6 else 0
    )


def _lanes(days: list[CaseDay], ask: Ask) -> object:
    channels = sorted(
        {each.channel for each in days}, key=lambda name: (name not in ORDER, _rank(name), name)
    )
    shown = [
        Lane(
            channel,
            channel_name(channel, ask.text),
            tuple(
                LaneDay(each.day, each.bytes, each.files, each.events, each.score, each.alerts)
                for each in days
                if each.channel == channel
            ),
        )
        for channel in channels
    ]
    first, last = min(each.day for each in days), max(each.day for each in days)
    # A day alone is read more easily with the days around it.
    return lanes(shown, min(first, last - 13), last + 1, ask.text)


def _rank(channel: str) -> tuple[int, str]:
    return (ORDER.index(channel) if channel in ORDER else len(ORDER), channel)


_VERBS: dict[str, Callable[[Console, Ask], Response]] = {
    Verb.NOTE.value: note,
    Verb.ASSIGN.value: assign,
    Verb.RENAME.value: rename,
    Verb.CLOSE.value: close,
    Verb.REOPEN.value: reopen,
    Verb.ADD.value: add,
    Verb.REMOVE.value: remove,
}
PAGES = [
    Page("GET", "/cases/{id:int}", Right.SEE_ALERTS, case),
    *(
        Page("POST", f"/cases/{{id:int}}/{verb}", Right.TRIAGE, handler, form_limit=TYPED_BYTES)
        for verb, handler in _VERBS.items()
    ),
]
