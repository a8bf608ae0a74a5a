"""What is collected, for everybody who is watched and without signing in; and the draft of an assessment.

Both are made from what runs (server/transparency/). The page shows kinds of data, never any data.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from server.agents.settings import current_version
from server.console.page import Ask, Console, Open, Page
from server.people.roles import Right
from server.transparency.assessment import Listed, Said, Section, Tabled, assessment, open_points
from server.transparency.assessment import Open as OpenPoint
from server.transparency.markdown import markdown
from server.transparency.statement import Statement, statement

KEPT_MS: Final = 60_000


class Stated:
    """The statement, made anew when the settings change and every minute: anybody may ask, and each agent's
    word goes into it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._known: tuple[int, int, Statement] | None = None

    def now(self, at: int) -> Statement:
        console = self._console
        with console.database.read() as connection:
            version = current_version(connection)
        with self._lock:
            known = self._known
            if known is not None and known[0] == version and 0 <= at - known[1] < KEPT_MS:
                return known[2]
            with console.database.read() as connection:
                found = statement(connection, console.config)
            self._known = version, at, found
            return found


def transparency(console: Console, ask: Ask) -> Response:
    """GET /transparency?lang=zh"""
    return ask.page("transparency/page.html", stated=console.made(Stated).now(ask.now))


def draft(console: Console, ask: Ask) -> Response:
    """GET /transparency/assessment"""
    sections = sections_now(console, ask)
    return ask.page(
        "transparency/assessment.html",
        sections=sections,
        open_points=open_points(sections),
        kind=_kind,
        say=ask.text,
    )


def draft_markdown(console: Console, ask: Ask) -> Response:
    """GET /transparency/assessment.md, in the viewer's language."""

    def say(words: str, /, **values: object) -> str:
        return ask.text(words, **values)

    written = markdown(ask.text("Impact assessment (draft)"), sections_now(console, ask), say)
    return ask.download(written.encode(), "impact-assessment.md", "text/markdown; charset=utf-8")


def sections_now(console: Console, ask: Ask) -> tuple[Section, ...]:
    made_on = datetime.fromtimestamp(ask.now / 1000, UTC).astimezone(ask.zone).date().isoformat()
    return assessment(console.made(Stated).now(ask.now), made_on=made_on)


def _kind(block: Said | OpenPoint | Listed | Tabled) -> str:
    return type(block).__name__


PAGES = [
    Page("GET", "/transparency", Open.PUBLIC, transparency),
    Page("GET", "/transparency/assessment", Right.SEE_FLEET, draft),
    Page("GET", "/transparency/assessment.md", Right.SEE_FLEET, draft_markdown),
]
