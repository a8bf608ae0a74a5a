"""In which hours of the week somebody is active: seven rows of 24 cells, the darker the more; hours in which
the company does not work are framed where something happened, and so are those that are odd for this person.
Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Final

from markupsafe import Markup

from server.console.charts.days import weekday_text
from server.console.charts.svg import Text, drawing, element, figure, share, table_of, title

_CELL, _LEFT, _BOTTOM = 18.0, 34.0, 22.0
_WIDTH: Final = 480.0
_DAYS, _HOURS = 7, 24
Cells = Sequence[Sequence[int]]
"""Seven days from Monday on, of 24 hours each."""


def hours_of_week(
    cells: Cells, text: Text, *, odd: Collection[tuple[int, int]] = (), works: Callable[[int, int], bool]
) -> Markup:
    """`odd`: (day, hour) that stand out. `works`: whether the company works then."""
    known = [[_count(cells, day, hour) for hour in range(_HOURS)] for day in range(_DAYS)]
    most = max(max(row) for row in known)
    total = sum(sum(row) for row in known)
    strange = _odd(known, odd)
    label = text("Hours of the week: {n} events in all, {odd} at odd hours", n=total, odd=strange)
    drawn: list[str] = []
    for day, row in enumerate(known):
        named = {"class": "axis", "x": _LEFT - 6, "y": day * _CELL + 13, "text-anchor": "end"}
        drawn.append(element("text", named, weekday_text(text, day)))
        for hour, count in enumerate(row):
            drawn.append(_cell(day, hour, count, most, (day, hour) in odd, works(day, hour), text))
    for hour in range(0, _HOURS, 3):
        spot = {"class": "axis", "x": _LEFT + hour * _CELL, "y": _DAYS * _CELL + 15}
        drawn.append(element("text", spot, f"{hour:02}"))
    picture = drawing("hours", _WIDTH, _DAYS * _CELL + _BOTTOM, label, *drawn, least=320)
    rows = [
        (weekday_text(text, day), *(str(count) if count else "" for count in row))
        for day, row in enumerate(known)
    ]
    head = (text("Day"), *(f"{hour:02}" for hour in range(_HOURS)))
    return figure("hours", picture, table_of(text, head, rows), label)


def _cell(day: int, hour: int, count: int, most: int, is_odd: bool, at_work: bool, text: Text) -> Markup:
    # Equal steps of amount are to be equal steps of shade: the root keeps few apart from none.
    shade = 0.0 if count == 0 else 0.16 + 0.84 * math.sqrt(share(count, most))
    said = [f"{weekday_text(text, day)} {hour:02}:00", text("{n} event|{n} events", n=count)]
    if not at_work:
        said.append(text("outside working hours"))
    if is_odd:
        said.append(text("odd for this person"))
    spot = {
        "x": _LEFT + hour * _CELL,
        "y": day * _CELL,
        "width": _CELL - 1.5,
        "height": _CELL - 1.5,
        "rx": "2",
    }
    named = " ".join(name for name, holds in (("off", not at_work), ("odd", is_odd)) if holds)
    ground = element("rect", {**spot, "class": f"ground {named}".strip()}, title(" · ".join(said)))
    if not count:
        return ground
    shaded = {**spot, "class": f"shade {'odd' if is_odd else ''}".strip(), "fill-opacity": f"{shade:.2f}"}
    return ground + element("rect", shaded, title(" · ".join(said)))


def _count(cells: Cells, day: int, hour: int) -> int:
    try:
        return max(0, cells[day][hour])
    except IndexError:
        return 0


def _odd(known: Cells, odd: Collection[tuple[int, int]]) -> int:
    return sum(known[day][hour] for day, hour in set(odd) if 0 <= day < _DAYS and 0 <= hour < _HOURS)
