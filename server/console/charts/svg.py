"""Elements of SVG and HTML as text, escaped; numbers and words that all charts use. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from markupsafe import Markup, escape

Text = Callable[..., str]
"""Translates an English phrase: `text("{n} file|{n} files", n=3)`."""
Attributes = Mapping[str, object]
"""Texts, whole numbers and coordinates (float); None leaves it out."""
_COORDINATE_MAX: Final = 100_000.0
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def element(name: str, attributes: Attributes, *inner: str) -> Markup:
    """`inner`: Markup as it stands, other text escaped."""
    written = "".join(
        f' {key}="{value if type(value) is Markup else _written(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{''.join(map(escape, inner))}</{name}>")


def joined(parts: Iterable[str]) -> Markup:
    """One after another."""
    return Markup("").join(parts)


def coordinate(value: float) -> str:
    """Of an attribute: finite, bounded, with one decimal at most."""
    if not math.isfinite(value):
        return "0"
    bounded = min(max(value, -_COORDINATE_MAX), _COORDINATE_MAX)
    written = f"{bounded:.1f}".removesuffix(".0")
    return "0" if written == "-0" else written


def share(value: float, whole: float) -> float:
    """`value` of `whole`, within 0 and 1; 0 of nothing."""
    if not (math.isfinite(value) and math.isfinite(whole)) or whole <= 0 or value <= 0:
        return 0.0
    return min(1.0, value / whole)


def size_text(number: float) -> str:
    """Bytes as people read them: 2.4 MB."""
    left = max(0.0, number) if math.isfinite(number) else 0.0
    for unit in _UNITS[:-1]:
        if left < 999.5:
            return f"{left:.0f} {unit}" if unit == "B" or left >= 99.5 else f"{left:.1f} {unit}"
        left /= 1000
    return f"{left:,.1f} {_UNITS[-1]}"


def drawing(
    kind: str,
    width: float,
    height: float,
    label: str,
    *inner: str,
    least: float | None = None,
    stretched: bool = False,
) -> Markup:
    """The whole picture. `least`: it is as wide as its column, but never narrower than so many pixels (the
    column scrolls then); None: it stays as wide as it is drawn. `stretched`: in width alone."""
    sized = None if least is not None else coordinate(width)
    attributes = {
        "class": f"chart chart-{kind}",
        "viewBox": f"0 0 {coordinate(width)} {coordinate(height)}",
        "width": sized,
        "height": None if least is not None else coordinate(height),
        "preserveAspectRatio": "none" if stretched else None,
        "role": "img",
        "aria-label": label,
    }
    return element("svg", attributes, *inner)


def figure(kind: str, drawn: Markup, table: Markup, label: str) -> Markup:
    """A picture that scrolls sideways where the column is narrow, and its table."""
    scrolls = element(
        "div",
        {"class": "chart-scrolls", "tabindex": "0", "role": "region", "aria-label": label},
        drawn,
    )
    return element("figure", {"class": f"chart-figure chart-figure-{kind}"}, scrolls, table)


def table_of(text: Text, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """The same numbers to read: the first cell of each row is its heading."""
    written = [
        element(
            "tr",
            {},
            element("th", {"scope": "row"}, row[0]),
            *(element("td", {}, cell) for cell in row[1:]),
        )
        for row in rows
    ]
    heading = element("tr", {}, *(element("th", {"scope": "col"}, each) for each in head))
    body = element("table", {}, element("thead", {}, heading), element("tbody", {}, *written))
    inside = element(
        "div",
        {"class": "chart-scrolls", "tabindex": "0", "role": "region", "aria-label": text("Show as a table")},
        body,
    )
    return element(
        "details", {"class": "chart-table"}, element("summary", {}, text("Show as a table")), inside
    )


def title(words: str) -> Markup:
    """What a mark says when it is pointed at."""
    return element("title", {}, words)


def _written(value: object) -> Markup:
    return escape(coordinate(value) if isinstance(value, float) else str(value))
