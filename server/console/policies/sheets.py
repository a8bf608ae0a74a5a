"""The console's own sheet of policies, and their spark lines as they are drawn; it keeps both."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from markupsafe import Markup

from server.console.charts.spark import spark
from server.console.page import Console
from server.console.phrases import Language
from server.console.rendering import Look
from server.policies.sheet import PolicySheets

SPARKS_KEPT: Final = 2_000


class Sheets:
    """One for a listener."""

    def __init__(self, console: Console) -> None:
        self.of = PolicySheets(console.database)


@lru_cache(maxsize=SPARKS_KEPT)
def drawn_spark(days: tuple[int, ...], language: Language) -> Markup:
    """Drawing a hundred takes longer than the rest of the page."""
    return spark(days, Look(language).text)
