"""One bar of parts that are all of something, with a legend that says each in words: versions of agents,
outcomes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from markupsafe import Markup

from server.console.charts.svg import Text, drawing, element, joined, share, title

PARTS_MAX: Final = 8
_WIDTH, _HEIGHT = 600.0, 18.0


class BarPart(msgspec.Struct, frozen=True):
    """`state`: good, late, bad or gap; empty: one of the neutral shades in turn. `href`: where these are."""

    words: str
    count: int
    state: str = ""
    href: str | None = None


def stacked_bar(parts: Sequence[BarPart], label: str, text: Text) -> Markup:
    """As given; what is more than PARTS_MAX is one part."""
    shown = [part for part in parts if part.count > 0]
    if len(shown) > PARTS_MAX:
        left = shown[PARTS_MAX - 1 :]
        others = text("{n} other|{n} others", n=len(left))
        shown = [*shown[: PARTS_MAX - 1], BarPart(others, sum(part.count for part in left))]
    whole = sum(part.count for part in shown)
    drawn: list[str] = [
        element("rect", {"class": "track", "width": _WIDTH, "height": _HEIGHT, "rx": "3"}),
    ]
    legend: list[str] = []
    at = 0.0
    for number, part in enumerate(shown):
        wide = share(part.count, whole) * _WIDTH
        kind = f"part-{part.state}" if part.state in {"good", "late", "bad", "gap"} else f"part-{number}"
        said = f"{part.words}: {part.count}"
        spot = {"class": f"part {kind}", "x": at, "width": max(0.5, wide - 1), "height": _HEIGHT}
        drawn.append(element("rect", spot, title(said)))
        at += wide
        key = element(
            "svg",
            {"class": "chart chart-key", "viewBox": "0 0 10 10", "aria-hidden": "true"},
            element("rect", {"class": f"part {kind}", "width": "10", "height": "10", "rx": "2"}),
        )
        words: str = part.words if part.href is None else element("a", {"href": part.href}, part.words)
        legend.append(element("li", {}, key, words, " ", element("b", {}, f"{part.count:,}")))
    told = f"{label}: {', '.join(f'{part.words} {part.count}' for part in shown)}"
    picture = drawing("stacked", _WIDTH, _HEIGHT, told, *drawn, least=200, stretched=True)
    return joined((picture, element("ul", {"class": "chart-legend"}, *legend)))
