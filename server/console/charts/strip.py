"""A row of cells, one a day: last days of leavers over two weeks, an agent's heartbeats. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from markupsafe import Markup

from server.console.charts.svg import drawing, element, title

CELLS_MAX: Final = 62
_STATES: Final = frozenset({"none", "good", "late", "bad", "gap", "mark"})
_CELL, _HEIGHT = 12.0, 20.0


class StripCell(msgspec.Struct, frozen=True):
    """`state`: none, good, late, bad, gap or mark. `words`: what it says, with its day."""

    state: str
    words: str
    glyph: str = ""
    """One character on it, where colour is not to stand alone."""


def strip(cells: Sequence[StripCell], label: str) -> Markup:
    """The latest CELLS_MAX, oldest first."""
    shown = list(cells[-CELLS_MAX:])
    drawn: list[str] = []
    for number, cell in enumerate(shown):
        state = cell.state if cell.state in _STATES else "none"
        # States differ in height too.
        tall = {"none": 3.0, "gap": 8.0, "late": 12.0}.get(state, 16.0)
        spot = {"x": number * _CELL, "y": _HEIGHT - 2 - tall, "width": _CELL - 2, "height": tall, "rx": "1.5"}
        drawn.append(element("rect", {"class": f"cell cell-{state}", **spot}, title(cell.words)))
        if cell.glyph:
            place = {"x": number * _CELL + (_CELL - 2) / 2, "y": _HEIGHT - 6, "text-anchor": "middle"}
            drawn.append(element("text", {"class": "glyph", **place}, cell.glyph[:1]))
    return drawing("strip", max(1, len(shown)) * _CELL, _HEIGHT, label, *drawn)
