"""The report's two pictures: bars that add up to the score, and when what happened on which channel."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reportlab.lib.units import mm
from reportlab.platypus import Flowable

from server.alerts.view_types import ShareView
from server.console.channel_words import channel_name
from server.console.charts.svg import Text
from server.evidence_pack.report_text import (
    ACCENT,
    CHINESE,
    INK,
    LATIN,
    LINE,
    QUIET,
    TINT,
    marked_up,
    moment,
    plain,
)
from server.evidence_pack.timeline import BINS, Timeline

_BAR_ROW = 5.2 * mm
_LANE = 9 * mm
_LABEL = 42 * mm
_TITLE_LETTERS = 64
SHARES_MAX = 30


class WhyBars(Flowable):
    """A bar for each share, beginning where the one before ended."""

    def __init__(self, shares: Sequence[tuple[ShareView, str]], score: int) -> None:
        super().__init__()
        self._shares = shares[:SHARES_MAX]
        self._score = max(1, score)
        self.width = 0.0

    def wrap(self, width: float, _height: float) -> tuple[float, float]:
        self.width = width
        return width, _BAR_ROW * (len(self._shares) + 1)

    def draw(self) -> None:
        at = _BAR_ROW * len(self._shares)
        begin, room = 92 * mm, self.width - 92 * mm - 12 * mm
        reached = 0
        for share, title in self._shares:
            _text(self, 0, at + 1.4 * mm, plain(title, _TITLE_LETTERS), 8)
            self.canv.setFillColor(TINT)
            self.canv.rect(begin, at + 0.6 * mm, room, 3.2 * mm, stroke=0, fill=1)
            self.canv.setFillColor(ACCENT)
            first, size = (room * value / self._score for value in (reached, share.points))
            self.canv.rect(begin + first, at + 0.6 * mm, max(0.2, size), 3.2 * mm, stroke=0, fill=1)
            _text(self, begin + room + 3 * mm, at + 1.4 * mm, str(share.points), 8)
            reached += share.points
            at -= _BAR_ROW
        self.canv.setStrokeColor(LINE)
        self.canv.line(begin, at + _BAR_ROW, begin + room, at + _BAR_ROW)
        _text(self, begin + room + 3 * mm, at + 1.4 * mm, f"= {reached}", 8)


class LanesPicture(Flowable):
    """A lane for each channel, a dot for each span of time; its area is the number of bytes."""

    def __init__(self, timeline: Timeline, text: Text) -> None:
        super().__init__()
        self._timeline = timeline
        self._text = text
        self.width = 0.0

    def wrap(self, width: float, _height: float) -> tuple[float, float]:
        self.width = width
        return width, _LANE * max(1, len(self._timeline.channels)) + 8 * mm

    def draw(self) -> None:
        timeline, canvas = self._timeline, self.canv
        room = self.width - _LABEL
        most = max((math.log1p(b.bytes) for bins in timeline.channels.values() for b in bins), default=0.0)
        top = 8 * mm + _LANE * len(timeline.channels)
        for number, (channel, bins) in enumerate(sorted(timeline.channels.items())):
            middle = top - _LANE * (number + 0.5)
            canvas.setFillColor(TINT if number % 2 == 0 else "#ffffff")
            canvas.rect(_LABEL, middle - _LANE / 2, room, _LANE, stroke=0, fill=1)
            _text(self, 0, middle - 1 * mm, plain(channel_name(channel, self._text), 32), 8)
            canvas.setFillColor(ACCENT)
            for place, found in enumerate(bins):
                if found.events:
                    size = 0.7 * mm + (2.6 * mm * math.log1p(found.bytes) / most if most else 0.0)
                    canvas.circle(_LABEL + room * (place + 0.5) / BINS, middle, size, stroke=0, fill=1)
        canvas.setStrokeColor(QUIET)
        canvas.line(_LABEL, 8 * mm, self.width, 8 * mm)
        for share in (0.0, 0.5, 1.0):
            x = _LABEL + room * share
            at = moment(int(timeline.first + (timeline.last - timeline.first) * share))[:16]
            canvas.line(x, 8 * mm, x, 6.6 * mm)
            shift = {0.0: 0.0, 0.5: 13 * mm, 1.0: 26 * mm}[share]
            _text(self, x - shift, 3 * mm, at, 7)


def _text(flowable: Flowable, x: float, y: float, text: str, size: float) -> None:
    canvas = flowable.canv
    canvas.setFillColor(INK)
    canvas.setFont(CHINESE if "<font" in marked_up(text) else LATIN, size)
    canvas.drawString(x, y, text)
