"""Drift adds up what a baseline of weeks ago calls unusual; company and subject give the same numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.activity_peers import members, peer_groups
from analytics.anomaly_model import slow_history
from analytics.drift_features import (
    DRIFT_NAMES,
    HISTORY_DAYS,
    background_from_history,
    baseline,
    drift_background,
    drift_features,
    drift_peers,
    gap_z,
)
from analytics.measures import SLOW
from analytics.panel import Flags, Floats
from tests.analytics.company_days import company, day_types

DAYS = 150
OFF = np.array([day_type == "off" for day_type in day_types(DAYS)])


def constant(level: float, days: int = DAYS) -> tuple[Floats, Flags]:
    rng = np.random.default_rng(5)
    x = level + rng.normal(0, 0.3, (8, days, len(SLOW)))
    return np.maximum(x, 0.0), np.ones((8, days), dtype=np.bool_)


def today_of(x: Floats, there: Flags, day: int) -> Floats:
    group = np.zeros(len(x), dtype=np.intp)
    peers = drift_peers(x[:, :day], there[:, :day], OFF[:day], [np.arange(len(x))] * 2)
    known = background_from_history(x[:, :day], there[:, :day], OFF[:day], bool(OFF[day]), group, peers)
    return drift_features(x[:, day], there[:, day], known)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(30, DAYS - 1), st.integers(0, 9))
def test_day_by_day_over_a_panel_and_one_subject_s_recent_days_are_the_same(
    seed: int, day: int, row: int
) -> None:
    x, there = slow_history(company(seed, 10, DAYS))
    groups = peer_groups(["a", "b"] * 5)
    group = groups.rows(["a", "b"] * 5)
    peers = drift_peers(x, there, OFF, members(["a", "b"] * 5, groups))
    z = np.full(x.shape, np.nan)
    for each in range(day):
        known = baseline(x[:, :each], there[:, :each], OFF[:each], bool(OFF[each]), group, peers)
        z[:, each] = gap_z(x[:, each], there[:, each], known)
    known = baseline(x[:, :day], there[:, :day], OFF[:day], bool(OFF[day]), group, peers)
    at_once = drift_features(x[:, day], there[:, day], drift_background(z[:, :day], known))
    recent, one = slice(max(day - HISTORY_DAYS, 0), day), slice(row, row + 1)
    alone = background_from_history(
        x[one, recent], there[one, recent], OFF[recent], bool(OFF[day]), group[one], peers
    )
    np.testing.assert_allclose(
        drift_features(x[one, day], there[one, day], alone)[0], at_once[row], rtol=1e-10, atol=1e-10
    )


def test_a_slow_leaker_stands_out_and_cannot_teach_the_baseline() -> None:
    x, there = constant(2.0)
    x[0, 100:, 0] += 0.6
    found = today_of(x, there, 128)
    assert found.shape == (8, len(DRIFT_NAMES))
    assert found[0, len(SLOW)] > 4
    assert found[1:, len(SLOW)].max() < 3


def test_a_person_who_has_no_old_days_does_not_drift() -> None:
    x, there = constant(2.0)
    there[0, :95] = False
    x[0, 95:, :] += 5
    assert not today_of(x, there, 120)[0].any()


def test_holidays_are_no_days_and_a_single_loud_day_is_no_drift() -> None:
    x, there = constant(2.0)
    there[1, 101:127] = False
    x[1, 127, 0] += 9
    found = today_of(x, there, 128)
    assert found[1, 0] <= 4.0 / np.sqrt(4) + 4.0 / np.sqrt(4)


def test_drift_is_silent_in_a_young_company() -> None:
    x, there = constant(2.0, 30)
    assert not today_of(x, there, 29).any()
