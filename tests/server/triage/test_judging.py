"""Closing and reopening: what a verdict wrote beside the alert goes with it, and comes back."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import insert, select

from server.alerts.calming import accepted_of
from server.alerts.history import history_of
from server.alerts.parts import MergedAway
from server.alerts.queries import (
    REASON_CHARACTERS,
    AlreadyClosed,
    Verdict,
    close_alert,
    get_alert,
)
from server.pipeline.state_versions import versions_of
from server.retention import ACTIVITY_DAYS
from server.store import tables
from server.store.database import Database
from server.store.tables import alert_history, alerts, judged_days, judged_ranges
from server.triage.judging import close, reopen
from server.triage.outcome import Why
from server.triage.undoing import undo
from server.triage.verbs import note, snooze
from tests.server.alerts.recorded_leak import DAY, NOW, open_alert
from tests.server.triage.queue import EVE, KEEPING, OMAR, column, everything, listed, lost, of, queue, write


def activities(database: Database, number: int, *, stick_before: int | None = None) -> None:
    """What person p`number` did on the alert's day, which a verdict of harmless lets count as usual."""
    day = {"subject": f"person:p{number}", "day": DAY, "day_type": "work", "events": 1}
    stick = {"activity": "removable_storage", "amounts": json.dumps([10**12, 40, 0]), "places": "[[7]]"}
    sums = {"bytes": 0, "files": 0, "items": 1, "new_places": 0, "first_time": NOW, "last_time": NOW}
    with database.begin() as connection:
        connection.execute(insert(tables.activity_days).values(day | stick))
        if stick_before is not None:
            connection.execute(insert(tables.activity_days).values(day | stick | {"day": DAY - stick_before}))
        connection.execute(insert(tables.channel_days).values(day | sums | {"channel": "removable_storage"}))


@pytest.mark.parametrize("verdict", list(Verdict))
def test_closing_and_reopening_leaves_nothing_behind(database: Database, verdict: Verdict) -> None:
    queue(database)
    activities(database, 1)
    before = everything(database)
    with database.begin() as connection:
        found = close(connection, of(1), verdict, "a release", activity_days=ACTIVITY_DAYS)
        assert (found.done, found.changed) == ((1,), (1,))
        assert len(connection.execute(select(judged_days)).all()) == 1
        assert len(connection.execute(select(judged_ranges)).all()) == 1
        calms = accepted_of(connection, ["person:p1"], DAY + 1)
    assert bool(calms) == (verdict in (Verdict.EXPECTED, Verdict.FALSE))
    after = everything(database)
    with database.begin() as connection:
        opened = reopen(connection, of(1, actor=EVE), keeping=KEEPING)
    assert opened.done == (1,)
    assert everything(database) == before
    with database.begin() as connection:
        assert undo(connection, opened.group or 0, EVE, NOW, keeping=KEEPING).done == (1,)
    assert everything(database) == after


def test_undoing_a_closing_leaves_nothing_behind(database: Database) -> None:
    queue(database)
    for number in (1, 2):
        activities(database, number)
    with database.begin() as connection:
        snooze(connection, of(1), NOW + 1000)
    before = everything(database)
    with database.begin() as connection:
        found = close(connection, of(1, 2), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
    with database.begin() as connection:
        undone = undo(connection, found.group or 0, OMAR, NOW + 1, keeping=KEEPING)
    assert (undone.done, undone.refused) == ((1, 2), ())
    assert everything(database) == before
    with database.read() as connection:
        assert [step.verb for step in history_of(connection, 1)] == ["undo", "close", "snooze"]
        assert accepted_of(connection, ["person:p1"], DAY + 1) == {}


def test_whoever_remembers_a_confirmed_leak_forgets_it_when_it_is_taken_back(database: Database) -> None:
    queue(database, 1)

    def version() -> int:
        with database.read() as connection:
            return versions_of(connection, ["person:p1"])["person:p1"]

    with database.begin() as connection:
        found = close(connection, of(1), Verdict.CONFIRMED, "a leak", activity_days=ACTIVITY_DAYS)
    closed = version()
    with database.begin() as connection:
        undo(connection, found.group or 0, OMAR, NOW, keeping=KEEPING)
    assert (closed, version()) == (1, 2)


@pytest.mark.parametrize(("activity_days", "is_new"), [(60, False), (30, True)])
def test_verdicts_know_for_how_long_activities_count(
    database: Database, activity_days: int, is_new: bool
) -> None:
    queue(database, 1)
    activities(database, 1, stick_before=45)
    with database.begin() as connection:
        close(connection, of(1), Verdict.EXPECTED, "a release", activity_days=activity_days)
        found = accepted_of(connection, ["person:p1"], DAY + 1)["person:p1"]
    assert ("new_devices" in {each.measure for each in found}) == is_new


def test_the_second_of_two_analysts_is_told_who_closed_it_and_how(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        close(connection, of(1, actor=EVE), Verdict.FALSE, "a test", activity_days=ACTIVITY_DAYS)
        found = close(connection, of(1, 2), Verdict.CONFIRMED, "a leak", activity_days=ACTIVITY_DAYS)
    assert found.done == (2,)
    (refused,) = found.refused
    assert (refused.why, refused.message) == (Why.CLOSED, "Alert 1 was closed by eve as false.")
    with database.read() as connection:
        assert get_alert(connection, 1).verdict == "false"
    with pytest.raises(AlreadyClosed, match="as false by user:eve"), database.begin() as connection:
        close_alert(connection, 1, Verdict.CONFIRMED, "a leak", OMAR, NOW)


@pytest.mark.parametrize(
    "reason", ["", "  ", "x" * (REASON_CHARACTERS + 1), "x" * 10_000, "a\x00b", "\udc00"]
)
def test_a_reason_that_cannot_be_kept_is_refused(database: Database, reason: str) -> None:
    queue(database, 1)
    with pytest.raises(ValueError, match="a reason"), database.begin() as connection:
        close(connection, of(1), Verdict.FALSE, reason, activity_days=ACTIVITY_DAYS)
    assert listed(database) == [1]


def test_where_another_was_opened_since_reopening_and_undoing_say_which(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        found = close(connection, of(1, 2), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
        # As the pipeline does when more comes.
        row = dict(connection.execute(select(alerts).where(alerts.c.id == 1)).one()._mapping)
        new = row | {"id": 9, "status": "open", "verdict": None, "triage_version": 0}
        connection.execute(insert(alerts).values({str(name): value for name, value in new.items()}))
    before = everything(database)
    with database.begin() as connection:
        opened = reopen(connection, of(1), keeping=KEEPING)
        assert [(each.id, each.why, each.values) for each in opened.refused] == [
            (1, Why.OPENED_SINCE, {"alert": 9})
        ]
    assert everything(database) == before
    with database.begin() as connection:
        undone = undo(connection, found.group or 0, OMAR, NOW, keeping=KEEPING)
    assert undone.done == (2,)
    assert [each.message for each in undone.refused] == [
        "Alert 9 about the same was opened since alert 1 was closed."
    ]
    assert listed(database) == [2, 3, 9]


@pytest.mark.parametrize("by_undoing", [False, True])
def test_a_held_alert_that_nobody_saw_gives_way(database: Database, by_undoing: bool) -> None:
    queue(database, 1)
    before = everything(database)
    with database.begin() as connection:
        found = close(connection, of(1), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
        row = dict(connection.execute(select(alerts).where(alerts.c.id == 1)).one()._mapping)
        new = row | {"id": 9, "status": "held", "verdict": None, "triage_version": 0}
        connection.execute(insert(alerts).values({str(name): value for name, value in new.items()}))
        candidate = {"alert": 9, "day": DAY, "queue": "day", "points": 60, "strength": 1}
        connection.execute(insert(tables.alert_candidates).values(candidate))
    with database.begin() as connection:
        if by_undoing:
            outcome = undo(connection, found.group or 0, OMAR, NOW, keeping=KEEPING)
        else:
            outcome = reopen(connection, of(1), keeping=KEEPING)
        trail = [(row.object, row.detail) for row in connection.execute(select(tables.audit))]
    assert (outcome.done, outcome.refused) == ((1,), ())
    assert everything(database) == before
    assert any(row[0] == "alert:9" and "gave_way_to" in str(row[1]) for row in trail)


def test_a_held_alert_that_somebody_noted_something_of_stays(database: Database) -> None:
    queue(database, 1)
    with database.begin() as connection:
        close(connection, of(1), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
        row = dict(connection.execute(select(alerts).where(alerts.c.id == 1)).one()._mapping)
        new = row | {"id": 9, "status": "held", "verdict": None, "triage_version": 0}
        connection.execute(insert(alerts).values({str(name): value for name, value in new.items()}))
        note(connection, of(9), "known")
        found = reopen(connection, of(1), keeping=KEEPING)
    assert [(each.why, each.values) for each in found.refused] == [(Why.OPENED_SINCE, {"alert": 9})]


def test_two_closed_ones_of_one_person_and_family_are_not_both_reopened(database: Database) -> None:
    queue(database, 1)
    with database.begin() as connection:
        close(connection, of(1), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
        row = dict(connection.execute(select(alerts).where(alerts.c.id == 1)).one()._mapping)
        connection.execute(insert(alerts).values({str(n): v for n, v in (row | {"id": 2}).items()}))
        found = reopen(connection, of(2, 1), keeping=KEEPING)
    assert (found.done, [(each.id, each.why) for each in found.refused]) == ((2,), [(1, Why.OPENED_SINCE)])


def test_what_a_later_verdict_judged_is_not_undone_under_it(database: Database) -> None:
    queue(database, 1)
    with database.begin() as connection:
        found = close(connection, of(1), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
        connection.execute(judged_days.update().values(count=8))
    before = everything(database)
    with database.begin() as connection:
        undone = undo(connection, found.group or 0, OMAR, NOW, keeping=KEEPING)
    assert [each.why for each in undone.refused] == [Why.JUDGED_SINCE]
    assert everything(database) == before


def test_one_that_was_closed_before_there_was_a_history_is_reopened(database: Database) -> None:
    queue(database, 2)
    before = everything(database)
    with database.begin() as connection:
        close(connection, of(1), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
        connection.execute(alert_history.delete())
        assert reopen(connection, of(1, 2), keeping=KEEPING).done == (1,)
    assert everything(database) == before


def test_closing_a_main_alert_closes_its_parts_and_reopening_opens_them(database: Database) -> None:
    queue(database)
    write(database, 2, merged_into=1)
    before = everything(database)
    with database.begin() as connection:
        # As `leaver alerts close` does.
        close_alert(connection, 1, Verdict.EXPECTED, "a release", "cli:omar", NOW)
    assert column(database, "verdict") == {1: "expected", 2: "expected", 3: None}
    assert (listed(database), listed(database, "closed"), lost(database)) == ([3], [1], [])
    with database.begin() as connection:
        assert reopen(connection, of(1), keeping=KEEPING).changed == (1, 2)
    assert everything(database) == before


def test_a_part_is_not_judged_by_itself(database: Database) -> None:
    queue(database)
    write(database, 2, merged_into=1)
    with pytest.raises(MergedAway, match="merged into alert 1"), database.begin() as connection:
        close_alert(connection, 2, Verdict.EXPECTED, "a release", "cli:omar", NOW)
    with database.begin() as connection:
        found = close(connection, of(2), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
        assert [each.message for each in found.refused] == ["Alert 2 is merged into alert 1."]
        both = close(connection, of(2, 1), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
    assert (both.done, both.refused) == ((2, 1), ())
    assert lost(database) == []


def test_a_part_that_cannot_be_reopened_stays_closed_by_itself(database: Database) -> None:
    queue(database)
    write(database, 2, merged_into=1)
    with database.begin() as connection:
        found = close(connection, of(1), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
    with database.begin() as connection:
        row = dict(connection.execute(select(alerts).where(alerts.c.id == 2)).one()._mapping)
        new = row | {"id": 9, "status": "open", "verdict": None, "merged_into": None}
        connection.execute(insert(alerts).values({str(name): value for name, value in new.items()}))
    before = everything(database)
    with database.begin() as connection:
        # All of it or nothing: of a closing that is undone in part a part would be left behind.
        undone = undo(connection, found.group or 0, OMAR, NOW, keeping=KEEPING)
    assert {(each.id, each.why) for each in undone.refused} == {(2, Why.OPENED_SINCE), (1, Why.WITH_MAIN)}
    assert everything(database) == before
    with database.begin() as connection:
        opened = reopen(connection, of(1), keeping=KEEPING)
    assert (opened.done, [(each.id, each.why) for each in opened.refused]) == ((1,), [(2, Why.OPENED_SINCE)])
    assert (listed(database), listed(database, "closed"), lost(database)) == ([1, 3, 9], [2], [])
    with database.begin() as connection:
        undo(connection, opened.group or 0, OMAR, NOW, keeping=KEEPING)
    assert everything(database) == before


def test_many_are_closed_in_one_transaction(database: Database) -> None:
    for number in range(1, 41):
        open_alert(database, events=3, subject=f"person:p{number}", alert_id=number)
    with database.begin() as connection:
        found = close(
            connection, of(*range(1, 41)), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS
        )
    assert len(found.done) == 40
    with database.begin() as connection:
        assert len(undo(connection, found.group or 0, OMAR, NOW, keeping=KEEPING).done) == 40
    assert listed(database) == list(range(1, 41))
