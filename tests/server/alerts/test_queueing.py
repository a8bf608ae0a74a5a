"""What is within the budget passes a queue: the same alerts are open whatever the order and the workers."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator

import msgspec
import pytest
from sqlalchemy import select, update

from server.alerts.queries import Verdict
from server.store.database import Database, open_database
from server.store.tables import alert_candidates, alerts, queue_days
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
from tests.server.conftest import NOW, NewDatabaseUrl

THREE = model_with(day_cap=3)


NewDatabase = Callable[[], Database]


@pytest.fixture
def new_database(
    new_database_url: NewDatabaseUrl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NewDatabase]:
    made: list[Database] = []

    def make() -> Database:
        made.append(open_database(new_database_url(tmp_path_factory.mktemp("run")), clock=lambda: NOW))
        return made[-1]

    yield make
    for each in made:
        each.close()


def outcome(database: Database) -> list[tuple[object, ...]]:
    """All but numbers and the server's clock."""
    at = alert_candidates.c
    with database.read() as connection:
        query = select(
            alerts.c.subject, alerts.c.family, alerts.c.status, alerts.c.score, alerts.c.by_rules
        ).order_by(alerts.c.subject, alerts.c.family, alerts.c.score)
        found: list[tuple[object, ...]] = [tuple(row) for row in connection.execute(query)]
        queued = (
            select(alerts.c.subject, at.day, at.queue, at.points, at.strength, at.admitted)
            .join(alerts, alerts.c.id == at.alert)
            .order_by(alerts.c.subject, at.day)
        )
        return found + [tuple(row) for row in connection.execute(queued)]


def test_only_the_strangest_of_a_day_are_open_and_the_others_are_held(database: Database) -> None:
    days = [StrangeDay(person(n), points=50 + n) for n in range(5)]
    opened = [score for day in days for score in take(database, THREE, day)]
    assert by_status(database, "open") == [person(2), person(3), person(4)]
    assert by_status(database, "held") == [person(0), person(1)]
    # Each stood among the strangest when it came.
    assert opened == [50, 51, 52, 53, 54]


def test_equal_points_go_by_strength_and_then_by_subject(database: Database) -> None:
    days = [StrangeDay(person(n), points=60, evidence={"web_upload": 5.0}) for n in range(4)]
    strongest = StrangeDay(person(9), points=60, evidence={"web_upload": 4.0, "mail": 2.0, "code": 1.0})
    take(database, THREE, *days, strongest)
    assert by_status(database, "open") == [person(0), person(1), person(9)]


def test_the_order_of_arrival_and_the_cuts_of_batches_do_not_show(new_database: NewDatabase) -> None:
    dice = random.Random(7)
    days = [
        StrangeDay(
            person(n),
            TODAY - back,
            points=dice.choice((0.0, 40.0, 55.0, 70.0, 90.0)),
            slow=dice.choice((0.0, 0.0, 60.0)),
            rule=dice.choice((None, None, None, None, "low", "medium")),
            evidence={"web_upload": float(dice.randrange(5))},
        )
        for n in range(12)
        for back in range(3)
    ]
    # As it happens; then late, twice.
    days.sort(key=lambda each: each.day)
    outcomes = []
    for _ in range(3):
        database = new_database()
        left = list(days)
        while left:
            size = dice.randrange(1, 6)
            take(database, model_with(day_cap=2), *left[:size])
            left = left[size:]
        outcomes.append(outcome(database))
        dice.shuffle(days)
    for each in outcomes:
        assert each == outcomes[0]
    statuses = {row[2] for row in outcomes[0]}
    assert {"open", "held"} <= statuses


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("seed", range(2))
def test_open_is_whoever_was_among_the_strangest_of_any_of_their_days_as_it_came_in_turn(
    database: Database, seed: int
) -> None:
    dice, cap = random.Random(seed), 2
    rising = [
        StrangeDay(
            person(dice.randrange(9)),
            TODAY - dice.randrange(3),
            points=dice.choice((30.0, 55.0, 60.0, 60.0, 75.0, 90.0)),
            evidence={"web_upload": float(dice.randrange(1, 4))},
        )
        for _ in range(40)
    ]
    days: dict[int, dict[str, StrangeDay]] = {}
    for each in rising:
        take(database, model_with(day_cap=cap), each)
        before = days.setdefault(each.day, {}).get(each.subject)
        # Points only rise; the evidence is what came last.
        points = max(each.points, before.points if before else 0.0)
        days[each.day][each.subject] = msgspec.structs.replace(each, points=points)
    wanted = set[str]()
    for _, found in sorted(days.items()):
        strange = [each for each in found.values() if each.points >= 50]
        strange.sort(key=lambda each: (-each.points, -each.evidence["web_upload"], each.subject))
        # In a week whoever is open comes along: only the others compete.
        wanted |= {each.subject for each in [e for e in strange if e.subject not in wanted][:cap]}
    assert by_status(database, "open") == sorted(wanted)


def test_points_that_rise_open_what_was_held_and_hold_what_was_open(database: Database) -> None:
    take(database, THREE, *(StrangeDay(person(n), points=60 + n) for n in range(4)))
    assert by_status(database, "held") == [person(0)]
    assert take(database, THREE, StrangeDay(person(0), points=80)) == [80]
    assert by_status(database, "open") == [person(0), person(2), person(3)]
    assert by_status(database, "held") == [person(1)]


def test_an_open_alert_takes_further_days_in_though_they_would_not_pass(database: Database) -> None:
    take(database, THREE, StrangeDay(person(0), TODAY - 1, points=60))
    take(database, THREE, *(StrangeDay(person(n), points=90) for n in range(1, 4)))
    take(database, THREE, StrangeDay(person(0), points=70))
    assert by_status(database, "open") == [person(n) for n in range(4)]
    with database.read() as connection:
        query = select(alerts.c.score, alerts.c.facts).where(alerts.c.subject == person(0))
        score, facts = connection.execute(query).one()
    assert (score, facts["days"]) == (70, [TODAY - 1, TODAY])


def test_what_a_person_closed_keeps_its_place_and_gives_it_to_nobody(database: Database) -> None:
    take(database, THREE, *(StrangeDay(person(n), points=60 + n) for n in range(5)))
    close(database, person(2), Verdict.CONFIRMED)
    # All of the day are ranked again.
    take(database, THREE, StrangeDay(person(9), points=99))
    assert by_status(database, "open") == [person(4), person(9)]
    assert by_status(database, "closed") == [person(2)]


def test_a_held_alert_can_be_judged_and_takes_no_place(database: Database) -> None:
    take(database, THREE, *(StrangeDay(person(n), points=60 + n) for n in range(4)))
    close(database, person(0), Verdict.CONFIRMED)
    take(database, THREE, StrangeDay(person(9), points=50))
    assert by_status(database, "open") == [person(1), person(2), person(3)]


def test_a_budget_of_none_opens_nothing_but_what_is_outside(database: Database) -> None:
    none = model_with(day_cap=0)
    assert take(database, none, StrangeDay(person(1), points=99), StrangeDay(person(2), rule="high")) == []
    assert len(take(database, none, StrangeDay(person(3), rule="critical"))) == 1
    assert by_status(database, "held") == [person(1), person(2)]


def test_the_cap_of_a_day_stays_what_it_was_when_its_first_candidate_came(database: Database) -> None:
    take(database, THREE, StrangeDay(person(0), points=60))
    take(database, model_with(day_cap=1), *(StrangeDay(person(n), points=70) for n in range(1, 4)))
    assert by_status(database, "open") == [person(1), person(2), person(3)]


def test_both_queues_have_a_cap_of_their_own(database: Database) -> None:
    slow = [StrangeDay(person(10 + n), slow=60 + n, family="outbound_mail") for n in range(3)]
    take(database, THREE, *slow, *(StrangeDay(person(n), points=60 + n) for n in range(3)))
    with database.read() as connection:
        query = select(alerts.c.family, alerts.c.subject).where(alerts.c.status == "open")
        found = sorted(tuple(row) for row in connection.execute(query))
    assert found == [("outbound_mail", person(12)), *(("upload", person(n)) for n in range(3))]


def test_points_below_those_that_count_add_to_no_rule_so_that_nothing_is_lost_when_the_family_moves(
    database: Database,
) -> None:
    for family in ("upload", "outbound_mail"):
        take(database, THREE, StrangeDay(person(0), points=24.9, slow=24.9, family=family, rule="low"))
        assert by_status(database, "open") == by_status(database, "held") == []
    take(database, THREE, StrangeDay(person(0), points=60, family="outbound_mail"))
    with database.read() as connection:
        rows = connection.execute(select(alerts.c.family, alerts.c.status, alerts.c.score))
        assert [tuple(row) for row in rows] == [("outbound_mail", "open", 60)]


# Cool-down


def test_after_a_verdict_of_harmless_the_subject_cools_down(database: Database) -> None:
    take(database, THREE, StrangeDay(person(0), points=80))
    closed = close(database, person(0))
    take(database, THREE, StrangeDay(person(0), TODAY + 6, points=85, family="outbound_mail"))
    assert by_status(database, "held") == [person(0)]
    with database.read() as connection:
        assert (
            connection.execute(select(alert_candidates.c.cooling).order_by(alert_candidates.c.alert.desc()))
            .scalars()
            .first()
            == closed
        )
    take(database, THREE, StrangeDay(person(0), TODAY + 7, points=60, family="printing"))
    assert by_status(database, "open") == [person(0)]


def test_a_clearly_stranger_day_does_not_wait_and_a_confirmed_alert_cools_nothing(database: Database) -> None:
    take(database, THREE, StrangeDay(person(0), points=80), StrangeDay(person(1), points=80))
    close(database, person(0))
    close(database, person(1), Verdict.CONFIRMED)
    take(database, THREE, StrangeDay(person(0), TODAY + 1, points=89.9))
    take(database, THREE, StrangeDay(person(1), TODAY + 1, points=55))
    assert (by_status(database, "open"), by_status(database, "held")) == ([person(1)], [person(0)])
    assert take(database, THREE, StrangeDay(person(0), TODAY + 1, points=90.1)) == [90]


def test_drift_cools_down_for_four_weeks_and_takes_no_place_meanwhile(database: Database) -> None:
    one = model_with(day_cap=3)
    take(database, one, StrangeDay(person(0), slow=80))
    close(database, person(0))
    take(database, one, StrangeDay(person(0), TODAY + 27, slow=85, family="printing"))
    assert by_status(database, "held") == [person(0)]
    assert take(database, one, StrangeDay(person(1), TODAY + 27, slow=51)) == [51]


# What was judged


def test_a_judged_day_comes_again_when_it_is_clearly_stranger_and_not_with_the_next_event(
    database: Database,
) -> None:
    take(database, THREE, StrangeDay(person(0), points=80))
    close(database, person(0))
    take(database, THREE, StrangeDay(person(0), points=84))
    assert (by_status(database, "open"), by_status(database, "held")) == ([], [])
    assert take(database, THREE, StrangeDay(person(0), points=91)) == [91]


def test_a_day_below_the_line_was_not_judged_with_the_days_around_it(database: Database) -> None:
    take(database, THREE, StrangeDay(person(0), TODAY - 1, points=45), StrangeDay(person(0), points=80))
    close(database, person(0))
    assert take(database, THREE, StrangeDay(person(0), TODAY - 1, points=55)) == [55]


# Two workers


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("first", [(0, 1), (1, 0)])
def test_two_workers_at_once_open_what_one_would(database: Database, first: tuple[int, int]) -> None:
    one = model_with(day_cap=1)
    days = [StrangeDay(person(0), points=60), StrangeDay(person(1), points=70)]
    with database.begin() as connection:
        # Others were there before, and are no candidates any more.
        connection.execute(queue_days.insert().values(queue="day", day=TODAY, cap=1))
    ranked, waits = threading.Event(), threading.Event()

    def later() -> None:
        ranked.wait(20)
        with database.begin(alone=False) as connection:
            waits.set()
            write_strange(connection, one, [days[first[1]]])

    thread = threading.Thread(target=later)
    thread.start()
    with database.begin(alone=False) as connection:
        write_strange(connection, one, [days[first[0]]])
        ranked.set()
        waits.wait(20)
        # It stands before the day that is locked.
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(20)
    assert (by_status(database, "open"), by_status(database, "held")) == ([person(1)], [person(0)])


@pytest.mark.databases("postgresql")
def test_what_another_worker_writes_meanwhile_is_ranked_by_whoever_comes_last(database: Database) -> None:
    """An alert of one worker is put out by another one while the first writes it anew."""
    one = model_with(day_cap=1)
    take(database, one, StrangeDay(person(0), points=60))
    orders = itertools.permutations([StrangeDay(person(0), points=65), StrangeDay(person(1), points=70)])
    for ours, theirs in orders:
        thread = threading.Thread(target=take, args=(database, one, theirs))
        with database.begin(alone=False) as connection:
            write_strange(connection, one, [ours])
            thread.start()
            thread.join(0.3)
        thread.join(20)
        assert (by_status(database, "open"), by_status(database, "held")) == ([person(1)], [person(0)])


def test_what_is_rolled_back_leaves_no_trace(database: Database) -> None:
    take(database, THREE, *(StrangeDay(person(n), points=60 + n) for n in range(4)))
    before = outcome(database)
    with pytest.raises(RuntimeError), database.begin(alone=False) as connection:
        write_strange(connection, THREE, [StrangeDay(person(0), points=99)])
        raise RuntimeError
    assert outcome(database) == before
    with database.begin() as connection:
        # And the day is free.
        connection.execute(update(queue_days).values(cap=3))
