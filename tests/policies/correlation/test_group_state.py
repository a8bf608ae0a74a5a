"""A group's state as bytes."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

from policies.correlation.correlator import GroupKey
from policies.correlation.group_state import decode_group, encode_group
from policies.correlation.group_window import Entry, Kept

THREADS, ROUNDS = 4, 100


def test_threads_encode_groups_at_the_same_time() -> None:
    """As the pipeline, looking back and the nightly deletion do."""
    groups = [_group(number) for number in range(THREADS)]

    def encoded(group: tuple[GroupKey, Kept]) -> list[bytes]:
        return [encode_group(*group) for _ in range(ROUNDS)]

    with ThreadPoolExecutor(THREADS) as threads:
        for group, states in zip(groups, threads.map(encoded, groups), strict=True):
            assert all(decode_group(state) == group for state in states)


def _group(number: int) -> tuple[GroupKey, Kept]:
    """Hard to compress, so that it takes long enough."""
    dice = random.Random(number)
    entries = [Entry(at, dice.randbytes(40).hex(), 1, (), (), day=at) for at in range(2_000)]
    return (f"group {number}",), Kept(None, None, entries)
