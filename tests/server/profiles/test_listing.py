"""The list of people: who is on it, in which order, found by what; and that reading it names nobody new."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, select, update

from event_schema.leaver_fields import PersonStatus
from server.people.hr_import import import_people
from server.profiles.listing import (
    PAGE_ROWS,
    PeopleFilter,
    PeopleIndex,
    PeoplePage,
    read_people_filter,
)
from server.store.database import Database
from server.store.tables import alerts, channel_days, people, pseudonyms, subject_agents
from tests.server.alerts.recorded_leak import DAY, NOW, open_alert, record_leak

DAY_MS = 86_400_000
HEADER = "id,name,accounts,department,time zone,notice date,last working day\n"


class Owner(msgspec.Struct):
    database: Database


def index(database: Database) -> PeopleIndex:
    return PeopleIndex(Owner(database))


def roster(database: Database, lines: list[str]) -> None:
    with database.begin() as connection:
        report = import_people(
            connection, (HEADER + "\n".join(lines) + "\n").encode(), actor="cli:hr", at=NOW
        )
    assert report.applied, report


def seen(database: Database, *subjects: str) -> None:
    rows = [{"subject": subject, "agent": "laptop", "first_time": NOW} for subject in subjects]
    with database.begin() as connection:
        connection.execute(insert(subject_agents), rows)


def given(database: Database) -> set[str]:
    """Subjects that have a pseudonym."""
    with database.read() as connection:
        return set(connection.execute(select(pseudonyms.c.subject)).scalars())


def shown(page: PeoplePage) -> list[tuple[str | None, PersonStatus]]:
    return [(row.department, row.standing.status) for row in page.rows]


def test_who_was_seen_or_is_leaving_is_listed_and_nobody_else(database: Database) -> None:
    roster(
        database,
        [
            "E1,Ann One,ann,Sales,UTC,,",
            "E2,Ben Two,ben,Support,UTC,2026-11-01,2026-11-30",
            "E3,Cat Three,cat,Legal,UTC,,",
        ],
    )
    seen(database, "person:E1", "person:GONE", "account:kefu@web")
    before = given(database)
    page = index(database).page(PeopleFilter(), now=NOW)
    assert sorted(shown(page)) == [("Sales", PersonStatus.ACTIVE), ("Support", PersonStatus.NOTICE)]
    assert page.everybody == page.total == 2
    # Whoever is not declared, such as somebody who was erased, gets no pseudonym by being read of.
    assert given(database) <= before | {"person:E1", "person:E2"}


def test_the_worst_are_first_then_the_next_to_go(database: Database) -> None:
    record_leak(database)
    roster(database, ["E2,Ben Two,ben,Support,UTC,2026-11-01,2026-11-24", "E3,Cat Three,cat,Legal,UTC,,"])
    seen(database, "person:E3")
    open_alert(database, events=1, subject="account:kefu@web", alert_id=2, score=60)
    by_risk = index(database).page(PeopleFilter(), now=NOW)
    assert [(row.score, row.open_alerts, row.is_account) for row in by_risk.rows][:2] == [
        (87, 1, False),
        (60, 1, True),
    ]
    by_day = index(database).page(PeopleFilter(sort="last_day"), now=NOW)
    assert [row.standing.days_left for row in by_day.rows] == [2, 6, None, None]
    alerted = index(database).page(PeopleFilter(alerted=True), now=NOW)
    assert [row.score for row in alerted.rows] == [87, 60]
    assert index(database).page(PeopleFilter(status="leaving"), now=NOW).total == 2


def test_what_is_open_is_read_anew_and_closed_alerts_do_not_count(database: Database) -> None:
    record_leak(database)
    kept = index(database)
    assert kept.page(PeopleFilter(), now=NOW).rows[0].score == 87
    with database.begin() as connection:
        connection.execute(update(alerts).values(status="closed", verdict="false", closed_at=NOW))
    assert kept.page(PeopleFilter(), now=NOW).rows[0].score is None


def test_a_merged_alert_counts_with_its_main_one(database: Database) -> None:
    record_leak(database)
    open_alert(database, events=1, subject="account:kefu@web", alert_id=2, score=60)
    with database.begin() as connection:
        part = {"subject": "person:E1007", "family": "mail", "merged_into": 1, "score": 95}
        connection.execute(update(alerts).where(alerts.c.id == 2).values(part))
    (row,) = index(database).page(PeopleFilter(), now=NOW).rows
    assert (row.open_alerts, row.score) == (1, 95)


def test_the_list_is_found_by_pseudonym_and_department_and_never_by_a_name(database: Database) -> None:
    record_leak(database)
    kept = index(database)
    (row,) = kept.page(PeopleFilter(), now=NOW).rows
    for text in (row.pseudonym, row.pseudonym.lower(), row.pseudonym[:4], "sales", "SAL"):
        assert kept.page(PeopleFilter(text=text), now=NOW).total == 1, text
    for text in ("Alice", "alice", "wang", "E1007", "person:E1007", "awang@corp.example", "%", "_"):
        assert kept.page(PeopleFilter(text=text), now=NOW).total == 0, text


def test_who_is_erased_is_gone_from_the_kept_list(database: Database) -> None:
    roster(database, ["E2,Ben Two,ben,Support,UTC,2026-11-01,2026-11-30"])
    kept = index(database)
    assert kept.page(PeopleFilter(), now=NOW).total == 1
    from server.people.directory import raise_people_version  # noqa: PLC0415

    with database.begin() as connection:
        connection.execute(people.delete().where(people.c.id == "E2"))
        connection.execute(pseudonyms.delete())
        raise_people_version(connection)
    assert kept.page(PeopleFilter(), now=NOW).total == 0
    assert given(database) == set()


def test_pages_follow_each_other_without_a_gap(database: Database) -> None:
    dates = [f"2026-11-01,2026-12-{n % 28 + 1:02}" if n % 10 == 0 else "," for n in range(250)]
    roster(database, [f"E{n:04},Person {n},p{n},d{n % 7},UTC,{dates[n]}" for n in range(250)])
    seen(database, *(f"person:E{n:04}" for n in range(250)))
    kept = index(database)
    for sort in ("risk", "last_day"):
        wanted = read_people_filter({"sort": sort})
        found: list[str] = []
        while True:
            page = kept.page(wanted, now=NOW)
            assert len(page.rows) <= PAGE_ROWS
            found += [row.pseudonym for row in page.rows]
            if page.after is None:
                break
            wanted = msgspec.structs.replace(wanted, after=page.after)
        assert len(found) == len(set(found)) == 250


def test_last_seen_is_of_the_last_month_alone(database: Database) -> None:
    record_leak(database)
    row: dict[str, Any] = {
        "subject": "person:E1007",
        "channel": "uploads",
        "day_type": "work",
        "bytes": 1,
        "files": 1,
        "items": 0,
        "new_places": 0,
        "events": 1,
    }
    kept = index(database)
    with database.begin() as connection:
        old = {"day": DAY - 40, "first_time": NOW - 40 * DAY_MS, "last_time": NOW - 40 * DAY_MS}
        connection.execute(insert(channel_days).values(row | old))
    assert kept.page(PeopleFilter(), now=NOW).rows[0].seen is None
    with database.begin() as connection:
        new = {"day": DAY - 2, "first_time": NOW - 2 * DAY_MS, "last_time": NOW - 2 * DAY_MS}
        connection.execute(insert(channel_days).values(row | new))
    assert kept.page(PeopleFilter(), now=NOW).rows[0].seen == NOW - 2 * DAY_MS


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "after", ["", "x", "1~2", "1~2~P-", "9" * 40, "-1~-1~P-AAAAA", "1~1~P-AAAAA\n", "٣~1~P-AAAAA"]
)
def test_an_old_or_made_up_place_breaks_nothing(database: Database, after: str) -> None:
    record_leak(database)
    assert index(database).page(read_people_filter({"after": after}), now=NOW).total == 1
