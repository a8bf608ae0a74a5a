"""An alert's evidence over time: a lane a channel, from a day before its first event to a day after its last.

Evidence is strong, what else the person did is pale; a dot's area is bytes. Where no collector watched, the
lane is grey. The steps of a sequence are joined by a line from lane to lane. Each stretch of time and each
dot leads to the rows of the table that are of it. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from markupsafe import Markup

from server.console.charts.svg import Text, coordinate, element, figure, size_text, table_of, title

LANES_MAX: Final = 12
STEPS_MAX: Final = 12
GAPS_MAX: Final = 64
_WIDTH: Final = 980.0
_LEFT, _RIGHT, _TOP, _BOTTOM, _LANE = 130.0, 12.0, 16.0, 26.0, 38.0
_COLUMNS: Final = 280
"""Stretches of time that are one dot."""
_DOT_MIN, _DOT_MAX = 2.4, 15.0
_HOUR: Final = 3_600_000
_SLOTS_H: Final = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720, 2160, 4320, 8760)
_SLOTS_MAX: Final = 14
_LEAST_MS: Final = 60_000

Link = Callable[[str, int, int], str]
"""The address of the rows of a channel ("" of all) from a time up to another, ms UTC."""


class Point(msgspec.Struct, frozen=True, gc=False):
    """`own`: of the alert's evidence."""

    time: int
    bytes: int
    own: bool


class AlertLane(msgspec.Struct, frozen=True):
    """`gaps`: times in which nothing watched it, ms UTC."""

    key: str
    label: str
    points: tuple[Point, ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()


class Step(msgspec.Struct, frozen=True):
    """One step of a sequence. `lane`: a key."""

    lane: str
    time: int
    words: str


class _Dot(msgspec.Struct):
    first: int
    last: int
    events: int
    bytes: int


class _Scale(msgspec.Struct, frozen=True):
    first: int
    last: int

    def x(self, time: float) -> float:
        """Within the picture, whatever the time."""
        whole = max(_LEAST_MS, self.last - self.first)
        part = min(1.0, max(0.0, (time - self.first) / whole))
        return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)

    def column(self, time: int) -> int:
        whole = max(_LEAST_MS, self.last - self.first)
        return min(_COLUMNS - 1, max(0, (time - self.first) * _COLUMNS // whole))


def alert_lanes(
    lanes: Sequence[AlertLane],
    first: int,
    last: int,
    text: Text,
    *,
    zone: ZoneInfo,
    link: Link,
    steps: Sequence[Step] = (),
    chosen: tuple[int | None, int | None] = (None, None),
) -> Markup:
    """`first`, `last`: ms UTC, a day around the evidence. `chosen`: what the table is narrowed to."""
    scale = _Scale(first, max(last, first + _LEAST_MS))
    shown = list(lanes[:LANES_MAX])
    height = _TOP + _LANE * max(1, len(shown)) + _BOTTOM
    drawn: list[Markup] = [*_slots(scale, height, zone, link, text), *_chosen(scale, height, chosen)]
    middles = {lane.key: _TOP + _LANE * (number + 0.5) for number, lane in enumerate(shown)}
    for lane in shown:
        drawn += _lane(lane, middles[lane.key], scale, zone, link, text)
    drawn += _steps([step for step in steps[:STEPS_MAX] if step.lane in middles], middles, scale, zone)
    label = text(
        "Evidence by channel, {first} to {last}",
        first=_moment(scale.first, zone),
        last=_moment(scale.last, zone),
    )
    # No picture to those who hear it: its links can be followed.
    drawing = {
        "class": "chart chart-alert-lanes",
        "viewBox": f"0 0 {coordinate(_WIDTH)} {coordinate(height)}",
        "role": "group",
        "aria-label": label,
    }
    picture = element("svg", drawing, *drawn)
    return figure("lanes", picture, _table(shown, text, zone), label)


def _slots(scale: _Scale, height: float, zone: ZoneInfo, link: Link, text: Text) -> Iterator[Markup]:
    """Stretches of time that lead to their rows, with the axis beneath."""
    hours = (scale.last - scale.first) / _HOUR
    step = next((each for each in _SLOTS_H if hours / each <= _SLOTS_MAX), _SLOTS_H[-1]) * _HOUR
    offset = datetime.fromtimestamp(scale.first / 1000, zone).utcoffset()
    shift = 0 if offset is None else int(offset.total_seconds() * 1000)
    begin = (scale.first + shift) // step * step - shift
    number = 0
    while begin < scale.last and number < 4 * _SLOTS_MAX:
        end = begin + step
        left, right = scale.x(begin), scale.x(end)
        words = text("Only {first} to {last}", first=_moment(begin, zone), last=_moment(end, zone))
        place = {"class": "slot", "x": left, "y": 0.0, "width": max(0.0, right - left)}
        rectangle = element("rect", {**place, "height": height - _BOTTOM + 22}, title(words))
        axis = element(
            "text",
            {"class": "axis", "x": (left + right) / 2, "y": height - 8, "text-anchor": "middle"},
            _tick(begin, step, zone) if right - left > 34 else "",
        )
        href = link("", begin, end)
        yield element("a", {"href": href, "data-evidence": "", "aria-label": words}, rectangle)
        yield axis
        begin, number = end, number + 1


def _chosen(scale: _Scale, height: float, chosen: tuple[int | None, int | None]) -> Iterator[Markup]:
    since, until = chosen
    if since is None and until is None:
        return
    left = scale.x(scale.first if since is None else since)
    right = scale.x(scale.last if until is None else until)
    place = {"class": "chosen", "x": left, "y": 1.0, "width": max(2.0, right - left)}
    yield element("rect", {**place, "height": height - _BOTTOM})


def _lane(
    lane: AlertLane, middle: float, scale: _Scale, zone: ZoneInfo, link: Link, text: Text
) -> Iterator[Markup]:
    named = {"class": "name", "x": _LEFT - 10, "y": middle + 4, "text-anchor": "end"}
    yield element("text", named, lane.label)
    yield element("line", {"class": "base", "x1": _LEFT, "x2": _WIDTH - _RIGHT, "y1": middle, "y2": middle})
    for begin, end in lane.gaps[:GAPS_MAX]:
        left, right = scale.x(begin), scale.x(end)
        if right > left:
            words = text("{channel}: not watched", channel=lane.label)
            spot = {"class": "gap", "x": left, "y": middle - 8, "width": right - left, "height": 16.0}
            yield element("rect", spot, title(words))
    for own in (False, True):
        dots = _dots((point for point in lane.points if point.own is own), scale)
        most = max((dot.bytes for dot in dots), default=0)
        for dot in sorted(dots, key=lambda each: (-each.bytes, each.first)):
            yield _circle(dot, lane, middle, scale, zone, link, text, own=own, most=most)


def _dots(points: Iterator[Point], scale: _Scale) -> list[_Dot]:
    """What falls together is one dot: thousands of events are a few hundred."""
    found: dict[int, _Dot] = {}
    for point in points:
        if not scale.first <= point.time <= scale.last:
            continue
        column = scale.column(point.time)
        dot = found.get(column)
        if dot is None:
            found[column] = _Dot(point.time, point.time, 1, max(0, point.bytes))
        else:
            dot.first, dot.last = min(dot.first, point.time), max(dot.last, point.time)
            dot.events, dot.bytes = dot.events + 1, dot.bytes + max(0, point.bytes)
    return list(found.values())


def _circle(
    dot: _Dot,
    lane: AlertLane,
    middle: float,
    scale: _Scale,
    zone: ZoneInfo,
    link: Link,
    text: Text,
    *,
    own: bool,
    most: int,
) -> Markup:
    part = math.sqrt(min(dot.bytes, 2**62) / most) if most > 0 else 0.0
    radius = _DOT_MIN + part * (_DOT_MAX - _DOT_MIN)
    spot = {"cx": scale.x((dot.first + dot.last) / 2), "cy": middle, "r": radius}
    said = [f"{_moment(dot.first, zone)} · {lane.label}"]
    amount = text("{n} event|{n} events", n=dot.events)
    said.append(f"{amount} · {size_text(dot.bytes)}" if dot.bytes else amount)
    if not own:
        said.append(text("not of this alert's evidence"))
    circle = element("circle", {"class": "own" if own else "other", **spot}, title("\n".join(said)))
    if not own:
        return circle
    href = link(lane.key, dot.first, dot.last + 1)
    return element("a", {"href": href, "data-evidence": "", "aria-label": ", ".join(said)}, circle)


def _steps(
    steps: Sequence[Step], middles: dict[str, float], scale: _Scale, zone: ZoneInfo
) -> Iterator[Markup]:
    """A line through the steps in their order, each with its number."""
    if not steps:
        return
    places = [(scale.x(step.time), middles[step.lane]) for step in steps]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield element("polyline", {"class": "sequence", "points": path})
    for number, (step, (x, y)) in enumerate(zip(steps, places, strict=True), start=1):
        words = f"{number}. {step.words} · {_moment(step.time, zone)}"
        ring = element("circle", {"class": "step", "cx": x, "cy": y, "r": 8.0}, title(words))
        digit = {"class": "step-number", "x": x, "y": y + 3.6, "text-anchor": "middle"}
        yield element("g", {"class": "step-mark"}, ring, element("text", digit, str(number)))


def _table(lanes: Sequence[AlertLane], text: Text, zone: ZoneInfo) -> Markup:
    rows = []
    for lane in lanes:
        own = [point for point in lane.points if point.own]
        others = len(lane.points) - len(own)
        rows.append(
            (
                lane.label,
                str(len(own)),
                size_text(sum(point.bytes for point in own)),
                _moment(min(each.time for each in own), zone) if own else "–",
                _moment(max(each.time for each in own), zone) if own else "–",
                str(others),
            )
        )
    head = (
        text("Channel"),
        text("Events"),
        text("Size"),
        text("First"),
        text("Last"),
        text("Other events around it"),
    )
    return table_of(text, head, rows)


def _moment(at: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(at / 1000, zone):%m-%d %H:%M}"


def _tick(at: int, step: int, zone: ZoneInfo) -> str:
    local = datetime.fromtimestamp(at / 1000, zone)
    if step >= 24 * _HOUR:
        return f"{local:%m-%d}"
    return f"{local:%m-%d}" if local.hour == 0 else f"{local:%H:%M}"
