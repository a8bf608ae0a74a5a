"""Dates as people write them: read when only one day can be meant, else refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

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


@given(
    st.integers(631_152_000 // 60, 2_145_830_400 // 60).map(
        lambda n: datetime.fromtimestamp(n * 60 + 7, UTC)
    ),
    st.sampled_from(["Asia/Shanghai", "Pacific/Kiritimati", "America/Los_Angeles", "Atlantic/Azores", "UTC"]),
    st.sampled_from(["UTC", "Asia/Kolkata", "America/St_Johns"]),
)
def test_a_moment_is_the_day_that_the_person_then_has(moment: datetime, zone: str, written_in: str) -> None:
    shown = moment.astimezone(ZoneInfo(written_in))
    text = shown.strftime("%Y-%m-%dT%H:%M:%S.%f0%z")
    forms = [text, f"{text[:-2]}:{text[-2:]}", text.replace("+0000", "Z"), text.replace("+0000", "z")]
    local = moment.astimezone(ZoneInfo(zone)).date()
    assert {read_day(form, zone_name=zone) for form in forms} == {_number(local)}


@pytest.mark.parametrize(
    ("text", "zone", "local"),
    [
        ("2026-11-30T15:59:59Z", "Asia/Shanghai", "2026-11-30"),
        ("2026-11-30T16:00:00Z", "Asia/Shanghai", "2026-12-01"),
        ("2026-11-30T04:59:59Z", "America/New_York", "2026-11-29"),
        ("2026-11-30T05:00:00Z", "America/New_York", "2026-11-30"),
        ("30.11.2026 23:30 -05:00", "Europe/Berlin", "2026-12-01"),
        ("2026年12月1日 0:30+09:00", "Europe/Berlin", "2026-11-30"),
        # Midnight is no time of day: the date as somebody's program wrote it, east and west.
        ("2026-11-30T00:00:00Z", "America/New_York", "2026-11-30"),
        ("2026-11-30T00:00:00.0000000+08:00", "America/New_York", "2026-11-30"),
        # Without an offset it is the time where the person is.
        ("2026-11-30T23:59:59", "America/New_York", "2026-11-30"),
        ("11/30/2026 11:59 PM", "Asia/Shanghai", "2026-11-30"),
    ],
)
def test_moments_on_either_side_of_midnight_east_and_west(text: str, zone: str, local: str) -> None:
    assert read_day(text, zone_name=zone) == read_day(local)


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


@pytest.mark.parametrize("text", ["", "   ", "9999-12-31", "31.12.9999", "9999-12-31T23:59:59Z"])
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
        ("2026-11-28T25:00:00Z", "there is no time 25:00:00Z"),
        ("2026-11-28T10:61Z", "there is no time 10:61:00Z"),
        ("2026-11-28T10:00+99:00", r"there is no time 10:00:00\+99:00"),
        ("2026-11-28T10:00:00Z", "a moment and no day"),
    ],
)
def test_what_is_no_date_says_why(text: str, words: str) -> None:
    with pytest.raises(UnreadableDate, match=words):
        read_day(text)
