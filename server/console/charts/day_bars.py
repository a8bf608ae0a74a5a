"""Two numbers a day beside each other: alerts of the rules as they run, and as somebody would have them.
Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from server.console.charts.days import DAYS_MAX, date_of, day_title, short_day, ticks
from server.console.charts.svg import Text, drawing, element, figure, share, table_of, title

_WIDTH, _HEIGHT = 720.0, 150.0
_LEFT, _TOP, _BOTTOM = 34.0, 10.0, 22.0


class DayPair(msgspec.Struct, frozen=True):
    """Of one day; after: None: there is nothing to compare with."""

    day: int
    before: int
    after: int | None = None


def day_bars(pairs: Sequence[DayPair], text: Text, *, before: str, after: str, label: str) -> Markup:
    """Oldest first, the latest DAYS_MAX. `before`, `after`: what the two are called."""
    shown = list(pairs[-DAYS_MAX:])
    most = max([1, *(pair.before for pair in shown), *(pair.after or 0 for pair in shown)])
    step = (_WIDTH - _LEFT) / max(1, len(shown))
    ground = _HEIGHT - _BOTTOM
    both = any(pair.after is not None for pair in shown)
    drawn: list[str] = [
        element("line", {"class": "base", "x1": _LEFT, "x2": _WIDTH, "y1": ground, "y2": ground}),
        element("text", {"class": "axis", "x": _LEFT - 5, "y": _TOP + 8, "text-anchor": "end"}, f"{most:,}"),
        element("text", {"class": "axis", "x": _LEFT - 5, "y": ground, "text-anchor": "end"}, "0"),
    ]
    labelled = set(ticks(shown[0].day, shown[-1].day)) if shown else set()
    for number, pair in enumerate(shown):
        left, wide = _LEFT + number * step, max(0.5, step * (0.42 if both else 0.8))
        named = f"{day_title(text, pair.day)} · {before} {pair.before}"
        named = named if pair.after is None else f"{named} · {after} {pair.after}"
        for kind, count, at in (("old", pair.before, left), ("new", pair.after or 0, left + step * 0.45)):
            if count <= 0:
                continue
            tall = max(1.0, share(count, most) * (ground - _TOP))
            spot = {"class": f"bar-{kind}", "x": at, "y": ground - tall, "width": wide, "height": tall}
            drawn.append(element("rect", spot, title(named)))
        if pair.day in labelled:
            place = {"class": "axis", "x": left + step / 2, "y": _HEIGHT - 6, "text-anchor": "middle"}
            drawn.append(element("text", place, short_day(text, pair.day)))
    legend = [_key("old", before), *([_key("new", after)] if both else [])]
    rows = [
        (date_of(pair.day).isoformat(), str(pair.before), "" if pair.after is None else str(pair.after))
        for pair in reversed(shown)
    ]
    picture = drawing("days", _WIDTH, _HEIGHT, label, *drawn, least=420)
    table = table_of(text, (text("Day"), before, after), rows)
    return figure("days", picture, table, label) + element("ul", {"class": "chart-legend"}, *legend)


def _key(kind: str, words: str) -> Markup:
    drawn = element(
        "svg",
        {"class": "chart chart-key", "viewBox": "0 0 10 10", "aria-hidden": "true"},
        element("rect", {"class": f"bar-{kind}", "width": "10", "height": "10", "rx": "2"}),
    )
    return element("li", {}, drawn, words)
