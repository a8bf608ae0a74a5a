"""A subject's history comes back from its bytes, is small, and damage is told."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.measures import ACTIVITIES, VALUE_MAX
from analytics.sealed_bytes import StoredStateError
from analytics.subject_days import history_from_bytes, history_to_bytes
from tests.analytics.company_days import company


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 120))
def test_what_is_stored_comes_back(seed: int, days: int) -> None:
    own = {name: each.of(slice(0, 1)) for name, each in company(seed, 1, days).items()}
    first, again = history_from_bytes(history_to_bytes(739_000, own))
    assert first == 739_000
    for name, each in own.items():
        assert np.array_equal(again[name].values, each.values)
        assert np.array_equal(again[name].seen, each.seen)


def test_115_days_of_a_person_take_a_few_kilobytes() -> None:
    history = company(3, 40, 115)
    sizes = [
        len(history_to_bytes(739_000, {name: each.of(slice(i, i + 1)) for name, each in history.items()}))
        for i in range(40)
    ]
    assert np.mean(sizes) < 6_000


def test_an_activity_that_is_new_or_changed_begins_as_not_seen() -> None:
    own = {name: each.of(slice(0, 1)) for name, each in company(3, 1, 40).items()}
    raw = msgspec.msgpack.decode(history_to_bytes(739_000, own))
    del raw[3]["mail"]
    raw[3]["files"][1] = [[0, 1]]
    raw[3]["dancing"] = [b"\x00" * 5, []]
    _, again = history_from_bytes(msgspec.msgpack.encode(raw))
    assert set(again) == set(ACTIVITIES)
    assert not again["mail"].seen.any()
    assert not again["files"].seen.any()
    assert again["cloud"].seen.any()


@pytest.mark.parametrize("change", ["version", "days", "bitmap", "day", "negative", "huge", "garbage"])
def test_damage_is_told(change: str) -> None:
    own = {name: each.of(slice(0, 1)) for name, each in company(3, 1, 40).items()}
    raw = msgspec.msgpack.decode(history_to_bytes(739_000, own))
    if change == "version":
        raw[0] = 2
    elif change == "days":
        raw[2] = 10**9
    elif change == "bitmap":
        raw[3]["mail"][0] = b""
    elif change == "garbage":
        raw = {"a": 1}
    else:
        raw[3]["code"][1] = [{"day": [99, 1], "negative": [1, -1], "huge": [1, VALUE_MAX + 1]}[change]]
    with pytest.raises(StoredStateError):
        history_from_bytes(msgspec.msgpack.encode(raw))
