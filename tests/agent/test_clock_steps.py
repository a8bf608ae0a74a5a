"""A step of the machine's clock is told with the number of the first event that is dated by the new time."""

from __future__ import annotations

import pytest

from agent.clock_steps import ClockSteps
from event_schema.control_records import CLOCK_STEPS_MAX, ClockStep

NOW = 1_795_305_600_000
HOUR = 3_600_000
YEAR = 365 * 86_400_000


class Machine:
    def __init__(self, next_seq: int = 0) -> None:
        self.steady, self.leap = 1000, 0
        self.steps = ClockSteps(self.wall, next_seq, lambda: self.steady)

    def wall(self) -> int:
        return NOW + self.steady + self.leap

    def hand_on(self, *times: int) -> None:
        for time in times:
            self.steps.hand_on(time)

    def after(self, ms: int) -> None:
        """Looked at every five seconds, as a running agent does."""
        for _ in range(ms // 5000):
            self.steady += 5000
            self.steps.look()


def test_a_step_is_noticed_with_the_first_event_that_is_dated_by_the_new_time() -> None:
    machine = Machine()
    machine.hand_on(machine.wall())
    before = machine.wall()
    machine.leap = YEAR
    machine.hand_on(before, before + 5, machine.wall(), machine.wall())
    assert machine.steps.recent() == (ClockStep(3, YEAR),)
    back = machine.wall()
    machine.leap = 0
    machine.hand_on(back, back, machine.wall())
    assert machine.steps.recent() == (ClockStep(3, YEAR), ClockStep(7, -YEAR))


@pytest.mark.parametrize("step", [5 * HOUR, -5 * HOUR, YEAR, -YEAR])
def test_a_heartbeat_that_notices_a_step_places_it_behind_all_that_was_handed_on(step: int) -> None:
    machine = Machine(next_seq=40)
    machine.hand_on(*[machine.wall()] * 300)
    machine.leap = step
    machine.steps.look()
    assert machine.steps.recent() == (ClockStep(340, step),)
    told = machine.steps.changes
    machine.hand_on(machine.wall())
    assert (machine.steps.recent(), machine.steps.changes) == ((ClockStep(340, step),), told)


@pytest.mark.parametrize("step", [5 * HOUR, -5 * HOUR, YEAR, -YEAR])
def test_events_that_a_collector_still_holds_move_a_step_and_it_is_told_again(step: int) -> None:
    machine = Machine()
    held = [machine.wall(), machine.wall() + 3]
    machine.after(10_000)
    machine.leap = step
    machine.after(3 * HOUR)
    assert machine.steps.recent() == (ClockStep(0, step),)
    told = machine.steps.changes
    machine.hand_on(*held)
    assert machine.steps.recent() == (ClockStep(2, step),)
    assert machine.steps.changes > told
    told = machine.steps.changes
    # Hashed for twenty minutes, and dated anew.
    machine.hand_on(machine.wall() - 20 * 60_000, machine.wall())
    assert (machine.steps.recent(), machine.steps.changes) == ((ClockStep(2, step),), told)


def test_two_steps_while_an_event_is_held_are_both_behind_it() -> None:
    machine = Machine()
    held = machine.wall()
    for machine.leap in (YEAR, HOUR):
        machine.after(60_000)
    between = machine.wall() - HOUR + YEAR - 90_000
    machine.hand_on(held, between, machine.wall())
    assert machine.steps.recent() == (ClockStep(1, YEAR), ClockStep(2, HOUR - YEAR))


def test_sleep_and_small_steps_are_none_and_only_the_last_ones_are_told() -> None:
    machine = Machine()
    machine.steady += 8 * HOUR
    machine.steps.look()
    machine.leap = 30_000
    machine.hand_on(machine.wall(), machine.wall())
    assert machine.steps.recent() == ()
    for _ in range(20):
        machine.leap += YEAR
        machine.hand_on(machine.wall())
    assert [step.first_seq for step in machine.steps.recent()] == list(range(22 - CLOCK_STEPS_MAX, 22))
    assert machine.steps.changes == 20
