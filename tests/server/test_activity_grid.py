"""The grid on which running days are scored again."""

from __future__ import annotations

import random

import pytest

from analytics.measures import ACTIVITIES, VALUE_MAX
from server.detection.activity_grid import moved, to_next_step
from tests.server.pipeline.scored_company import plain_step

ANY = [(activity, at) for activity, measures in ACTIVITIES.items() for at in range(len(measures))]


@pytest.mark.parametrize(("activity", "at"), ANY)
def test_the_next_step_is_where_a_day_moves_and_not_before(activity: str, at: int) -> None:
    dice = random.Random(at)
    measures = ACTIVITIES[activity]
    for _ in range(60):
        day = [0] * len(measures)
        day[at] = dice.choice((0, 1, dice.randrange(10**3), int(10 ** dice.uniform(0, 15))))
        room = to_next_step(activity, day)[at]
        if day[at] + room > VALUE_MAX:
            continue
        for more, wanted in ((room - 1, False), (room, True)):
            later = [*day[:at], day[at] + more, *day[at + 1 :]]
            found = moved(activity, day, later)
            assert found.any is wanted
            assert found.slow is (wanted and measures[at].slow)
            steps = [plain_step(each[at], measures[at].unit) for each in (day, later)]
            assert (steps[0] != steps[1]) is wanted


@pytest.mark.parametrize("activity", sorted(ACTIVITIES))
def test_two_million_events_of_a_day_are_scored_a_few_hundred_times(activity: str) -> None:
    number = len(ACTIVITIES[activity])
    events, scored, day = 0, 0, [0] * number
    while events < 2_000_000:
        # Each adds one of every measure; skip to where the first one steps on.
        step = min(to_next_step(activity, day))
        events, day = events + step, [each + step for each in day]
        scored += 1
    assert scored < 100 * number


def test_whatever_comes_after_the_largest_day_moves_nothing() -> None:
    for activity, measures in ACTIVITIES.items():
        full = [VALUE_MAX] * len(measures)
        assert not moved(activity, full, full).any
        assert min(to_next_step(activity, full)) > 0
