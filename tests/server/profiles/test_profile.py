"""One person's page: lanes with gaps, what is above usual, hours, belongings, alerts; names nowhere."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, update

from server.alerts.queries import Verdict, close_alert
from server.people.directory import load_directory
from server.people.pseudonyms import UnknownPseudonym, give_pseudonyms
from server.people.text_mask import masked_prose
from server.people.unmaskings import grant
from server.profiles.channel_lanes import ChannelLane, channel_lanes
from server.profiles.hours import hours_of_week, works_at
from server.profiles.profile import (
    Profile,
    Subject,
    known_subject,
    read_activity,
    read_profile,
    span_of,
)
from server.store.database import Database
from server.store.tables import (
    agents,
    channel_days,
    collector_days,
    days_watched_anywhere,
    subject_agents,
    subject_places,
    suspect_traits,
    trait_bindings,
    trait_uses,
)
from tests.server.alerts.recorded_leak import AGENT, DAY, NOW, SECRETS, record_leak

SUBJECT = "person:E1007"
DAY_MS = 86_400_000
CHANNELS = ("removable_storage", "uploads", "mail", "screenshots")


class Owner(msgspec.Struct):
    database: Database


def did(database: Database, channel: str, day: int, size: int, events: int = 1) -> None:
    row: dict[str, Any] = {"subject": SUBJECT, "channel": channel, "day": day, "day_type": "work"}
    row |= {"bytes": size, "files": 1, "items": 0, "new_places": 0, "events": events}
    row |= {"first_time": day * DAY_MS, "last_time": day * DAY_MS}
    with database.begin() as connection:
        connection.execute(insert(channel_days).values(row))


def watched(database: Database, channel: str, *days: int) -> None:
    rows = [{"agent": AGENT, "collector": channel, "day": day} for day in days]
    with database.begin() as connection:
        connection.execute(insert(collector_days), rows)


def works_here(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(
            insert(subject_agents).values(subject=SUBJECT, agent=AGENT, first_time=NOW - 50 * DAY_MS)
        )


def lanes(database: Database, first: int = DAY - 9, last: int = DAY) -> dict[str, ChannelLane]:
    with database.read() as connection:
        found = channel_lanes(connection, SUBJECT, CHANNELS, first, last, today=DAY)
    return {lane.channel: lane for lane in found}


def profile(database: Database, *, actor: str = "user:omar", months: Any = 3) -> Profile:
    with database.begin() as connection:
        (shown,) = give_pseudonyms(connection, [SUBJECT]).values()
    with database.read() as connection:
        directory = load_directory(connection)
        known = known_subject(connection, directory, shown)
    span = span_of(directory, known.person, NOW, months, None)
    activity = read_activity(database, directory, known, span, CHANNELS, now=NOW, events_days=90)

    def mask(texts: Sequence[str], revealed: Container[str]) -> list[str]:
        return masked_prose(Owner(database), texts, revealed)

    return read_profile(database, directory, known, activity.risk, mask, actor=actor, now=NOW)


def names_nobody(value: object) -> None:
    told = msgspec.json.encode(value).decode().casefold()
    assert [secret for secret in SECRETS if secret.casefold() in told] == []


def test_a_day_without_a_collector_is_a_gap_and_no_quiet_day(database: Database) -> None:
    record_leak(database)
    works_here(database)
    watched(database, "uploads", *(day for day in range(DAY - 9, DAY) if day not in (DAY - 5, DAY - 4)))
    did(database, "uploads", DAY - 4, 5)
    found = lanes(database)
    # Somebody who was seen was watched; today counts as watched as long as yesterday was.
    assert found["uploads"].gaps == ((DAY - 5, DAY - 5),)
    assert found["screenshots"].gaps == ((DAY - 9, DAY),)
    assert not found["screenshots"].watched
    assert found["uploads"].watched


def test_days_to_come_are_no_gaps(database: Database) -> None:
    record_leak(database)
    found = lanes(database, DAY - 2, DAY + 7)
    assert found["uploads"].gaps == ((DAY - 2, DAY),)


def test_what_sees_the_whole_company_watches_everybody(database: Database) -> None:
    record_leak(database)
    with database.begin() as connection:
        rows = [{"collector": "mail", "day": day} for day in range(DAY - 9, DAY + 1)]
        connection.execute(insert(days_watched_anywhere), rows)
    assert lanes(database)["mail"].gaps == ()
    assert not lanes(database)["uploads"].watched


def test_a_day_is_as_risky_as_its_alert_until_that_is_closed_as_harmless(database: Database) -> None:
    record_leak(database)
    did(database, "removable_storage", DAY, 465_000_000, 30)
    (day,) = lanes(database)["removable_storage"].days
    assert (day.risk, day.alerts, day.above_usual) == (87, (1,), True)
    with database.begin() as connection:
        close_alert(connection, 1, Verdict.EXPECTED, "a move", "user:omar", NOW + 1)
    (day,) = lanes(database)["removable_storage"].days
    assert (day.risk, day.alerts) == (0, ())


def test_above_usual_is_more_than_twice_the_median(database: Database) -> None:
    record_leak(database)
    for back in range(20, 60, 4):
        did(database, "uploads", DAY - back, 100)
    did(database, "uploads", DAY - 3, 150)
    did(database, "uploads", DAY - 2, 201)
    days = lanes(database)["uploads"].days
    assert [(day.day, day.above_usual) for day in days] == [(DAY - 3, False), (DAY - 2, True)]


def test_hours_are_local_and_nights_stand_out(database: Database) -> None:
    record_leak(database)
    works = works_at("08:00-19:00")

    def local(time: int) -> tuple[int, int]:
        minutes = time // 60_000 + 8 * 60
        return minutes // 1440, minutes % 1440

    with database.read() as connection:
        found = hours_of_week(connection, SUBJECT, DAY - 30, DAY, local, works)
        later = hours_of_week(connection, SUBJECT, DAY + 1, DAY + 9, local, works)
        other = hours_of_week(connection, "person:E1001", DAY - 30, DAY, local, works)
    # 2026-11-22 is a Sunday; it was 08:00 in Shanghai.
    assert found.events == 30
    assert found.cells[6][8] == 30
    assert found.odd == ((6, 8),)
    assert found.whole
    assert later.events == other.events == 0


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("hours", "when", "works"),
    [
        ("08:00-19:00", (0, 8), True),
        ("08:00-19:00", (0, 7), False),
        ("08:30-19:00", (4, 8), True),
        ("08:00-19:00", (0, 19), False),
        ("08:00-19:00", (5, 10), False),
        ("22:00-06:00", (0, 23), True),
        ("22:00-06:00", (0, 3), False),
        ("22:00-06:00", (5, 3), True),
        ("22:00-06:00", (6, 3), False),
        ("", (4, 3), True),
        ("", (6, 12), False),
    ],
)
def test_working_hours(hours: str, when: tuple[int, int], works: bool) -> None:
    assert works_at(hours)(*when) is works


def test_a_profile_names_nobody_and_holds_what_is_theirs(database: Database) -> None:
    record_leak(database)
    works_here(database)
    seen = {"first_time": NOW - DAY_MS, "last_time": NOW}
    with database.begin() as connection:
        connection.execute(
            update(agents).values(
                heartbeat_at=NOW,
                heartbeat={"version": "1.2", "collectors": [{"name": "uploads", "state": "running"}]},
            )
        )
        for trait in ("host:alice-laptop", "device:0781:5567:4C530001", "address:10.0.0.7"):
            use = {"trait": trait, "subject": SUBJECT, "account": "account:alice", "count": 3}
            connection.execute(insert(trait_uses).values(use | seen))
        other = {"trait": "address:10.0.0.7", "subject": "person:E1001", "account": "account:berta"}
        connection.execute(insert(trait_uses).values(other | seen | {"count": 1}))
        for place in ("remote:alice.wang@mail.example", "remote:drive.example", "device:4C530001"):
            row = {"subject": SUBJECT, "channel": "uploads", "place": place}
            connection.execute(insert(subject_places).values(row | seen))
        connection.execute(
            insert(suspect_traits).values(
                subject=SUBJECT,
                channel="logins",
                day=DAY,
                through="person:E1001",
                trait="host:alice-laptop",
                person_id="E1007",
                events=4,
            )
        )
    found = profile(database)
    names_nobody(found)
    assert (found.department, found.time_zone) == ("Sales", "Asia/Shanghai")
    assert (found.standing.days_left, found.standing.notice_day) == (6, DAY - 21)
    assert len(found.accounts) == 3
    assert all(each.label.startswith("A-") for each in found.accounts)
    (machine,) = found.endpoints
    assert (machine.version, machine.running, machine.collectors) == ("1.2", 1, 1)
    assert {(each.kind, each.label[0], each.others) for each in found.traits} == {
        ("host", "H", 0),
        ("device", "D", 0),
        ("address", "N", 1),
    }
    assert "drive.example" in {each.name for each in found.destinations}
    assert [(each.kind, each.events) for each in found.matched] == [("host", 4)]
    assert [(each.id, each.status) for each in found.alerts] == [(1, "open")]
    assert found.risk is not None
    assert found.grant is None


def test_a_machine_that_is_declared_and_was_never_used_is_told(database: Database) -> None:
    record_leak(database)
    row: dict[str, Any] = {"person_id": "E1007", "source": "import", "confidence": 1.0}
    with database.begin() as connection:
        connection.execute(insert(trait_bindings).values(row | {"trait": "host:alice-desk"}))
        old = {"trait": "host:alice-old", "valid_until": NOW - 1}
        connection.execute(insert(trait_bindings).values(row | old))
        use = {"trait": "host:alice-laptop", "subject": SUBJECT, "account": "account:alice", "count": 3}
        connection.execute(insert(trait_uses).values(use | {"first_time": NOW - 1, "last_time": NOW}))
    found = profile(database)
    names_nobody(found)
    assert [(each.kind, each.last, each.holder) for each in found.traits] == [
        ("host", NOW, "nobody"),
        ("host", None, "theirs"),
    ]


def test_a_name_is_there_for_whom_it_was_unmasked_alone_and_the_log_hides_others(database: Database) -> None:
    record_leak(database)
    shown = profile(database).pseudonym
    with database.begin() as connection:
        grant(connection, shown, actor="user:omar", at=NOW, reason="Berta Braun asked about Alice Wang")
    mine, theirs = profile(database), profile(database, actor="user:sofia")
    assert mine.grant is not None
    assert mine.grant.name == "Alice Wang"
    assert "Alice" in mine.log[0].reason
    assert "Berta" not in mine.log[0].reason
    assert theirs.grant is None
    names_nobody(theirs)
    assert [entry.actor for entry in theirs.log] == ["user:omar"]


def test_why_nothing_was_seen_is_told(database: Database) -> None:
    record_leak(database)
    assert profile(database).unseen == "no_machine"
    works_here(database)
    assert profile(database).unseen == "silent"
    with database.begin() as connection:
        connection.execute(update(agents).values(heartbeat_at=NOW))
    assert profile(database).unseen == "quiet"
    with database.begin() as connection:
        connection.execute(update(agents).values(revoked_at=NOW))
    assert profile(database).unseen == "revoked"
    did(database, "uploads", DAY - 1, 5)
    assert profile(database).unseen is None


def test_accounts_of_nobody_have_a_page_too(database: Database) -> None:
    record_leak(database)
    with database.begin() as connection:
        (shown,) = give_pseudonyms(connection, ["account:kefu@web"]).values()
    with database.read() as connection:
        directory = load_directory(connection)
        known = known_subject(connection, directory, shown.lower())
        with pytest.raises(UnknownPseudonym):
            known_subject(connection, directory, "E1007")
    assert known == Subject("account:kefu@web", shown, None)
    span = span_of(directory, None, NOW, 1, None)
    activity = read_activity(database, directory, known, span, CHANNELS, now=NOW, events_days=None)
    found = read_profile(
        database, directory, known, activity.risk, lambda texts, _: list(texts), actor="x", now=NOW
    )
    assert found.is_account
    assert found.accounts == ()


@pytest.mark.databases("sqlite")
def test_the_range_ends_today_or_with_a_last_day_that_is_near(database: Database) -> None:
    record_leak(database)
    with database.read() as connection:
        directory = load_directory(connection)
    person = directory.person("E1007")
    span = span_of(directory, person, NOW, 3, None)
    assert (span.first, span.known, span.last) == (DAY - 89, DAY, DAY + 6)
    back = span_of(directory, person, NOW, 1, DAY - 100)
    assert (back.first, back.known, back.last, back.is_earliest) == (DAY - 129, DAY - 100, DAY - 100, False)
    # Never further back than risk is told.
    assert span_of(directory, person, NOW, 6, 0).first == DAY - 364
    assert span_of(directory, person, NOW, 6, 0).is_earliest
    assert span_of(directory, person, NOW, 1, DAY + 50).known == DAY
