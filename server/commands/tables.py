"""How commands show tables and times to people."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

_PIPED_WIDTH = 160


def echo_table(table: Table) -> None:
    """On standard output; as wide as the terminal, wider where there is none."""
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    Console(width=width, highlight=False, emoji=False, markup=False).print(table)


def age(at: int | None, now: int) -> str:
    """How long ago, in words: "12 s ago"."""
    if at is None:
        return "never"
    seconds = max(0, (now - at) // 1000)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
