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
    return "never" if at is None else f"{span(now - at)} ago"


def span(milliseconds: int) -> str:
    """A length of time: "12 s", "43 min"."""
    seconds = max(0, milliseconds // 1000)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def size(number: int) -> str:
    """Bytes in words: "1.2 GB"."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
