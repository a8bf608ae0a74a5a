"""A step of the machine's clock is noticed with the first event that is dated by the new time."""

from __future__ import annotations

from agent.clock_steps import ClockSteps
from event_schema.control_records import CLOCK_STEPS_MAX, ClockStep

NOW = 1_795_305_600_000
YEAR = 365 * 86_400_000


class Machine:
    def __init__(self) -> None:
        self.steady, self.leap = 1000, 0
        self.steps = ClockSteps(self.wall, lambda: self.steady)

    def wall(self) -> int:
        return NOW + self.steady + self.leap


def test_a_step_lies_between_the_events_of_one_batch_where_their_times_say_so() -> None:
    machine = Machine()
    machine.steps.look(0, [machine.wall()])
    before = machine.wall()
    machine.leap = YEAR
    machine.steps.look(1, [before, before + 5, machine.wall(), machine.wall()])
    assert machine.steps.recent() == (ClockStep(3, YEAR),)
    back = machine.wall()
    machine.leap = 0
    machine.steps.look(5, [back, back])
    assert machine.steps.recent() == (ClockStep(3, YEAR), ClockStep(7, -YEAR))
    assert machine.steps.count == 2


def test_sleep_and_small_steps_are_none_and_only_the_last_ones_are_told() -> None:
    machine = Machine()
    machine.steady += 8 * 3_600_000
    machine.steps.look(3)
    machine.leap = 30_000
    machine.steps.look(3)
    assert machine.steps.recent() == ()
    for number in range(20):
        machine.leap += YEAR
        machine.steps.look(number)
    assert [step.first_seq for step in machine.steps.recent()] == list(range(20 - CLOCK_STEPS_MAX, 20))
