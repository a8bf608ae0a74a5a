"""What was found and not alerted: below the line, over the day's places, calmed or cooling down, with why."""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec
from starlette.responses import Response

from server.alerts.below_views import NotAlertedView, below_views
from server.alerts.queue.state import BudgetState, read_budget
from server.console.kept_reading import KeptReading
from server.console.known_people import KnownPeople, known_version
from server.console.page import Ask, Console, Page
from server.console.queue_words import leaver_words
from server.people.roles import Right
from server.people.text_mask import masked_prose
from server.store.database import BUSY_TIMEOUT_SECONDS, StoreUnavailable

DAYS: Final = (1, 7, 28)
ROWS_MAX: Final = 100
KEPT_MS: Final = 15_000
OLD_MS: Final = 10 * 60_000


class Seen(msgspec.Struct, frozen=True):
    """`at`: when it was read, ms UTC."""

    at: int
    rows: list[NotAlertedView]


class BelowSeen:
    """Every person's days are weighed for it, a third of a second with 10,000 people: done once for all who
    look, and beside the pages. `console.made(BelowSeen)`."""

    def __init__(self, console: Console) -> None:
        self._readings = {
            days: KeptReading(
                partial(_read, console, days),
                console.service.clock,
                kept_ms=KEPT_MS,
                old_ms=OLD_MS,
                wait_seconds=BUSY_TIMEOUT_SECONDS,
                version=partial(known_version, console),
            )
            for days in DAYS
        }

    def days(self, days: int) -> Seen:
        """OLD_MS old at most. Raises StoreUnavailable."""
        found = self._readings[days].now()
        if found is None:
            raise StoreUnavailable("what was not alerted cannot be read now")
        return found


def _read(console: Console, days: int) -> Seen:
    now = console.service.clock()
    with console.database.read() as connection:
        directory = console.made(KnownPeople).directory(connection)
    return Seen(now, below_views(console.database, now=now, days=days, limit=ROWS_MAX, directory=directory))


def below(console: Console, ask: Ask) -> Response:
    """GET /alerts/below?days=7"""
    asked = ask.query.get("days", "")
    days = int(asked) if asked in {str(each) for each in DAYS} else 7
    budget, found = below_the_line(console, ask, days)
    return ask.page(
        "queue/below.html",
        rows=found.rows,
        read_at=found.at,
        budget=budget,
        days=days,
        choices=DAYS,
        rows_max=ROWS_MAX,
        leaver_of=lambda who: leaver_words(who.status, who.days_to_last_day, ask.text),
    )


def below_the_line(console: Console, ask: Ask, days: int) -> tuple[BudgetState, Seen]:
    """How much of today's places is used; what was not alerted, as an analyst sees it. `days`: of DAYS."""
    with console.database.read() as connection:
        budget = read_budget(connection, ask.now)
    found = console.made(BelowSeen).days(days)
    return budget, Seen(found.at, _masked(console, found.rows))


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
