"""Lanes of an alert: bounded whatever comes, escaped, and each stretch of time leads to its rows."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from server.console.charts.alert_lanes import AlertLane, Point, Step, alert_lanes

DAY = 86_400_000
NOW = 1_795_305_600_000
_times = st.integers(NOW - 3 * DAY, NOW + 3 * DAY)
_points = st.lists(st.builds(Point, _times, st.integers(-5, 2**63), st.booleans()), max_size=60)
_gaps = st.lists(st.tuples(_times, _times), max_size=5)
_lanes = st.lists(
    st.builds(
        AlertLane, st.sampled_from("abcdef"), st.text(max_size=9), _points.map(tuple), _gaps.map(tuple)
    ),
    max_size=15,
)


def _text(phrase: str, /, **values: object) -> str:
    return phrase.partition("|")[0].format(**values)


def _drawn(lanes: list[AlertLane], first: int, last: int, steps: tuple[Step, ...] = ()) -> Markup:
    return alert_lanes(
        lanes,
        first,
        last,
        _text,
        zone=ZoneInfo("Asia/Kolkata"),
        link=lambda channel, since, until: f"/alerts/1?channel={channel}&since={since}&until={until}",
        steps=steps,
        chosen=(first, None),
    )


@given(_lanes, _times, _times)
def test_whatever_comes_it_is_drawn_within_bounds(lanes: list[AlertLane], first: int, last: int) -> None:
    drawn = str(_drawn(lanes, first, last))
    for name, value in re.findall(r' (x|y|cx|cy|r|width|height)="([^"]*)"', drawn):
        assert -50 <= float(value) <= 1100, name
    assert len(drawn) < 1_000_000


def test_thousands_of_events_are_a_few_hundred_dots() -> None:
    points = tuple(Point(NOW + n * 17_000, n, n % 3 > 0) for n in range(5000))
    drawn = _drawn([AlertLane("uploads", "Uploads", points)], NOW - DAY, NOW + 2 * DAY)
    assert drawn.count("<circle") <= 2 * 280
    assert len(drawn) < 250_000


def test_steps_are_joined_in_their_order_and_names_of_channels_are_escaped() -> None:
    lanes = [AlertLane("a", "<b>", (Point(NOW, 5, True),)), AlertLane("c", "C", gaps=((NOW - DAY, NOW),))]
    steps = (Step("a", NOW - 1000, "export"), Step("c", NOW, "<i>stick"), Step("gone", NOW, "x"))
    drawn = _drawn(lanes, NOW - DAY, NOW + DAY, steps)
    assert "<b>" not in drawn
    assert "<i>" not in drawn
    assert drawn.count('class="step"') == 2
    assert drawn.count("<polyline") == 1
    assert 'class="gap"' in drawn
    ElementTree.fromstring(f"<div>{drawn}</div>")


def test_every_stretch_of_time_leads_to_its_rows() -> None:
    drawn = _drawn([AlertLane("a", "A")], NOW - DAY, NOW + DAY)
    slots = [(int(a), int(b)) for a, b in re.findall(r"channel=&amp;since=(\d+)&amp;until=(\d+)", drawn)]
    assert slots[0][0] <= NOW - DAY
    assert slots[-1][1] >= NOW + DAY
    assert all(one[1] == other[0] for one, other in pairwise(slots))
    assert len(slots) <= 15
