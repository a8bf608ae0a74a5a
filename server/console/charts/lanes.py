"""Days of one person: a lane a channel, a dot a day, as large as what went that way.

The area of a dot is bytes; its colour the risk, its ring an alert, both said in its title. The notice period
is shaded, the last day has a line, and where no collector watched the lane is grey: silence there says
nothing. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from markupsafe import Markup, escape

from server.console.charts.days import DAYS_MAX, date_of, day_title, short_day, ticks
from server.console.charts.svg import Text, coordinate, drawing, element, figure, size_text, table_of, title

LANES_MAX: Final = 16
HIGH, RAISED = 70, 45
"""Scores from which on a day counts as high, and as raised."""
_WIDTH: Final = 980.0
_LEFT, _RIGHT, _TOP, _BOTTOM, _LANE = 130.0, 12.0, 36.0, 26.0, 36.0
_DOT_MIN, _DOT_MAX = 2.2, 15.0
_BYTES_A_PIXEL: Final = 2e6
_Place = Callable[[float], float]


class LaneDay(msgspec.Struct, frozen=True):
    """What went one way on one day. `risk`: 0 to 100. `alerts`: ids of those that it is evidence of."""

    day: int
    bytes: int
    files: int
    events: int
    risk: int = 0
    alerts: tuple[int, ...] = ()


class Lane(msgspec.Struct, frozen=True):
    """A channel. `gaps`: first and last day of each time in which nothing watched it."""

    key: str
    label: str
    days: tuple[LaneDay, ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()


def lanes(
    shown: Sequence[Lane],
    first_day: int,
    last_day: int,
    text: Text,
    *,
    notice: int | None = None,
    last_working_day: int | None = None,
    today: int | None = None,
) -> Markup:
    """`notice`: the day on which notice was given. At most LANES_MAX lanes, DAYS_MAX days."""
    first = max(first_day, last_day - DAYS_MAX + 1)
    count = max(1, last_day - first + 1)
    lane_list = list(shown[:LANES_MAX])
    height = _TOP + _LANE * max(1, len(lane_list)) + _BOTTOM
    step = (_WIDTH - _LEFT - _RIGHT) / count

    def x(day: float) -> float:
        """Where a day begins, within the picture."""
        return _LEFT + min(max(day - first, 0), count) * step

    label = text("Activity by channel, {first} to {last}", first=date_of(first), last=date_of(last_day))
    drawn: list[str] = _notice(x, first, last_day, height, notice, last_working_day, text)
    for number, lane in enumerate(lane_list):
        drawn += _lane(lane, _TOP + _LANE * (number + 0.5), x, first, last_day, step, text)
    drawn += _axis(x, first, last_day, height, text, today)
    picture = drawing("lanes", _WIDTH, height, label, *drawn, least=720)
    return figure("lanes", picture, _table(lane_list, first, last_day, text), label)


def _notice(
    x: _Place,
    first: int,
    last: int,
    height: float,
    notice: int | None,
    last_working_day: int | None,
    text: Text,
) -> list[str]:
    drawn: list[str] = []
    bottom = height - _BOTTOM
    if notice is not None and notice <= last:
        until = last if last_working_day is None else min(last_working_day, last)
        begin, end = x(notice), x(until + 1)
        if end > begin:
            place = {"class": "notice", "x": begin, "y": _TOP - 4, "width": end - begin}
            drawn.append(element("rect", {**place, "height": bottom - _TOP + 4}))
            at_end = begin > _WIDTH - 110
            words = text("notice given {day}", day=short_day(text, notice))
            where = {"x": _WIDTH - _RIGHT if at_end else begin + 3, "y": _TOP - 9}
            anchor = "end" if at_end else "start"
            drawn.append(element("text", {"class": "label", **where, "text-anchor": anchor}, words))
    if last_working_day is not None and first <= last_working_day <= last:
        at = x(last_working_day + 1)
        spot = {"class": "last-day", "x1": at, "x2": at, "y1": 14.0, "y2": bottom}
        words = text("last day {day}", day=short_day(text, last_working_day))
        drawn.append(element("line", spot, title(words)))
        anchored = {"class": "label strong", "x": min(at, _WIDTH - 4), "y": 10.0, "text-anchor": "end"}
        drawn.append(element("text", anchored, words))
    return drawn


def _lane(lane: Lane, middle: float, x: _Place, first: int, last: int, step: float, text: Text) -> list[str]:
    named = {"class": "name", "x": _LEFT - 10, "y": middle + 4, "text-anchor": "end"}
    drawn: list[str] = [
        element("text", named, lane.label),
        element("line", {"class": "base", "x1": _LEFT, "x2": _WIDTH - _RIGHT, "y1": middle, "y2": middle}),
    ]
    for begin, end in lane.gaps[:DAYS_MAX]:
        if end < first or begin > last or end < begin:
            continue
        left, right = x(begin), x(end + 1)
        words = text(
            "{channel}: not watched {first} – {last}",
            channel=lane.label,
            first=short_day(text, max(begin, first)),
            last=short_day(text, min(end, last)),
        )
        spot = {"class": "gap", "x": left, "y": middle - 7, "width": max(0.5, right - left), "height": 14.0}
        drawn.append(element("rect", spot, title(words)))
    return [*drawn, _dots(lane, middle, x, first, last, step, text)]


def _dots(lane: Lane, middle: float, x: _Place, first: int, last: int, step: float, text: Text) -> Markup:
    """Large ones first, so that small ones stay to be seen. Written out, not by `element`: there may be two
    thousand of them."""
    days = [day for day in lane.days if first <= day.day <= last][:DAYS_MAX]
    at = coordinate(middle)
    drawn = []
    for day in sorted(days, key=lambda each: (-each.bytes, each.day)):
        level = risk_level(day.risk)
        named = f"risk-{level} alerted" if day.alerts else f"risk-{level}"
        spot = f'cx="{coordinate(x(day.day) + step / 2)}" cy="{at}" r="{coordinate(_radius(day.bytes))}"'
        said = escape(_words(lane, day, text))
        drawn.append(f'<circle class="{named}" {spot}><title>{said}</title></circle>')
    return Markup("".join(drawn))


def risk_level(score: int) -> str:
    """high, raised or usual: a class of marks, and what their title says."""
    return "high" if score >= HIGH else "raised" if score >= RAISED else "usual"


def risk_words(score: int, text: Text) -> str:
    """The level in words."""
    match risk_level(score):
        case "high":
            return text("high risk")
        case "raised":
            return text("raised risk")
        case _:
            return text("usual")


def _words(lane: Lane, day: LaneDay, text: Text) -> str:
    said = [f"{day_title(text, day.day)} · {lane.label}", _amount(day, text)]
    said.append(risk_words(day.risk, text))
    if day.alerts:
        said.append(text("evidence of alert {ids}", ids=", ".join(map(str, day.alerts[:3]))))
    return "\n".join(said)


def _amount(day: LaneDay, text: Text) -> str:
    parts = []
    if day.files > 0:
        parts.append(text("{n} file|{n} files", n=day.files))
    if day.bytes > 0:
        parts.append(size_text(day.bytes))
    parts.append(text("{n} event|{n} events", n=day.events))
    return " · ".join(parts)


def _radius(number: int) -> float:
    return min(_DOT_MAX, _DOT_MIN + math.sqrt(max(0, min(number, 2**62)) / _BYTES_A_PIXEL))


def _axis(x: _Place, first: int, last: int, height: float, text: Text, today: int | None) -> list[str]:
    drawn: list[str] = []
    for day in ticks(first, last):
        if x(day) > _WIDTH - 30:
            continue
        spot = {"class": "axis", "x": x(day + 0.5), "y": height - 8, "text-anchor": "middle"}
        drawn.append(element("text", spot, short_day(text, day)))
    if today is not None and first <= today < last:
        at = x(today + 1)
        spot = {"class": "today", "x1": at, "x2": at, "y1": _TOP - 4, "y2": height - _BOTTOM}
        drawn.append(element("line", spot, title(text("today"))))
    return drawn


def _table(shown: Sequence[Lane], first: int, last: int, text: Text) -> Markup:
    found: dict[int, dict[str, LaneDay]] = {}
    for lane in shown:
        for day in lane.days:
            if first <= day.day <= last:
                found.setdefault(day.day, {})[lane.key] = day
    used = [lane for lane in shown if any(lane.key in cells for cells in found.values())]
    rows = [
        (date_of(day).isoformat(), *(_cell(cells.get(lane.key), text) for lane in used))
        for day, cells in sorted(found.items(), reverse=True)[:DAYS_MAX]
    ]
    return table_of(text, (text("Day"), *(lane.label for lane in used)), rows)


def _cell(day: LaneDay | None, text: Text) -> str:
    if day is None:
        return ""
    said = _amount(day, text)
    if day.risk >= RAISED:
        said = f"{said} · {risk_words(day.risk, text)}"
    return f"{said} · {text('alert {ids}', ids=', '.join(map(str, day.alerts[:3])))}" if day.alerts else said
