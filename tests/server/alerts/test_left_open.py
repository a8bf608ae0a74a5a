"""Alerts that nobody closes go on for weeks, and take a place on the day that they began alone."""

from __future__ import annotations

import random
import threading

import pytest
from sqlalchemy import select

from server.alerts.queries import Verdict
from server.store.database import Database
from server.store.tables import alert_candidates, alerts
from tests.server.alerts.strange_days import (
    TODAY,
    StrangeDay,
    by_status,
    close,
    model_with,
    person,
    take,
    write_strange,
)
from tests.server.alerts.test_queueing import NewDatabase, new_database, outcome

__all__ = ["new_database"]

MODEL = model_with(day_cap=3)
"""The slow queue's cap is 1."""
WEEKS = range(TODAY - 27, TODAY + 1)


def drift(number: int, day: int, slow: float) -> StrangeDay:
    return StrangeDay(person(number), day, slow=slow)


def test_for_four_weeks_each_new_drift_opens_though_older_ones_were_left_open_and_are_stronger(
    database: Database,
) -> None:
    opened: list[tuple[int, int]] = []
    for day in WEEKS:
        new, is_first = divmod(day - WEEKS[0], 3)[0], not (day - WEEKS[0]) % 3
        # All that began go on rising, the oldest highest: a new one is the weakest of its day.
        those = [drift(n, day, 90 - 3 * n) for n in range(new + 1)]
        scores = take(database, MODEL, *those)
        assert len(scores) == is_first
        opened += [(day, score) for score in scores]
    assert len(opened) == 10
    assert by_status(database, "open") == sorted(person(n) for n in range(10))
    assert by_status(database, "held") == []


def test_on_a_day_on_which_two_begin_the_weaker_waits_for_a_day_with_room(database: Database) -> None:
    take(database, MODEL, drift(0, TODAY - 2, 80), drift(1, TODAY - 2, 60))
    assert (by_status(database, "open"), by_status(database, "held")) == ([person(0)], [person(1)])
    take(database, MODEL, drift(0, TODAY - 1, 81), drift(1, TODAY - 1, 61), drift(2, TODAY - 1, 70))
    assert by_status(database, "held") == [person(1)]
    assert take(database, MODEL, drift(2, TODAY, 71), drift(1, TODAY, 61)) == [61]


def test_who_was_quiet_for_as_long_as_the_cool_down_competes_again(database: Database) -> None:
    one = model_with(day_cap=1)
    take(database, one, StrangeDay(person(0), TODAY - 13, points=60))
    for back, held in ((7, []), (0, [person(1)])):
        take(
            database,
            one,
            StrangeDay(person(0), TODAY - back, points=90),
            StrangeDay(person(1), TODAY - back, points=60, family=f"of-{back}"),
        )
        assert by_status(database, "held") == held


def test_of_an_alert_that_was_closed_the_days_that_came_along_give_their_places_to_others(
    database: Database,
) -> None:
    take(database, MODEL, drift(0, TODAY - 1, 80))
    take(database, MODEL, drift(0, TODAY, 80))
    close(database, person(0), Verdict.CONFIRMED)
    assert take(database, MODEL, drift(1, TODAY, 60)) == [60]
    # The day on which it began keeps its place.
    assert take(database, MODEL, drift(2, TODAY - 1, 70)) == []


def test_what_comes_late_ranks_the_days_after_it_again(database: Database) -> None:
    for day in range(TODAY - 3, TODAY + 1):
        take(
            database, MODEL, drift(0, day, 60 + day - TODAY), drift(1, day, 55) if day == TODAY else _quiet(1)
        )
    assert (by_status(database, "open"), by_status(database, "held")) == ([person(0), person(1)], [])
    # Of the first day somebody else is stronger: the alert's next day stands by itself, and has room.
    take(database, MODEL, drift(2, TODAY - 3, 95))
    assert (by_status(database, "open"), by_status(database, "held")) == (
        [person(0), person(1), person(2)],
        [],
    )
    # Of all others of its days too, but for the last: there it takes the place of the weaker one.
    take(database, MODEL, *(drift(3 + back, TODAY - back, 95) for back in (1, 2)))
    assert (by_status(database, "held"), len(by_status(database, "open"))) == ([person(1)], 4)
    # With that one gone to somebody stronger nothing of the first is left.
    take(database, MODEL, drift(9, TODAY, 95))
    assert by_status(database, "held") == [person(0), person(1)]


def _quiet(number: int) -> StrangeDay:
    return StrangeDay(person(number), TODAY - 40)


def test_a_day_that_goes_over_to_another_queue_takes_its_later_days_with_it_no_longer(
    database: Database,
) -> None:
    take(database, MODEL, drift(0, TODAY - 1, 70))
    take(database, MODEL, drift(0, TODAY, 52), drift(1, TODAY, 60))
    assert by_status(database, "held") == []
    take(database, MODEL, StrangeDay(person(0), TODAY - 1, slow=70, points=60))
    with database.read() as connection:
        at = alert_candidates.c
        query = select(at.day, at.queue, at.admitted).join(alerts, alerts.c.id == at.alert)
        of_first = query.where(alerts.c.subject == person(0)).order_by(at.day)
        assert [tuple(row) for row in connection.execute(of_first)] == [
            (TODAY - 1, "day", True),
            (TODAY, "slow", False),
        ]
    assert by_status(database, "open") == [person(0), person(1)]


@pytest.mark.parametrize("seed", range(2))
def test_over_weeks_neither_order_nor_batches_show(new_database: NewDatabase, seed: int) -> None:
    dice = random.Random(seed)
    days = [
        StrangeDay(
            person(n),
            TODAY - back,
            points=dice.choice((0.0, 0.0, 55.0, 70.0, 90.0)),
            slow=dice.choice((0.0, 60.0, 75.0)),
            evidence={"web_upload": float(dice.randrange(4))},
        )
        for n in range(14)
        for back in dice.sample(range(12), 2)
    ]
    days.sort(key=lambda each: each.day)
    outcomes = []
    for _ in range(3):
        database = new_database()
        left = list(days)
        while left:
            size = dice.randrange(1, 9)
            take(database, model_with(day_cap=1), *left[:size])
            left = left[size:]
        outcomes.append(outcome(database))
        dice.shuffle(days)
    assert outcomes[1:] == outcomes[:1] * 2
    assert {"open", "held"} <= {row[2] for row in outcomes[0]}
    # Replayed into what is there it changes nothing.
    take(database, model_with(day_cap=1), *days)
    assert outcome(database) == outcomes[0]


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("late_first", [True, False])
def test_two_workers_at_once_on_two_days_of_a_queue_open_what_one_would(
    database: Database, late_first: bool
) -> None:
    take(database, MODEL, drift(0, TODAY - 1, 60))
    # The one puts out what the other's day comes along with.
    late, today = drift(1, TODAY - 1, 90), [drift(0, TODAY, 60), drift(2, TODAY, 70)]
    ours, theirs = ([late], today) if late_first else (today, [late])
    thread = threading.Thread(target=take, args=(database, MODEL, *theirs))
    with database.begin(alone=False) as connection:
        write_strange(connection, MODEL, ours)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(20)
    assert (by_status(database, "open"), by_status(database, "held")) == ([person(1), person(2)], [person(0)])
