"""Working hours where each person is, on working days, also over midnight."""

from __future__ import annotations

import pytest

from server.people.calendar import Calendar
from server.people.working_hours import WorkingHours, parse_hours
from tests.server.people.directories import ms

CHINA = Calendar("CN")


@pytest.mark.parametrize(
    ("at", "zone", "off"),
    [
        ("2026-09-25T08:59+08:00", "Asia/Shanghai", True),  # Mid-autumn holiday
        ("2026-09-24T08:59+08:00", "Asia/Shanghai", True),
        ("2026-09-24T09:00+08:00", "Asia/Shanghai", False),
        ("2026-09-24T18:29+08:00", "Asia/Shanghai", False),
        ("2026-09-24T18:30+08:00", "Asia/Shanghai", True),
        ("2026-09-24T18:30+08:00", "Europe/Berlin", False),
        ("2026-09-25T12:00+08:00", "Asia/Shanghai", True),
        # A Sunday that is worked.
        ("2026-09-20T12:00+08:00", "Asia/Shanghai", False),
    ],
)
def test_hours_are_those_of_working_days_where_the_person_is(at: str, zone: str, off: bool) -> None:
    assert WorkingHours("09:00-18:30", CHINA.day_type).is_off(zone, ms(at)) is off


def test_a_night_shift_belongs_to_the_day_on_which_it_began() -> None:
    hours = WorkingHours("22:00-06:00", Calendar().day_type)
    friday_night = [ms("2026-11-20T23:00+00:00"), ms("2026-11-21T05:59+00:00")]
    assert not any(hours.is_off("UTC", at) for at in friday_night)
    others = ["2026-11-20T21:59+00:00", "2026-11-21T06:00+00:00", "2026-11-21T23:00+00:00"]
    assert all(hours.is_off("UTC", ms(at)) for at in (*others, "2026-11-23T05:00+00:00"))


def test_the_end_of_the_day_may_be_named() -> None:
    assert parse_hours("06:00-24:00") == (360, 1440)
    for text in ("24:00-06:00", "08:00-24:15", "08:10-17:00", "8:00-17:00", "08:00–17:00"):
        with pytest.raises(ValueError, match=r"hours|not like"):
            parse_hours(text)
