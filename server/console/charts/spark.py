"""A number a day in the height of a line of text, for rows of tables: 30 days of hits, or of risk.

It has no table of its own: what it shows is in its label, and the row's figures stand beside it. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from server.console.charts.svg import Text, drawing, element, share

VALUES_MAX: Final = 90
_HEIGHT: Final = 22.0
_STEP: Final = 4.0


def spark(values: Sequence[int | None], text: Text, *, most: int | None = None) -> Markup:
    """Bars, oldest first; None: not known. The latest VALUES_MAX are drawn. `most`: the highest that there
    may be, so that rows compare; None: of these."""
    shown = list(values[-VALUES_MAX:])
    known = [max(0, value) for value in shown if value is not None]
    top = max(most or 0, *known, 1) if known else 1
    label = text(
        "{days} days: {total} in all, most {most} a day, last {last}",
        days=len(shown),
        total=sum(known),
        most=max(known, default=0),
        last=text("not known") if not shown or shown[-1] is None else shown[-1],
    )
    width = max(1, len(shown)) * _STEP
    drawn = [
        element("line", {"class": "base", "x1": "0", "x2": width, "y1": _HEIGHT - 0.5, "y2": _HEIGHT - 0.5})
    ]
    for number, value in enumerate(shown):
        if value is None:
            spot = {"class": "gap", "x": number * _STEP, "y": "0", "width": _STEP, "height": _HEIGHT}
            drawn.append(element("rect", spot))
        elif value > 0:
            tall = max(1.5, share(value, top) * (_HEIGHT - 2))
            place = {"class": "bar", "x": number * _STEP, "y": _HEIGHT - tall, "width": _STEP - 1}
            drawn.append(element("rect", {**place, "height": tall}))
    return drawing("spark", width, _HEIGHT, label, *drawn)
