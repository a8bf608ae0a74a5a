"""Active, on notice, left: at any moment, for any employments, on any night when clocks are set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from event_schema.leaver_fields import PersonStatus
from server.people.facts import Employment, LeaverFlag
from server.people.local_time import end_of_day, end_of_minute, first_moment, local_day_and_hour
from server.people.standing import NOTICE_LOOK_BACK_DAYS, Timeline, flagged, timeline
from tests.server.people.directories import day, ms

ACTIVE, NOTICE, LEFT = PersonStatus.ACTIVE, PersonStatus.NOTICE, PersonStatus.LEFT
ZONES = ["Asia/Shanghai", "Europe/Berlin", "America/Sao_Paulo", "Africa/Cairo", "Asia/Beirut", "Pacific/Apia",
         "America/St_Johns", "Australia/Lord_Howe", "Atlantic/Azores", "UTC"]  # fmt: skip
_DAYS = st.integers(day("2015-01-01"), day("2027-12-31"))


def _at(found: Timeline, text: str) -> PersonStatus:
    return found.at(ms(text))[0]


def test_the_last_hour_is_still_worked_and_the_minute_after_it_is_not() -> None:
    found = timeline(
        [Employment(notice_day=day("2026-11-01"), last_day=day("2026-11-30"), last_minute=17 * 60 + 30)],
        None,
        "Asia/Shanghai",
    )
    assert _at(found, "2026-11-30T17:30:59.999+08:00") is NOTICE
    assert _at(found, "2026-11-30T17:31:00+08:00") is LEFT
    assert _at(found, "2026-10-31T23:59:59+08:00") is ACTIVE


def test_who_leaves_one_of_two_jobs_stays_and_has_left_when_both_are_over() -> None:
    shop = Employment(1, notice_day=day("2026-10-01"), last_day=day("2026-10-31"))
    desk = Employment(2, start_day=day("2024-01-01"))
    both = timeline([shop, desk], None, "UTC")
    assert {_at(both, f"2026-{month}-15T12:00:00+00:00") for month in ("09", "10", "11")} == {ACTIVE}
    ending = Employment(
        2, start_day=day("2024-01-01"), notice_day=day("2026-10-15"), last_day=day("2026-12-31")
    )
    found = timeline([shop, ending], None, "UTC")
    assert _at(found, "2026-10-10T12:00:00+00:00") is ACTIVE
    assert found.at(ms("2026-10-20T12:00:00+00:00")) == (NOTICE, day("2026-12-31"))
    assert found.at(ms("2026-11-20T12:00:00+00:00")) == (NOTICE, day("2026-12-31"))
    assert found.at(ms("2027-01-01T00:00:00+00:00")) == (LEFT, day("2026-12-31"))


@pytest.mark.parametrize("last_minute", [None, 12 * 60])
def test_a_rehire_on_the_day_after_is_no_leaving_and_a_later_one_is(last_minute: int | None) -> None:
    first = Employment(1, last_day=day("2026-11-30"), last_minute=last_minute)
    soon = timeline([first, Employment(2, start_day=day("2026-12-01"))], None, "Europe/Berlin")
    assert {status for status, _ in soon.standings} == {ACTIVE}
    later = timeline([first, Employment(2, start_day=day("2026-12-03"))], None, "Europe/Berlin")
    assert _at(later, "2026-12-01T10:00:00+01:00") is LEFT
    assert _at(later, "2026-12-02T23:59:59+01:00") is LEFT
    assert _at(later, "2026-12-03T00:00:00+01:00") is ACTIVE
    assert _at(later, "2026-11-20T00:00:00+01:00") is NOTICE


def test_who_has_not_begun_yet_has_not_left() -> None:
    found = timeline([Employment(start_day=day("2027-01-01"), last_day=day("2027-12-31"))], None, "UTC")
    assert _at(found, "2026-11-22T00:00:00+00:00") is ACTIVE


def test_a_flag_stands_over_the_dates_of_the_file_whether_earlier_or_later() -> None:
    stored = [Employment(notice_day=day("2026-11-10"), last_day=day("2026-11-30"))]
    today = LeaverFlag(last_day=day("2026-11-22"), last_minute=9 * 60)
    assert _at(timeline(stored, today, "UTC"), "2026-11-22T09:01:00+00:00") is LEFT
    later = LeaverFlag(last_day=day("2026-12-15"))
    assert timeline(stored, later, "UTC").at(ms("2026-12-10T00:00:00+00:00")) == (NOTICE, day("2026-12-15"))
    assert _at(timeline([], today, "UTC"), "2026-11-23T00:00:00+00:00") is LEFT
    rehired = [*stored, Employment(2, start_day=day("2027-03-01"))]
    assert _at(timeline(rehired, today, "UTC"), "2027-02-01T00:00:00+00:00") is LEFT
    assert _at(timeline(rehired, today, "UTC"), "2027-03-01T00:00:00+00:00") is ACTIVE


@given(st.sampled_from(ZONES), _DAYS)
@example("Atlantic/Azores", 17467)  # the next midnight comes twice, and this day does not come again
@example("America/St_Johns", day("2010-11-06"))  # a minute after midnight clocks go back: this day does
def test_days_begin_and_end_when_clocks_show_it_and_follow_each_other(zone: str, at: int) -> None:
    begin, end = first_moment(zone, at), end_of_day(zone, at)
    if local_day_and_hour(zone, begin)[0] != at:
        # Apia slept through 30 December 2011: there is no such day.
        assert begin == end
        return
    assert local_day_and_hour(zone, begin - 1)[0] < at
    assert local_day_and_hour(zone, end)[0] > at
    assert local_day_and_hour(zone, end - 1)[0] == at
    assert first_moment(zone, at + 1) <= end
    assert 23 * 3_600_000 <= end - begin <= 25 * 3_600_000


@given(st.sampled_from(ZONES), _DAYS, st.integers(0, 1439), st.integers(-26 * 60, 26 * 60))
def test_nobody_has_left_while_clocks_show_the_last_minute_or_an_earlier_one(
    zone: str, last: int, minute: int, offset: int
) -> None:
    found = timeline([Employment(last_day=last, last_minute=minute)], None, zone)
    moment = end_of_minute(zone, last, minute) + offset * 60_000
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)).astimezone(ZoneInfo(zone))
    shown = (local.toordinal() - 719_163, local.hour * 60 + local.minute)
    if found.at(moment)[0] is LEFT:
        assert shown > (last, minute)
    elif shown > (last, minute):
        # The hour that comes twice, or a minute that clocks skipped.
        assert offset < 0
        assert end_of_minute(zone, last, minute) - moment <= 2 * 3_600_000


_employments = st.builds(
    lambda start, length, notice, ends: (start, start + length, max(start, start + length - notice), ends),
    st.integers(20_000, 20_400),
    st.integers(0, 300),
    st.integers(0, 120),
    st.booleans(),
)


@given(st.lists(_employments, min_size=1, max_size=4), st.integers(19_900, 20_900))
def test_status_is_what_the_words_say_for_any_employments(
    drawn: list[tuple[int, int, int, bool]], today: int
) -> None:
    known = [
        Employment(
            number, start_day=start, notice_day=notice if ends else None, last_day=last if ends else None
        )
        for number, (start, last, notice, ends) in enumerate(drawn, start=1)
    ]
    status, last_day = timeline(known, None, "UTC").at(today * 86_400_000 + 3_600_000)
    begun = [e for e in known if (e.start_day or 0) <= today]
    open_now = [e for e in begun if e.last_day is None or e.last_day >= today]
    if not begun:
        assert status is ACTIVE
    elif not open_now:
        assert (status, last_day) == (LEFT, max(e.last_day or 0 for e in begun))
    else:
        assert status is not LEFT
        if any(e.last_day is None for e in open_now) or any((e.notice_day or 0) > today for e in open_now):
            assert status is ACTIVE
        if status is NOTICE:
            assert last_day is not None
            assert last_day >= max(e.last_day or 0 for e in open_now)


@given(st.lists(_employments, min_size=1, max_size=4))
def test_the_order_in_which_employments_became_known_does_not_show(
    drawn: list[tuple[int, int, int, bool]],
) -> None:
    known = [
        Employment(start_day=start, notice_day=notice if ends else None, last_day=last if ends else None)
        for start, last, notice, ends in drawn
    ]
    assert timeline(known, None, "Asia/Shanghai") == timeline(known[::-1], None, "Asia/Shanghai")


def test_without_a_notice_date_it_counts_from_the_look_back_window() -> None:
    last = day("2026-11-30")
    found = timeline([Employment(last_day=last)], None, "UTC")
    first = (last - NOTICE_LOOK_BACK_DAYS) * 86_400_000
    assert (found.at(first - 1)[0], found.at(first)[0]) == (ACTIVE, NOTICE)


def test_a_notice_date_of_hrs_behind_the_day_that_a_flag_says_is_none() -> None:
    employed = Employment(notice_day=day("2026-11-15"), last_day=day("2026-12-31"))
    (flagged_one,) = flagged((employed,), LeaverFlag(day("2026-11-01")))
    assert (flagged_one.notice_day, flagged_one.last_day) == (None, day("2026-11-01"))
    (later,) = flagged((employed,), LeaverFlag(day("2026-11-20")))
    assert later.notice_day == day("2026-11-15")
