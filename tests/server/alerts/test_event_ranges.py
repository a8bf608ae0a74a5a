"""Ranges are sets of numbers: whatever they look like, what comes out is what sets give."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.alerts.event_ranges import EventRange, common, joined, without

RANGES = st.lists(
    st.builds(
        lambda spool, first, length: EventRange(spool[0], spool[1], first, first + length),
        st.sampled_from([("a", "1"), ("a", "2"), ("b", "1")]),
        st.integers(0, 30),
        st.integers(0, 8),
    ),
    max_size=12,
)


def _numbers(ranges: list[EventRange]) -> set[tuple[str, str, int]]:
    return {(r.agent, r.epoch, seq) for r in ranges for seq in range(r.first_seq, r.last_seq + 1)}


@given(RANGES, RANGES)
def test_what_comes_out_is_what_sets_give_and_as_few_ranges_as_can_be(
    one: list[EventRange], other: list[EventRange]
) -> None:
    for found, expected in (
        (joined(one), _numbers(one)),
        (without(one, other), _numbers(one) - _numbers(other)),
        (common(one, other), _numbers(one) & _numbers(other)),
    ):
        assert _numbers(found) == expected
        assert sum(each.count for each in found) == len(expected)
        assert found == joined(found)
