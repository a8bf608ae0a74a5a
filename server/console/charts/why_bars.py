"""Why a score is what it is: one bar a part, which add up to it. HTML with a drawn bar in each row, so that
words wrap on a phone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from markupsafe import Markup

from server.console.charts.svg import Text, element, share

PARTS_MAX: Final = 24
_WIDTH: Final = 100.0


class WhyPart(msgspec.Struct, frozen=True):
    """A part of the score. `detail`: a second line, such as what is usual. `href`: to what proves it."""

    words: str
    points: int
    detail: str = ""
    href: str | None = None


def why_bars(score: int, parts: Sequence[WhyPart], text: Text) -> Markup:
    """The largest first as given; what is more than PARTS_MAX is one bar."""
    shown = list(parts[:PARTS_MAX])
    if left := parts[PARTS_MAX:]:
        words = text("{n} more reason|{n} more reasons", n=len(left))
        shown.append(WhyPart(words, sum(part.points for part in left)))
    most = max((part.points for part in shown), default=0)
    rows = [_row(part, most) for part in shown]
    label = text("Why {score}: parts that add up to the score", score=score)
    return element("ol", {"class": "why-bars", "aria-label": label}, *rows)


def _row(part: WhyPart, most: int) -> Markup:
    words: str = part.words
    if part.href is not None:
        words = element("a", {"href": part.href}, words)
    named = element("span", {"class": "why-words"}, words)
    if part.detail:
        named = named + element("small", {"class": "why-detail"}, part.detail)
    rectangle = {
        "class": "bar",
        "width": share(part.points, most) * _WIDTH,
        "height": "10",
        "rx": "1.5",
    }
    bar = element(
        "svg",
        {
            "class": "chart chart-why",
            "viewBox": "0 0 100 10",
            "preserveAspectRatio": "none",
            "aria-hidden": "true",
        },
        element("rect", {"class": "track", "width": "100", "height": "10", "rx": "1.5"}),
        element("rect", rectangle),
    )
    points = element("b", {"class": "why-points"}, f"{part.points:+d}")
    return element("li", {}, element("div", {"class": "why-name"}, named), bar, points)
