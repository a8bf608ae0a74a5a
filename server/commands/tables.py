"""How commands show tables and times to people."""

from __future__ import annotations

import shutil

from rich.console import Console, RenderableType
from rich.table import Table

_PIPED_WIDTH = 160
WIDTH_PIPED, WIDTH_MAX = 100, 140
"""Of text."""


def output_width(piped: int) -> int:
    """Columns: $COLUMNS where it is set, else the terminal's, else `piped`."""
    return shutil.get_terminal_size((piped, 24)).columns


def echo_table(table: Table) -> None:
    echo(table)


def echo(shown: RenderableType) -> None:
    """On standard output; as wide as the terminal, wider where there is none."""
    Console(width=output_width(_PIPED_WIDTH), highlight=False, emoji=False, markup=False).print(shown)


def echo_text(shown: RenderableType) -> None:
    """On standard output, as wide as the terminal up to a readable width."""
    width = min(WIDTH_MAX, output_width(WIDTH_PIPED))
    Console(width=width, highlight=False, emoji=False, markup=False).print(shown)


def age(at: int | None, now: int) -> str:
    """How long ago, in words: "12 s ago"."""
    return "never" if at is None else f"{span(now - at)} ago"


def span(milliseconds: int) -> str:
    """A length of time: "12 s", "43 min"."""
    seconds = max(0, milliseconds // 1000)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
