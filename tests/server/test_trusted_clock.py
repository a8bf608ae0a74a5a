"""The server's clock does not leap with the machine's, and what deletes waits until a leap is confirmed."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.data_directory import DataDirectory
from server.trusted_clock import (
    CONFIRMED_MS,
    GAP_MS,
    STANDS_MS,
    ClockState,
    KeptTime,
    TrustedClock,
    keep_time,
    read_kept,
)

NOW = 1_795_305_600_000
YEAR = 365 * 86_400_000
HOUR = 3_600_000
MINUTE = 60_000


class Machine:
    """A machine that was booted a day ago; `leap` is what somebody does to its clock."""

    def __init__(self, confirmed: int | None = NOW, *, stamps: bool = True) -> None:
        self.steady, self.leap = 86_400_000, 0
        self.clock = TrustedClock(self.wall, confirmed=confirmed, stamps=stamps, steady=lambda: self.steady)

    def restart(self, directory: DataDirectory) -> None:
        kept = read_kept(directory)
        self.clock = TrustedClock(
            self.wall,
            confirmed=kept.confirmed,
            stamped_early=kept.stamped_early,
            steady=lambda: self.steady,
        )

    def wall(self) -> int:
        return NOW - 86_400_000 + self.steady + self.leap

    def after(self, ms: int) -> int:
        """Asks every second, as a running server does."""
        for _ in range(ms // 1000):
            self.steady += 1000
            self.clock()
        return self.clock()


def test_small_steps_are_followed_at_once() -> None:
    machine = Machine()
    for step in (-900, 40_000, -59_000):
        machine.leap += step
        assert machine.clock() == machine.wall() == machine.clock.for_deletion()
    assert machine.clock.state() == ClockState()


def test_a_year_ahead_or_back_for_a_minute_does_not_show_but_in_the_state() -> None:
    for leap in (YEAR, -YEAR):
        machine = Machine()
        machine.leap = leap
        assert machine.after(MINUTE) == NOW + MINUTE == machine.clock.for_deletion()
        assert machine.clock.state() == ClockState(leap=leap)
        machine.leap = 0
        assert machine.after(MINUTE) == NOW + 2 * MINUTE
        assert machine.clock.state() == ClockState()


def test_a_leap_that_stands_is_followed_and_deletion_waits_for_a_day() -> None:
    machine = Machine()
    machine.leap = YEAR
    assert machine.after(STANDS_MS - 1000) == NOW + STANDS_MS - 1000
    assert machine.after(2000) == NOW + STANDS_MS + 1000 + YEAR
    assert machine.clock.for_deletion() == NOW + STANDS_MS + 1000
    assert machine.clock.state() == ClockState(deletion_behind=YEAR)
    assert machine.after(CONFIRMED_MS) == machine.clock.for_deletion() == machine.wall()


def test_agents_that_agree_with_the_machines_clock_settle_it_at_once() -> None:
    machine = Machine()
    machine.leap = YEAR
    machine.clock()
    for agent, sent_at in (("honest", machine.wall()), ("wrong", NOW), ("another", machine.wall() - 3000)):
        decided = machine.clock.hear(agent, sent_at, machine.clock())
        # One says so, one says no: it takes a third.
        if agent == "honest":
            assert decided
        machine.clock()
    assert machine.clock() == machine.wall() == machine.clock.for_deletion()


def test_agents_that_agree_with_the_time_so_far_keep_it_however_often_they_are_heard() -> None:
    machine = Machine()
    machine.leap = -YEAR
    for _ in range(20):
        machine.steady += 1000
        assert not machine.clock.hear("a", NOW + machine.steady - 86_400_000, machine.clock())
    assert machine.clock() == NOW + 20_000


def test_after_a_start_long_after_the_last_sure_time_deletion_waits_for_agents_or_a_day() -> None:
    machine = Machine(confirmed=NOW - YEAR)
    assert machine.clock() == NOW
    assert machine.clock.for_deletion() == NOW - YEAR
    machine.clock.hear("liar", NOW - YEAR, NOW)
    assert machine.clock.for_deletion() == NOW - YEAR
    machine.clock.hear("a", NOW, NOW)
    assert machine.clock.for_deletion() == NOW - YEAR
    machine.clock.hear("b", NOW, NOW)
    assert machine.clock.for_deletion() == NOW
    waiting = Machine(confirmed=NOW - YEAR)
    waiting.after(CONFIRMED_MS)
    assert waiting.clock.for_deletion() == waiting.clock()


def test_a_night_without_the_server_is_no_leap_and_a_heartbeat_from_the_backlog_no_witness() -> None:
    assert Machine(confirmed=NOW - GAP_MS + 1).clock.state() == ClockState()
    machine = Machine(confirmed=NOW - YEAR)
    machine.clock.hear("a", NOW - 3 * MINUTE, NOW - 3 * MINUTE)
    assert machine.clock.for_deletion() == NOW - YEAR


def test_only_a_sure_time_is_kept(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    assert read_kept(directory) == KeptTime()
    machine = Machine()
    keep_time(directory, machine.clock)
    assert read_kept(directory) == KeptTime(NOW)
    machine.leap = YEAR
    machine.after(2 * STANDS_MS)
    keep_time(directory, machine.clock)
    assert read_kept(directory).confirmed == NOW
    directory.clock_path.write_bytes(b"\xff")
    assert read_kept(directory) == KeptTime()
    directory.clock_path.write_bytes(b'{"confirmed":%d}' % NOW)
    assert read_kept(directory) == KeptTime(NOW)


@pytest.mark.parametrize("followed", [True, False])
def test_what_was_stamped_before_a_leap_is_put_right_after_a_restart(tmp_path: Path, followed: bool) -> None:
    directory, machine = DataDirectory(tmp_path), Machine()
    keep_time(directory, machine.clock)
    before, machine.leap = machine.after(3 * MINUTE), 3 * HOUR
    stamped = machine.after(5000)
    if followed:
        assert machine.clock.hear("a", machine.wall(), stamped)
    keep_time(directory, machine.clock)
    if not followed:
        # What is stamped after it was kept is off as well.
        stamped = machine.after(5000)
    for _ in range(2):
        machine.steady += 2000
        machine.restart(directory)
        assert machine.clock.restamped(stamped) == stamped + 3 * HOUR
        assert machine.clock.restamped(before - 2 * MINUTE) == before - 2 * MINUTE
        assert machine.clock.restamped(now := machine.clock()) == now == machine.wall()
        keep_time(directory, machine.clock)


def test_a_leap_in_doubt_that_was_undone_before_the_restart_moves_nothing(tmp_path: Path) -> None:
    directory, machine = DataDirectory(tmp_path), Machine()
    machine.leap = 3 * HOUR
    stamped = machine.after(5000)
    keep_time(directory, machine.clock)
    assert read_kept(directory).stamped_early is not None
    machine.leap = 0
    machine.restart(directory)
    assert machine.clock.restamped(stamped) == stamped
    keep_time(directory, machine.clock)
    assert read_kept(directory) == KeptTime(machine.wall(), None)


@pytest.mark.parametrize("skew", [-800, 800])
def test_where_brokers_stamp_heartbeats_settle_a_leap_ahead_and_no_stamp_is_moved(skew: int) -> None:
    machine = Machine(stamps=False)
    machine.leap = 3 * HOUR
    first = machine.after(1000)
    # From when this machine was asleep: that looks new by the time so far, and the next by none.
    for agent in ("a", "b", "c"):
        machine.clock.hear(agent, first - 500, first)
        machine.clock.hear(agent, first - 500 + HOUR, first + HOUR)
    assert machine.clock.state() == ClockState(leap=3 * HOUR)
    assert not machine.clock.hear("a", machine.wall() - 500, machine.wall() + skew)
    assert machine.clock.hear("b", machine.wall() - 500, machine.wall() + skew)
    assert machine.clock() == machine.wall() == machine.clock.for_deletion()
    assert machine.clock.restamped(first) == first
    assert machine.clock.stamped_early() is None


@pytest.mark.parametrize("leap", [3 * HOUR, -3 * HOUR])
def test_where_brokers_stamp_heartbeats_that_agree_with_the_time_so_far_keep_it(leap: int) -> None:
    machine = Machine(stamps=False)
    machine.leap = leap
    machine.after(1000)
    right = machine.wall() - leap
    assert not machine.clock.hear("a", right - 500, right + 800)
    # An agent whose clock is like the wrong one is alone.
    assert not machine.clock.hear("b", machine.wall(), right + 800)
    # What waited in the log while the clock was set back says nothing.
    assert not machine.clock.hear("c", right - 3 * HOUR, right - 3 * HOUR)
    assert machine.clock() == right


def test_a_wrong_clock_at_the_start_that_is_put_right_is_followed_at_once() -> None:
    machine = Machine(confirmed=NOW - 3 * MINUTE)
    machine.leap = YEAR
    machine.clock = TrustedClock(machine.wall, confirmed=NOW - 3 * MINUTE, steady=lambda: machine.steady)
    assert (machine.clock(), machine.clock.for_deletion()) == (NOW + YEAR, NOW - 3 * MINUTE)
    machine.leap = 0
    assert machine.clock() == NOW == machine.clock.for_deletion()
    assert machine.clock.state() == ClockState()


def test_a_clock_that_is_behind_the_last_sure_time_at_the_start_has_leapt() -> None:
    machine = Machine()
    machine.leap = -YEAR
    machine.clock = TrustedClock(machine.wall, confirmed=NOW - 1000, steady=lambda: machine.steady)
    assert machine.clock() == NOW - 1000
    assert machine.clock.state() == ClockState(leap=1000 - YEAR)
    machine.leap = 0
    assert machine.clock() == NOW


def test_what_was_stamped_while_a_leap_was_in_doubt_is_put_right_once_it_is_followed() -> None:
    machine = Machine()
    machine.after(3 * MINUTE)
    before, machine.leap = machine.clock(), YEAR
    stamped = machine.after(5000)
    assert machine.clock.restamped(stamped) == stamped
    assert machine.clock.hear("a", machine.wall(), stamped)
    assert machine.clock.restamped(stamped) == stamped + YEAR == machine.clock()
    assert machine.clock.restamped(before - 2 * MINUTE) == before - 2 * MINUTE


@pytest.mark.parametrize("leap", [3 * HOUR, 30 * HOUR])
def test_what_was_stamped_before_a_leap_that_stood_is_put_right_however_late_it_is_read(leap: int) -> None:
    machine = Machine()
    machine.after(MINUTE)
    machine.leap = leap
    stamped = machine.after(STANDS_MS - 1000)
    assert machine.after(2000) == machine.wall()
    for _ in range(3):
        assert machine.clock.restamped(stamped) == stamped + leap
        # Clocks are read one after the other.
        machine.leap += 1
        machine.after(MINUTE)
    confirmed = leap <= GAP_MS
    assert (machine.clock.for_deletion() == machine.clock()) == confirmed
