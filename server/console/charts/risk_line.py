"""Risk by day: a line with the queue's threshold, what is not known left out, and a mark for each alert by
what came of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from markupsafe import Markup

from server.console.charts.days import DAYS_MAX, date_of, day_title, short_day, ticks
from server.console.charts.svg import Text, coordinate, drawing, element, figure, table_of, title

MARKS_MAX: Final = 100
_WIDTH, _HEIGHT = 480.0, 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 30.0, 12.0, 12.0, 22.0
_GLYPHS: Final = {"open": "●", "confirmed": "▲", "expected": "■", "false": "◆", "duplicate": "◇"}
_TICK_PIXELS: Final = 54.0
_Place = Callable[[int], float]


class RiskPoint(msgspec.Struct, frozen=True):
    """score: 0 to 100; None: not known."""

    day: int
    score: int | None


class RiskMark(msgspec.Struct, frozen=True):
    """An alert. `kind`: open, confirmed, expected, false or duplicate. `words`: what it says."""

    day: int
    score: int
    kind: str
    words: str


def risk_line(
    points: Sequence[RiskPoint], line: int, text: Text, *, marks: Sequence[RiskMark] = ()
) -> Markup:
    """`points`: a day each, oldest first. `line`: from which on a day is a candidate."""
    shown = list(points[-DAYS_MAX:])
    if not shown:
        return element("p", {"class": "chart-none"}, text("Nothing is known of these days."))
    first, last = shown[0].day, max(shown[-1].day, shown[0].day)

    def x(day: int) -> float:
        return _LEFT + (day - first) * (_WIDTH - _LEFT - _RIGHT) / max(1, last - first)

    def y(score: int) -> float:
        return _HEIGHT - _BOTTOM - min(max(score, 0), 100) * (_HEIGHT - _TOP - _BOTTOM) / 100

    at_line = coordinate(y(line))
    drawn: list[str] = [
        element("line", {"class": "base", "x1": _LEFT, "x2": _WIDTH - _RIGHT, "y1": y(0), "y2": y(0)}),
        element(
            "line", {"class": "threshold", "x1": _LEFT, "x2": _WIDTH - _RIGHT, "y1": at_line, "y2": at_line}
        ),
        element("text", {"class": "axis", "x": _LEFT - 4, "y": y(line) + 4, "text-anchor": "end"}, str(line)),
    ]
    drawn += _unknown(shown, x, y, text)
    for run in _runs(shown):
        path = " ".join(f"{coordinate(x(day))},{coordinate(y(score))}" for day, score in run)
        ground = coordinate(y(0))
        area = f"{coordinate(x(run[0][0]))},{ground} {path} {coordinate(x(run[-1][0]))},{ground}"
        drawn.append(element("polygon", {"class": "area", "points": area}))
        drawn.append(element("polyline", {"class": "line", "points": path}))
    drawn += [
        element("text", {"class": "axis", "x": x(day), "y": _HEIGHT - 6, "text-anchor": "middle"}, words)
        for day, words in _axis(first, last, x, text)
    ]
    now = shown[-1].score
    if now is not None:
        drawn.append(element("circle", {"class": "now", "cx": x(last), "cy": y(now), "r": "3.5"}))
    inside = [mark for mark in marks if first <= mark.day <= last][:MARKS_MAX]
    for mark in inside:
        drawn.append(
            element(
                "text",
                {
                    "class": f"mark mark-{mark.kind if mark.kind in _GLYPHS else 'open'}",
                    "x": x(mark.day),
                    "y": max(y(mark.score) - 5, 9.0),
                    "text-anchor": "middle",
                },
                _GLYPHS.get(mark.kind, "●"),
                title(f"{day_title(text, mark.day)} · {mark.words}"),
            )
        )
    label = _label(shown, line, text)
    said: dict[int, list[str]] = {}
    for mark in inside:
        said.setdefault(mark.day, []).append(mark.words)
    rows = (
        (
            date_of(point.day).isoformat(),
            text("not known") if point.score is None else str(point.score),
            "; ".join(said.get(point.day, ())),
        )
        for point in reversed(shown)
    )
    table = table_of(text, (text("Day"), text("Risk"), text("Alerts")), rows)
    return figure("risk", drawing("risk", _WIDTH, _HEIGHT, label, *drawn, least=320), table, label)


def _label(shown: Sequence[RiskPoint], line: int, text: Text) -> str:
    known = [point.score for point in shown if point.score is not None]
    if not known:
        return text("Risk of {days} days: not known", days=len(shown))
    now = shown[-1].score
    return text(
        "Risk of {days} days: now {now}, highest {most}, line at {line}",
        days=len(shown),
        now=text("not known") if now is None else now,
        most=max(known),
        line=line,
    )


def _runs(shown: Sequence[RiskPoint]) -> list[list[tuple[int, int]]]:
    """Known days that follow each other."""
    runs: list[list[tuple[int, int]]] = []
    before = False
    for point in shown:
        if point.score is None:
            before = False
            continue
        if not before:
            runs.append([])
        runs[-1].append((point.day, point.score))
        before = True
    return runs


def _unknown(shown: Sequence[RiskPoint], x: _Place, y: _Place, text: Text) -> list[Markup]:
    """What is not known is grey, and no zero."""
    drawn = []
    start: int | None = None
    for point in [*shown, RiskPoint(shown[-1].day + 1, 0)]:
        if point.score is None:
            start = point.day if start is None else start
        elif start is not None:
            end = min(point.day, shown[-1].day)
            spot = {"class": "gap", "x": x(start), "y": y(100), "width": max(1.0, x(end) - x(start))}
            words = title(text("not known until {day}", day=short_day(text, end)))
            drawn.append(element("rect", {**spot, "height": y(0) - y(100)}, words))
            start = None
    return drawn


def _axis(first: int, last: int, x: _Place, text: Text) -> list[tuple[int, str]]:
    kept: list[int] = []
    for day in reversed(list(ticks(first, last))):
        if x(day) > _WIDTH - 24:
            continue
        if not kept or x(kept[-1]) - x(day) >= _TICK_PIXELS:
            kept.append(day)
    return [(day, short_day(text, day)) for day in reversed(kept)]
