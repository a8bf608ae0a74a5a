"""Steps of the wall clock, forth and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import integers

from collectors.steady_clock import SteadyClock


def test_what_the_wall_clock_showed_is_known_before_and_after_its_steps() -> None:
    at = {"wall": 1_000_000, "steady": 500}
    clock = SteadyClock(lambda: at["wall"], lambda: at["steady"])

    def passes(ms: int, step: int = 0) -> int:
        at["steady"] += ms
        at["wall"] += ms + step
        return clock.now_ms()

    first = passes(100)
    assert (first, clock.wall_ms(first)) == (600, 1_000_100)
    after = passes(50, step=-3_600_000)
    assert after == 650
    assert clock.wall_ms(after) == 1_000_150 - 3_600_000
    assert clock.wall_ms(first) == 1_000_100
    assert clock.steady_ms(clock.wall_ms(after)) == after
    later = passes(50, step=7_200_000)
    assert clock.wall_ms(later) == 1_000_200 + 3_600_000
    assert clock.wall_ms(after) == 1_000_150 - 3_600_000


def test_the_clocks_own_time_passes_without_a_step_and_goes_on_while_the_machine_sleeps() -> None:
    clock = SteadyClock(lambda: 5)
    one, two = clock.now_ms(), clock.now_ms()
    assert 0 < one <= two


@given(integers(-100_000, 100_000), integers(-50_000, 50_000))
def test_no_time_of_a_file_becomes_a_later_one_however_the_clock_stepped(step: int, ago: int) -> None:
    at = {"wall": 1_000_000, "steady": 500_000}
    clock = SteadyClock(lambda: at["wall"], lambda: at["steady"])
    at["steady"] += 1_000
    at["wall"] += 1_000 + step
    now = clock.now_ms()
    changed = at["wall"] - ago
    again = clock.wall_ms(clock.steady_ms(changed))
    assert again <= changed
    assert clock.wall_ms(clock.steady_ms(at["wall"])) == at["wall"] == clock.wall_ms(now)
