"""Who an account belongs to and where that person stands, at any moment."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schema.leaver_fields import PersonStatus
from server.people.calendar import day_type
from server.people.directory import Directory, PersonRecord
from server.people.facts import Employment
from server.people.holders import Binding
from tests.server.people.directories import day, ms, owned

_DAY_ZERO = date(1970, 1, 1).toordinal()
NOW = 1_795_305_600_000


def _person(
    person_id: str = "1", *, zone: str = "Asia/Shanghai", notice: str | None = None, last: str | None = None
) -> PersonRecord:
    dates = Employment(
        notice_day=None if notice is None else day(notice), last_day=None if last is None else day(last)
    )
    return PersonRecord(person_id, "Sales", time_zone=zone, employments=(dates,))


def _directory(*people: PersonRecord, accounts: dict[str, str] | None = None) -> Directory:
    return Directory(1, people, owned(accounts or {}), time_zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("local", "status", "days"),
    [
        ("2026-10-31T23:59:59+08:00", PersonStatus.ACTIVE, None),
        ("2026-11-01T00:00:00+08:00", PersonStatus.NOTICE, 27),
        ("2026-11-22T12:00:00+08:00", PersonStatus.NOTICE, 6),
        ("2026-11-28T23:59:59+08:00", PersonStatus.NOTICE, 0),
        ("2026-11-29T00:00:00+08:00", PersonStatus.LEFT, -1),
        ("2027-05-01T00:00:00+08:00", PersonStatus.LEFT, -154),
    ],
)
def test_status_changes_at_local_midnight_and_the_last_day_is_still_worked(
    local: str, status: PersonStatus, days: int | None
) -> None:
    person = _person(notice="2026-11-01", last="2026-11-28")
    assert _directory(person).status_at(person, ms(local)) == (status, days)


@pytest.mark.parametrize(
    ("notice", "last", "at", "expected"),
    [
        (None, "2026-11-28", "2026-08-29T12:00:00+08:00", (PersonStatus.ACTIVE, None)),
        (None, "2026-11-28", "2026-08-30T12:00:00+08:00", (PersonStatus.NOTICE, 90)),
        ("2026-11-01", None, "2030-01-01T00:00:00+08:00", (PersonStatus.NOTICE, None)),
        (None, None, "2026-11-28T00:00:00+08:00", (PersonStatus.ACTIVE, None)),
    ],
)
def test_status_with_only_one_date(
    notice: str | None, last: str | None, at: str, expected: tuple[PersonStatus, int | None]
) -> None:
    person = _person(notice=notice, last=last)
    assert _directory(person).status_at(person, ms(at)) == expected


def test_nobody_has_the_status_unknown() -> None:
    assert _directory().status_at(None, 0) == (PersonStatus.UNKNOWN, None)


def test_accounts_resolve_in_every_listed_form_whatever_the_case() -> None:
    alice = _person("1")
    directory = _directory(alice, accounts={"alice": "1", "corp\\alice": "1", "alice@corp.example": "1"})
    for written in ("alice", "ALICE", " Alice ", "CORP\\alice", "Alice@Corp.Example"):
        assert directory.person_by_account(written, "any-host", NOW) == alice
    for other in ("alice@other.example", "OTHER\\alice", "alic", ""):
        assert directory.person_by_account(other, "any-host", NOW) is None


def test_account_listed_with_a_host_wins_there_and_nowhere_else() -> None:
    alice, bob = _person("1"), _person("2")
    directory = _directory(alice, bob, accounts={"user": "1", "user@kiosk-2": "2", "kiosk-3\\user": "2"})
    assert directory.person_by_account("user", "laptop", NOW) == alice
    assert directory.person_by_account("user", None, NOW) == alice
    assert directory.person_by_account("USER", "Kiosk-2", NOW) == bob
    assert directory.person_by_account("user", "kiosk-3", NOW) == bob


def test_composed_and_decomposed_letters_are_the_same_account() -> None:
    directory = _directory(_person("1"), accounts={"jürgen": "1"})
    assert directory.person_by_account("ju\u0308rgen", None, NOW) is not None


@given(
    st.sampled_from(
        ["Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe",
         "America/New_York", "Pacific/Apia", "Africa/Casablanca", "UTC", "Etc/GMT-14"]
    ),
    st.integers(ms("1975-01-01T00:00:00+00:00"), ms("2037-12-31T00:00:00+00:00")),
)  # fmt: skip
def test_local_day_and_hour_equal_the_zone_database_at_any_time(zone: str, at: int) -> None:
    person = _person(zone=zone)
    directory = _directory(person)
    # The first call fills the cached quarter of an hour from its other end.
    directory.local_day_and_hour(person, at // 900_000 * 900_000)
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).astimezone(ZoneInfo(zone))
    assert directory.local_day_and_hour(person, at) == (local.toordinal() - _DAY_ZERO, local.hour)


def test_nobody_lives_in_the_companys_zone() -> None:
    at = ms("2026-11-21T23:30:00+00:00")
    assert _directory().local_day_and_hour(None, at) == (day("2026-11-22"), 0)


def test_weekends_are_off() -> None:
    week = [day_type(day(f"2026-11-{n}")) for n in range(16, 23)]
    assert week == ["work"] * 5 + ["off"] * 2
    assert day_type(day("1969-12-27")) == "off"


def test_a_device_that_an_application_names_is_the_machine_of_that_name() -> None:
    traits = {
        "host:laptop-7": (Binding("p1"),),
        "host:laptop-8": (Binding("p1"),),
        "device:laptop-8": (Binding("p2"),),
    }
    directory = Directory(1, [PersonRecord("p1"), PersonRecord("p2")], traits=traits)
    shown = ("host:laptop-7", "device:LAPTOP-7", "device:laptop-8", "device:laptop-9", "address:laptop-7")
    holders = [directory.holder(trait, 0) for trait in shown]
    assert [holder and holder.id for holder in holders] == ["p1", "p1", "p2", None, None]
    assert directory.holdings("device:laptop-7") == directory.holdings("host:laptop-7")
