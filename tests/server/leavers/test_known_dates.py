"""The dates that are kept in memory are never older than the people, nor than the clock."""

from __future__ import annotations

from event_schema.leaver_fields import PersonStatus
from server.leavers.known_dates import QUARTER_MS, known_dates
from server.people.facts import LeaverFlag
from server.people.flags import flag_person
from server.people.hr_view import hr_reading
from server.people.leaver_ledger import leaver_dates
from server.store.database import Database
from tests.server.leavers.company import NOW, make_company
from tests.server.people.directories import day, ms


def _status(database: Database, person: str, now: int) -> PersonStatus | None:
    return {each.id: each.status for each in known_dates(database, now)}.get(person)


def test_a_status_changes_with_the_last_minute(database: Database) -> None:
    make_company(database)
    ends = ms("2026-11-24T12:01:00+08:00")
    for moment in (ends - 3_600_000, ends - 1):
        assert _status(database, "E1003", moment) is PersonStatus.NOTICE
    assert _status(database, "E1003", ends) is PersonStatus.LEFT
    assert _status(database, "E1003", ends - 1) is PersonStatus.NOTICE


def test_they_are_what_is_stored_at_every_quarter_of_an_hour(database: Database) -> None:
    make_company(database)
    for step in range(0, 4 * 24, 5):
        now = NOW + step * QUARTER_MS
        with hr_reading(database) as connection:
            anew = [each for _, each in leaver_dates(connection, now).values() if each is not None]
        assert known_dates(database, now) == tuple(anew)


def test_a_change_of_people_shows_at_once(database: Database) -> None:
    make_company(database)
    assert _status(database, "E1007", NOW) is None
    with database.begin() as connection:
        flag_person(
            connection, "E1007", LeaverFlag(day("2026-12-11")), actor="t", at=NOW, reason=None, whole=True
        )
    assert _status(database, "E1007", NOW) is PersonStatus.NOTICE


def test_only_who_changed_is_worked_out_anew(database: Database) -> None:
    make_company(database)
    with hr_reading(database) as connection:
        before = leaver_dates(connection, NOW)
    with database.begin() as connection:
        flag_person(
            connection, "E1003", LeaverFlag(day("2026-12-11")), actor="t", at=NOW, reason=None, whole=True
        )
    with hr_reading(database) as connection:
        after = leaver_dates(connection, NOW, before)
        assert after == leaver_dates(connection, NOW)
    assert {person for person in after if after[person] is not before[person]} == {"E1003"}
