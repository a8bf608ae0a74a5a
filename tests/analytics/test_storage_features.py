"""The numbers that describe a day on removable storage, against the facts' formulas."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.storage_day import HistoryDay, StorageDay
from analytics.storage_features import (
    FEATURE_NAMES,
    PeerDayStats,
    PeerStats,
    PeerSumStats,
    own_usual,
    storage_features,
    usual_day,
    window_sums,
)

QUIET_PEERS = PeerStats(
    PeerDayStats((1.0, 0.5, 0.0), (0.5, 0.5, 0.1)),
    PeerDayStats((0.0, 0.0, 0.0), (0.1, 0.1, 0.1)),
    PeerSumStats((1.0, 2.0), (0.5, 0.5), (0.4, 0.4)),
    (),
)
MEGABYTE = 1_000_000


def workday(megabytes: int, files: int = 1, new_devices: int = 0) -> HistoryDay:
    return HistoryDay("work", StorageDay(megabytes * MEGABYTE, files, new_devices))


def named(values: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(FEATURE_NAMES, values, strict=True))


def test_burst_is_the_shrunk_z_of_the_facts() -> None:
    history = [workday(9) for _ in range(20)]
    found = named(storage_features(StorageDay(999 * MEGABYTE, 1, 0), "work", history, QUIET_PEERS))
    centre = (20 * math.log(10) + 5 * 1.0) / 25
    scale = math.sqrt((20 * 0 + 5 * 0.5**2) / 25)
    assert found["megabytes_burst"] == pytest.approx(min((math.log(1000) - centre) / max(scale, 0.25), 15))


def test_other_day_types_do_not_teach_the_burst() -> None:
    weekends = [HistoryDay("off", StorageDay(900 * MEGABYTE, 50, 0))] * 30
    with_weekends = storage_features(StorageDay(50 * MEGABYTE, 3, 0), "work", weekends, QUIET_PEERS)
    without = storage_features(StorageDay(50 * MEGABYTE, 3, 0), "work", [], QUIET_PEERS)
    assert with_weekends[:3] == without[:3]


def test_only_the_last_28_days_of_the_type_teach_the_burst() -> None:
    history = [workday(1)] * 28 + [workday(5_000)] * 20
    assert own_usual(history, "work") == own_usual(history[:28], "work")


def test_a_missing_day_is_not_a_day_of_zeros() -> None:
    missing = [HistoryDay("work", None)] * 10
    assert own_usual([*missing, workday(9)], "work").days == 1
    today = StorageDay(MEGABYTE, 1, 0)
    rarity_missing = named(storage_features(today, "work", missing, QUIET_PEERS))["copy_rarity"]
    zeros = [HistoryDay("work", StorageDay())] * 10
    rarity_zeros = named(storage_features(today, "work", zeros, QUIET_PEERS))["copy_rarity"]
    assert rarity_missing == pytest.approx(-math.log(0.5))
    assert rarity_zeros == pytest.approx(-math.log(0.5 / 11))


def test_rarity_is_zero_on_a_day_without_copies() -> None:
    found = named(storage_features(StorageDay(), "work", [workday(1)] * 5, QUIET_PEERS))
    assert found["copy_rarity"] == 0
    assert found["new_device_rarity"] == 0


def test_a_little_every_day_shows_in_the_sums_though_no_day_is_a_burst() -> None:
    history = [workday(40)] * 6 + [workday(2)] * 54
    found = named(storage_features(StorageDay(40 * MEGABYTE, 1, 0), "work", history, QUIET_PEERS))
    assert found["megabytes_7d_own"] > 3
    assert found["megabytes_7d_peers"] > 3


def test_too_few_earlier_windows_say_nothing_about_the_own_sum() -> None:
    found = named(storage_features(StorageDay(900 * MEGABYTE, 1, 0), "work", [workday(1)] * 11, QUIET_PEERS))
    assert found["megabytes_7d_own"] == 0


def test_a_window_with_missing_days_stands_for_all_its_days() -> None:
    half = [workday(10), HistoryDay("work", None)] * 4
    assert window_sums(half, 8, 0) == [pytest.approx(math.log1p(80))]
    assert window_sums([HistoryDay("work", None)] * 8, 8, 0) == []


def test_no_history_at_all_still_gives_finite_features() -> None:
    found = storage_features(StorageDay(10**15, 10**6, 50), "off", [], QUIET_PEERS)
    assert len(found) == len(FEATURE_NAMES)
    assert all(math.isfinite(value) for value in found)


def test_the_usual_day_is_no_stranger_than_the_day_itself() -> None:
    history = [workday(5, 2)] * 30
    today = StorageDay(9_000 * MEGABYTE, 700, 1)
    day = storage_features(today, "work", history, QUIET_PEERS)
    usual = usual_day(today, "work", history, QUIET_PEERS)
    assert all(u <= d for u, d in zip(usual, day, strict=True))
    assert sum(usual) < sum(day) / 2


days = st.builds(
    HistoryDay,
    st.sampled_from(["work", "off"]),
    st.none() | st.builds(StorageDay, st.integers(0, 10**13), st.integers(0, 10**6), st.integers(0, 20)),
)


@given(
    st.lists(days, max_size=70),
    st.lists(st.tuples(st.integers(0, 10**12), st.booleans()), min_size=1, max_size=5),
)
def test_features_never_fall_while_the_day_goes_on(
    history: list[HistoryDay], copies: list[tuple[int, bool]]
) -> None:
    day = StorageDay()
    before = storage_features(day, "work", history, QUIET_PEERS)
    for size, new_device in copies:
        day = StorageDay(day.bytes + size, day.files + 1, day.new_devices + new_device)
        now = storage_features(day, "work", history, QUIET_PEERS)
        assert all(
            math.isfinite(value) and value >= earlier for value, earlier in zip(now, before, strict=True)
        )
        before = now
