"""What was found and not alerted: below the line, over the day's places, calmed or cooling down, with why."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.responses import Response

from server.alerts.below_views import NotAlertedView, below_views
from server.alerts.queue.state import BudgetState, read_budget
from server.console.known_people import KnownPeople
from server.console.page import Ask, Console, Page
from server.console.queue_words import leaver_words
from server.people.roles import Right
from server.people.text_mask import masked_prose

DAYS: Final = (1, 7, 28)
ROWS_MAX: Final = 100


def below(console: Console, ask: Ask) -> Response:
    """GET /alerts/below?days=7"""
    asked = ask.query.get("days", "")
    days = int(asked) if asked in {str(each) for each in DAYS} else 7
    budget, found = below_the_line(console, ask, days=days, limit=ROWS_MAX)
    return ask.page(
        "queue/below.html",
        rows=found,
        budget=budget,
        days=days,
        choices=DAYS,
        rows_max=ROWS_MAX,
        leaver_of=lambda who: leaver_words(who.status, who.days_to_last_day, ask.text),
    )


def below_the_line(
    console: Console, ask: Ask, *, days: int, limit: int
) -> tuple[BudgetState, list[NotAlertedView]]:
    """How much of today's places is used, and what was not alerted, as an analyst sees it."""
    with console.database.read() as connection:
        directory = console.made(KnownPeople).directory(connection)
        budget = read_budget(connection, ask.now)
    found = below_views(console.database, now=ask.now, days=days, limit=limit, directory=directory)
    return budget, _masked(console, found)


def _masked(console: Console, found: list[NotAlertedView]) -> list[NotAlertedView]:
    """Titles of rules that people wrote may name somebody."""
    texts = [text for each in found for text in (*each.rules, *each.stood_out.values())]
    masked = iter(masked_prose(console, texts))
    return [
        msgspec.structs.replace(
            each,
            rules=tuple(next(masked) for _ in each.rules),
            stood_out={language: next(masked) for language in each.stood_out},
        )
        for each in found
    ]


PAGES = [Page("GET", "/alerts/below", Right.SEE_ALERTS, below)]
