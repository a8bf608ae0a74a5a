"""Dates as people write them: read when only one day can be meant, else refused."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.people.dates import UnreadableDate, day_text, read_day

_days = st.dates(date(1970, 1, 1), date(2199, 12, 31))
_DAY_ZERO = date(1970, 1, 1).toordinal()


def _number(day: date) -> int:
    return day.toordinal() - _DAY_ZERO


@given(_days)
def test_every_unambiguous_form_reads_as_the_same_day(day: date) -> None:
    y, m, d = day.year, day.month, day.day
    forms = [
        day.isoformat(),
        f"{y}/{m}/{d}",
        f"{y}.{m:02}.{d:02}",
        f"{y}{m:02}{d:02}",
        f"{d}.{m}.{y}",
        f"{d:02}.{m:02}.{y}",
        f"{y}年{m}月{d}日",
        f"{y} 年 {m} 月 {d} 日",
        f" {day.isoformat()}T00:00:00Z ",
        f"{y}/{m}/{d} 0:00:00",
        day.isoformat().translate(str.maketrans("0123456789-", "０１２３４５６７８９－")),
    ]
    assert {form: read_day(form) for form in forms} == dict.fromkeys(forms, _number(day))
    assert day_text(_number(day)) == day.isoformat()


@given(_days)
def test_year_at_the_end_is_read_or_refused_but_never_guessed(day: date) -> None:
    for text in (f"{day.day}/{day.month}/{day.year}", f"{day.month:02}-{day.day:02}-{day.year}"):
        if day.day <= 12 and day.day != day.month:
            with pytest.raises(UnreadableDate, match="two ways"):
                read_day(text)
        else:
            assert read_day(text) == _number(day)


@given(st.text(max_size=24))
def test_any_text_is_a_day_nothing_or_refused(text: str) -> None:
    try:
        found = read_day(text)
    except UnreadableDate as error:
        assert str(error)
    else:
        assert found is None or date(1970, 1, 1) <= date.fromisoformat(day_text(found)) <= date(2199, 12, 31)


@pytest.mark.parametrize("text", ["", "   ", "9999-12-31", "31.12.9999"])
def test_no_end_is_no_date(text: str) -> None:
    assert read_day(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-02-30", "there is no day 2026-02-30"),
        ("2025-02-29", "there is no day"),
        ("2026-13-01", "there is no day"),
        ("2026年0月5日", "there is no day"),
        ("1900-01-01", "year 1900"),
        ("2200-01-01", "year 2200"),
        ("28.11.26", "four digits"),
        ("46354", "day number"),
        ("soon", "not a date"),
        ("2026-11/28", "not a date"),
        ("2026-11-28; DROP", "not a date"),
    ],
)
def test_what_is_no_date_says_why(text: str, words: str) -> None:
    with pytest.raises(UnreadableDate, match=words):
        read_day(text)
