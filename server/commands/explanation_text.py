"""How the command line shows why an alert's day is strange."""

from __future__ import annotations

from rich.table import Table

from analytics.told_explanation import ExplanationWords
from server.commands.alert_words import counted


def stands_out(words: ExplanationWords) -> Table | None:
    """None where nothing is to be said."""
    said = (
        ("strange", words.stands_out),
        ("rising", words.rising),
        ("check", words.check),
        ("normal", (words.normal,) if words.normal else ()),
        ("calmed", words.calmed),
    )
    if not any(lines for _, lines in said):
        return None
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, lines in said:
        for index, line in enumerate(lines):
            grid.add_row("" if index else label, line)
    return grid


def sure_words(fidelity: dict[str, int]) -> str:
    """ "28 events exact, 2 likely"; empty where all are exact."""
    if set(fidelity) <= {"exact"}:
        return ""
    (first, number), *rest = fidelity.items()
    return ", ".join([f"{counted(number, 'event')} {first}", *(f"{n:,} {each}" for each, n in rest)])
