"""An agent's clock follows its heartbeats, whatever is sent again, held back or set back."""

from __future__ import annotations

from server.ingest.event_clock import AgentClock

NOW = 1_795_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE


def _hear(clock: AgentClock, *heartbeats: tuple[int, int]) -> AgentClock:
    """Each (sent_at, received_at), after NOW."""
    for sent_at, received_at in heartbeats:
        clock = clock.heard(NOW + sent_at, NOW + received_at)
    return clock


def test_a_heartbeat_sent_again_an_hour_later_changes_nothing_that_the_next_one_sees() -> None:
    clock = _hear(AgentClock(), (0, 0), (HOUR, HOUR))
    replayed = _hear(clock, (0, HOUR + 1000))
    assert (replayed.offset, replayed.sent_at) == (0, NOW + HOUR)
    live = (HOUR + 15_000, HOUR + 15_000)
    assert _hear(replayed, live) == _hear(clock, live)


def test_heartbeats_that_were_held_back_and_come_in_a_rush_are_no_wrong_clock() -> None:
    clock = _hear(AgentClock(), (0, 0))
    rush = [(sent * MINUTE, 30 * MINUTE + sent) for sent in range(1, 25)]
    held = _hear(clock, *rush)
    assert (held.offset, held.sent_at) == (0, NOW + 24 * MINUTE)
    assert _hear(held, (31 * MINUTE, 31 * MINUTE)) == AgentClock(0, NOW + 31 * MINUTE)


def test_a_clock_that_was_set_back_counts_after_two_minutes_by_its_smallest_delay() -> None:
    clock = _hear(AgentClock(), (0, 0), (MINUTE, MINUTE))
    beats = [(-HOUR + at, at + way) for at, way in ((75_000, 9), (90_000, 40_000), (150_000, 3))]
    clock = _hear(clock, *beats)
    assert (clock.offset, clock.sent_at) == (0, NOW + MINUTE)
    clock = _hear(clock, (-HOUR + 195_000, 195_009))
    assert (clock.offset, clock.sent_at) == (HOUR + 3, NOW - HOUR + 195_000)


def test_a_clock_that_was_set_forward_counts_at_once_and_its_way_back_after_two_minutes() -> None:
    clock = _hear(AgentClock(), (0, 0), (HOUR + 15_000, 15_000))
    assert clock.offset == -HOUR
    clock = _hear(clock, (30_000, 30_000))
    assert clock.offset == -HOUR
    clock = _hear(clock, (90_000, 90_000), (150_000, 150_000))
    assert clock == AgentClock(0, NOW + 150_000)


def test_a_clock_that_is_wrong_from_the_first_heartbeat_is_corrected_by_it() -> None:
    assert _hear(AgentClock(), (-400 * HOUR, 0)).offset == 400 * HOUR


def test_a_way_that_gets_longer_does_not_creep_into_the_offset() -> None:
    clock = _hear(AgentClock(), (-HOUR, 0))
    for step in range(1, 20):
        clock = _hear(clock, (-HOUR + step * 1000, step * 7000))
    assert clock.offset == HOUR


def test_no_event_is_put_after_its_receipt_by_a_correction() -> None:
    clock = AgentClock(HOUR, NOW)
    assert clock.corrected(NOW - 5 * MINUTE, NOW) == NOW
    assert clock.corrected(NOW - HOUR, NOW) == NOW
    assert clock.corrected(NOW + HOUR, NOW) == NOW + HOUR
    assert AgentClock(-HOUR, NOW).corrected(NOW + 2 * HOUR, NOW) == NOW + HOUR


def test_events_on_both_sides_of_a_step_are_each_corrected_by_their_own_clock() -> None:
    clock = _hear(AgentClock(), (0, 0))
    ahead = clock.heard(NOW + HOUR + 1000, NOW + 1000, ((5, HOUR),))
    assert ahead.corrected(NOW - MINUTE, NOW + 1000, 4) == NOW - MINUTE
    assert ahead.corrected(NOW + HOUR, NOW + 1000, 5) == NOW
    back = ahead.heard(NOW + 61_000, NOW + 61_000, ((5, HOUR), (8, -HOUR)))
    assert (back.offset, back.sent_at) == (0, NOW + 61_000)
    assert [
        back.corrected(NOW + late, NOW + 61_000, seq) for seq, late in ((4, 0), (7, HOUR), (8, 60_000))
    ] == [
        NOW,
        NOW,
        NOW + 60_000,
    ]


def test_an_older_heartbeat_sent_again_does_not_undo_a_step() -> None:
    steps = ((5, HOUR), (8, -HOUR))
    clock = _hear(AgentClock(), (0, 0)).heard(NOW + MINUTE, NOW + MINUTE, steps)
    again = clock.heard(NOW, NOW + 2 * MINUTE, ())
    assert (again.offset, again.steps) == (0, steps)
    assert clock.heard(NOW + HOUR, NOW + 2 * MINUTE, steps[:1]) == clock
