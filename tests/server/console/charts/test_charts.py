"""Charts: the same text each time, bounded, well-formed, escaped, with finite numbers only."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from server.console.charts.day_bars import DayPair, day_bars
from server.console.charts.days import DAYS_MAX, short_day, ticks
from server.console.charts.hours_of_week import hours_of_week
from server.console.charts.lanes import Lane, LaneDay, lanes
from server.console.charts.risk_line import RiskMark, RiskPoint, risk_line
from server.console.charts.spark import spark
from server.console.charts.stacked_bar import BarPart, stacked_bar
from server.console.charts.strip import StripCell, strip
from server.console.charts.svg import coordinate, size_text
from server.console.charts.why_bars import WhyPart, why_bars
from server.console.phrases import phrase

HOSTILE = "</svg><script>alert(1)</script>\"' onload=x \u202eRTL & \U0001f4a5"
SIZES = {"width", "height", "r", "rx"}


def english(words: str, /, **values: object) -> str:
    return phrase(words, "en", **values)


def checked(drawn: Markup) -> ElementTree.Element:
    """Parsed; every number finite, no size negative, no style, no script, no event attribute."""
    root = ElementTree.fromstring(f"<div>{drawn}</div>")
    for each in root.iter():
        assert each.tag not in {"script", "style", "foreignObject"}
        for name, value in each.attrib.items():
            assert name != "style"
            assert not name.startswith("on")
            if name in SIZES:
                assert float(value) >= 0, (each.tag, name, value)
            elif re.fullmatch(r"[xy][12]?|c[xy]", name):
                assert abs(float(value)) < 1e6
            elif name == "points":
                assert all(abs(float(n)) < 1e6 for n in re.split(r"[ ,]", value))
    return root


numbers = st.integers(min_value=-(2**63), max_value=2**63)
days = st.integers(min_value=-1000, max_value=60_000)
words = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"),
    max_size=30,
)
lane_days = st.builds(
    LaneDay, day=days, bytes=numbers, files=numbers, events=numbers, risk=st.integers(0, 100)
)
some_lanes = st.builds(
    Lane,
    key=words,
    label=words,
    days=st.lists(lane_days, max_size=30).map(tuple),
    gaps=st.lists(st.tuples(days, days), max_size=10).map(tuple),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(some_lanes, max_size=5), days, days, st.none() | days, st.none() | days)
def test_lanes_hold_whatever_is_given(
    shown: list[Lane], first: int, last: int, notice: int | None, end: int | None
) -> None:
    drawn = lanes(shown, first, last, english, notice=notice, last_working_day=end, today=last)
    checked(drawn)
    assert drawn == lanes(shown, first, last, english, notice=notice, last_working_day=end, today=last)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.none() | numbers, max_size=50), numbers, st.lists(st.tuples(days, numbers, words), max_size=9)
)
def test_risk_lines_hold_whatever_is_given(
    scores: list[int | None], line: int, marks: list[tuple[int, int, str]]
) -> None:
    points = [RiskPoint(20_000 + number, score) for number, score in enumerate(scores)]
    checked(
        risk_line(points, line, english, marks=[RiskMark(day, n, "open", said) for day, n, said in marks])
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.none() | numbers, max_size=120), st.lists(st.lists(numbers, max_size=24), max_size=7))
def test_small_charts_hold_whatever_is_given(values: list[int | None], cells: list[list[int]]) -> None:
    checked(spark(values, english))
    checked(hours_of_week(cells, english, odd={(0, 0), (6, 23)}, works=lambda day, _hour: day < 5))
    checked(stacked_bar([BarPart("x", n or 0) for n in values], "all", english))
    checked(why_bars(90, [WhyPart("x", n or 0) for n in values], english))
    pairs = [DayPair(20_000 + at, n or 0, n) for at, n in enumerate(values)]
    checked(day_bars(pairs, english, before="now", after="then", label="alerts a day"))


def test_what_is_given_ends_no_tag() -> None:
    lane = Lane(HOSTILE, HOSTILE, (LaneDay(20_000, 5, 1, 1, 80, (7,)),), ((19_990, 19_995),))
    drawn = [
        lanes([lane], 19_980, 20_000, english),
        risk_line([RiskPoint(20_000, 80)], 50, english, marks=[RiskMark(20_000, 80, HOSTILE, HOSTILE)]),
        why_bars(90, [WhyPart(HOSTILE, 5, HOSTILE, f"/alerts/1#{HOSTILE}")], english),
        stacked_bar([BarPart(HOSTILE, 5, HOSTILE, HOSTILE)], HOSTILE, english),
        strip([StripCell(HOSTILE, HOSTILE, "<")], HOSTILE),
        day_bars([DayPair(20_000, 1, 2)], english, before=HOSTILE, after=HOSTILE, label=HOSTILE),
    ]
    for each in drawn:
        checked(each)
        assert "<script" not in each


def test_thousands_of_points_are_bounded() -> None:
    many = tuple(LaneDay(day, 10**9, 5, 5, 99, (1, 2, 3, 4, 5)) for day in range(20_000))
    drawn = lanes([Lane(str(n), "x", many) for n in range(40)], 0, 20_000, english)
    checked(drawn)
    assert 0 < len(re.findall("<circle", drawn)) <= 16 * DAYS_MAX
    assert len(drawn) < 4_000_000
    points = [RiskPoint(day, day % 101) for day in range(20_000)]
    assert len(risk_line(points, 50, english)) < 100_000
    assert len(spark([5] * 20_000, english)) < 20_000
    assert len(strip([StripCell("good", "x")] * 20_000, "x")) < 20_000
    assert len(stacked_bar([BarPart("x", 1)] * 20_000, "x", english)) < 10_000
    assert len(why_bars(9, [WhyPart("x", 1)] * 20_000, english)) < 20_000
    assert (
        len(day_bars([DayPair(n, 1, 2) for n in range(20_000)], english, before="a", after="b", label="c"))
        < 300_000
    )


def test_bars_add_up_when_some_are_gathered() -> None:
    drawn = why_bars(60, [WhyPart(str(n), 2) for n in range(30)], english)
    assert sum(map(int, re.findall(r">\+(\d+)<", drawn))) == 60


def test_unknown_days_are_no_zeros() -> None:
    points = [RiskPoint(20_000, None), RiskPoint(20_001, None), RiskPoint(20_002, 10), RiskPoint(20_003, 20)]
    drawn = checked(risk_line(points, 50, english))
    assert [each.get("class") for each in drawn.iter("rect")] == ["gap"]
    (line,) = drawn.iter("polyline")
    assert len((line.get("points") or "").split()) == 2


def test_a_lane_says_what_it_shows() -> None:
    lane = Lane("uploads", "Uploads", (LaneDay(20_000, 2_400_000, 3, 5, 80, (7,)),), ((19_990, 19_991),))
    drawn = checked(lanes([lane], 19_980, 20_009, english, notice=19_995, last_working_day=20_005))
    said = [each.text or "" for each in drawn.iter("title")]
    assert any("3 files · 2.4 MB · 5 events\nhigh risk\nevidence of alert 7" in each for each in said)
    assert any("not watched" in each for each in said)
    assert [each.get("class") for each in drawn.iter("circle")] == ["risk-high alerted"]
    assert {"notice", "last-day", "gap"} <= {each.get("class") for each in drawn.iter()}
    assert [each.text for each in drawn.iter("td")] == ["3 files · 2.4 MB · 5 events · high risk · alert 7"]


def test_notice_before_the_picture_is_shaded_from_its_edge() -> None:
    drawn = checked(lanes([], 20_000, 20_009, english, notice=19_000, last_working_day=20_004))
    (shade,) = [each for each in drawn.iter("rect") if each.get("class") == "notice"]
    assert float(shade.get("width") or 0) > 400


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_400_000, "2.4 MB"), (-5, "0 B"), (999_600, "1.0 MB")],
)
def test_sizes(number: int, said: str) -> None:
    assert size_text(number) == said


def test_numbers() -> None:
    assert coordinate(float("nan")) == "0"
    assert coordinate(-0.01) == "0"
    assert coordinate(1e300) == "100000"
    assert short_day(english, 0) == "1 Jan"
    assert len(list(ticks(20_000, 20_400))) <= 14
