"""Working days by the company's calendar, holidays and make-up days included."""

from __future__ import annotations

import pytest

from server.config import ConfigError, parse_config
from server.people.calendar import Calendar, DayType, UnknownCalendar
from server.people.company import keep_company, load_company
from server.people.directory import load_directory
from server.store.database import Database
from tests.server.people.directories import day, ms


@pytest.mark.parametrize(
    ("date", "kind"),
    [
        # As the State Council announced them: National Day and Spring Festival, and what makes up for them.
        ("2024-02-04", "work"),
        ("2024-02-12", "off"),
        ("2024-02-18", "work"),
        ("2024-09-29", "work"),
        ("2024-10-12", "work"),
        ("2025-01-26", "work"),
        ("2025-01-28", "off"),
        ("2025-04-27", "work"),
        ("2025-10-08", "off"),
        ("2025-10-11", "work"),
        ("2026-01-04", "work"),
        ("2026-02-14", "work"),
        ("2026-02-16", "off"),
        ("2026-02-28", "work"),
        ("2026-05-09", "work"),
        ("2026-09-20", "work"),
        ("2026-10-01", "off"),
        ("2026-10-10", "work"),
        ("2026-11-22", "off"),
        ("2026-11-23", "work"),
    ],
)
def test_china_with_its_make_up_days(date: str, kind: DayType) -> None:
    assert Calendar("CN").day_type(day(date)) == kind


def test_2025_has_as_many_working_days_as_the_state_council_said() -> None:
    calendar = Calendar("cn")
    year = range(day("2025-01-01"), day("2026-01-01"))
    assert sum(calendar.day_type(each) == "work" for each in year) == 248


def test_a_part_of_a_country_has_holidays_of_its_own() -> None:
    reformation = day("2025-10-31")
    assert (Calendar("DE-BB").day_type(reformation), Calendar("DE-BE").day_type(reformation)) == (
        "off",
        "work",
    )


def test_without_a_calendar_and_outside_of_time_it_is_monday_to_friday() -> None:
    assert Calendar().day_type(day("2026-10-01")) == "work"
    assert Calendar("CN").day_type(10**7) in ("work", "off")


@pytest.mark.parametrize("name", ["XX", "DE-XX"])
def test_an_unknown_calendar_is_refused_in_the_settings_too(name: str) -> None:
    with pytest.raises(UnknownCalendar, match=name):
        Calendar(name)
    with pytest.raises(ConfigError, match=rf"people.calendar: '{name}' is no country"):
        parse_config(f'[people]\ncalendar = "{name}"\n'.encode(), source="server.toml")


def test_a_time_zone_that_is_none_is_refused_in_the_settings() -> None:
    with pytest.raises(ConfigError, match=r"people\.time_zone: 'Mars/Olympus' is not a time zone"):
        parse_config(b'[people]\ntime_zone = "Mars/Olympus"\n', source="server.toml")


def test_all_who_load_the_directory_go_by_what_the_server_was_told(database: Database) -> None:
    with database.begin() as connection:
        assert load_directory(connection).day_type(day("2026-10-10")) == "off"
        assert keep_company(connection, calendar="CN", time_zone="Asia/Shanghai")
        assert not keep_company(connection, calendar="CN", time_zone="Asia/Shanghai")
    with database.read() as connection:
        directory = load_directory(connection)
        assert load_company(connection).calendar.name == "CN"
    assert directory.day_type(day("2026-10-10")) == "work"
    at = ms("2026-10-09T23:00:00+00:00")
    assert directory.local_day_and_hour(None, at) == (day("2026-10-10"), 7)
