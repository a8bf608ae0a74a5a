"""What people did stays when the pipeline adds to an alert, and what it takes from the list is not lost."""

from __future__ import annotations

from sqlalchemy import select

from server.alerts.queries import Verdict
from server.retention import ACTIVITY_DAYS
from server.store.database import Database
from server.store.tables import alert_candidates, alerts
from server.triage.judging import close, reopen
from server.triage.merging import merge
from server.triage.outcome import Why
from server.triage.sleep import asleep
from server.triage.undoing import undo
from server.triage.verbs import assign, snooze
from tests.server.alerts.strange_days import TODAY, StrangeDay, by_status, model_with, person, take
from tests.server.conftest import NOW
from tests.server.triage.queue import KEEPING, OMAR, column, everything, listed, lost, of

HOUR = 3_600_000


def numbers(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {row.subject: row.id for row in connection.execute(select(alerts.c.subject, alerts.c.id))}


def test_an_owner_a_merge_and_a_snooze_stay_while_an_alert_goes_on(database: Database) -> None:
    model = model_with(day_cap=5)
    take(database, model, StrangeDay(person(1), points=80), StrangeDay(person(2), points=60))
    first, second = numbers(database)[person(1)], numbers(database)[person(2)]
    with database.begin() as connection:
        merge(connection, of(second), first)
        assign(connection, of(first), "omar")
        snooze(connection, of(first), NOW + HOUR)
        assert set(connection.execute(select(alerts.c.id).where(asleep(NOW))).scalars()) == {first, second}
    take(database, model, StrangeDay(person(2), points=95))
    assert column(database, "owner")[first] == "omar"
    assert column(database, "merged_into") == {first: None, second: first}
    assert column(database, "snoozed_until")[first] == NOW + HOUR
    with database.read() as connection:
        # The part of which more came wakes the main alert.
        assert list(connection.execute(select(alerts.c.id).where(asleep(NOW))).scalars()) == []


def test_a_main_alert_that_stronger_ones_put_out_lets_its_parts_go(database: Database) -> None:
    model = model_with(day_cap=1)
    take(database, model, StrangeDay(person(1), points=60))
    take(database, model, StrangeDay(person(2), points=60, rule="critical"))
    main, part = numbers(database)[person(1)], numbers(database)[person(2)]
    with database.begin() as connection:
        merge(connection, of(part), main)
    take(database, model, StrangeDay(person(3), points=90))
    assert by_status(database, "held") == [person(1)]
    assert (listed(database), lost(database)) == ([part, numbers(database)[person(3)]], [])


def test_a_part_that_is_put_out_stands_among_the_held_ones(database: Database) -> None:
    model = model_with(day_cap=1)
    take(database, model, StrangeDay(person(1), points=60))
    take(database, model, StrangeDay(person(2), points=60, rule="critical"))
    part, main = numbers(database)[person(1)], numbers(database)[person(2)]
    with database.begin() as connection:
        found = merge(connection, of(part), main)
    take(database, model, StrangeDay(person(3), points=90))
    assert (listed(database, "held"), lost(database)) == ([part], [])
    with database.begin() as connection:
        undone = undo(connection, found.group or 0, OMAR, NOW, keeping=KEEPING)
    assert [each.why for each in undone.refused] == [Why.CHANGED]


def test_a_held_alert_is_held_again_when_its_closing_is_undone(database: Database) -> None:
    model = model_with(day_cap=1)
    take(database, model, StrangeDay(person(1), points=60), StrangeDay(person(2), points=80))
    held = numbers(database)[person(1)]
    before = everything(database)
    with database.begin() as connection:
        found = close(connection, of(held), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
    with database.begin() as connection:
        undo(connection, found.group or 0, OMAR, NOW, keeping=KEEPING)
    assert everything(database) == before
    with database.begin() as connection:
        close(connection, of(held), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
        reopen(connection, of(held), keeping=KEEPING)
    assert by_status(database, "held") == [person(1)]


def test_nobody_cools_down_after_a_verdict_that_was_taken_back(database: Database) -> None:
    model = model_with(day_cap=5)
    take(database, model, StrangeDay(person(1), day=TODAY - 1, points=80))
    first = numbers(database)[person(1)]
    with database.begin() as connection:
        found = close(connection, of(first), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
    # Of another family, so that it does not stand in the way of the first.
    take(database, model, StrangeDay(person(1), points=75, family="mail"))
    assert by_status(database, "held") == [person(1)]
    with database.read() as connection:
        assert first in set(connection.execute(select(alert_candidates.c.cooling)).scalars())
    with database.begin() as connection:
        undone = undo(connection, found.group or 0, OMAR, NOW, keeping=KEEPING)
    assert undone.done == (first,)
    assert by_status(database, "held") == []
    assert len(by_status(database, "open")) == 2


def test_more_of_a_judged_day_opens_another_which_undoing_names(database: Database) -> None:
    model = model_with(day_cap=5)
    take(database, model, StrangeDay(person(1), points=60, rule="critical"))
    first = numbers(database)[person(1)]
    with database.begin() as connection:
        found = close(connection, of(first), Verdict.CONFIRMED, "a leak", activity_days=ACTIVITY_DAYS)
    take(database, model, StrangeDay(person(1), points=60, rule="critical"))
    second = max(column(database, "status"))
    assert column(database, "status") == {first: "closed", second: "open"}
    with database.begin() as connection:
        undone = undo(connection, found.group or 0, OMAR, NOW, keeping=KEEPING)
    assert [(each.why, each.values) for each in undone.refused] == [(Why.OPENED_SINCE, {"alert": second})]
    with database.begin() as connection:
        merge(connection, of(second), second)
    assert lost(database) == []
