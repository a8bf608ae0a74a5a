"""Features as they are defined: the same for a company at once, for one subject, and in plain Python."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analytics.activity_features import (
    BURST_MAX,
    SUM_MAX,
    Background,
    activity_features,
    background,
    feature_names,
)
from analytics.activity_peers import ActivityPeers, activity_peers, group_name, members, peer_groups
from analytics.measures import ACTIVITIES, MEGABYTE, VALUE_MAX, Measure
from analytics.own_history import OWN_DAYS
from analytics.panel import ActivityDays, Counts, Flags, Floats
from tests.analytics.company_days import company, day_types

ACTIVITY = "database"
MEASURES = ACTIVITIES[ACTIVITY]
OFF = np.array([day_type == "off" for day_type in day_types(120)])


def test_peers_are_those_of_the_same_role_else_of_the_department_else_everybody() -> None:
    roles = ["clerk"] * 5 + ["lead"] * 2 + [None] + ["clerk"] * 4
    names = [group_name("sales" if i < 8 else "law", role) for i, role in enumerate(roles)]
    groups = peer_groups([*names, ""])
    assert groups.names == ("sales", "sales / clerk")
    assert groups.rows([*names, "", group_name("sales", "new"), group_name("new", "clerk")]).tolist() == [
        *[1] * 5,
        *[0] * 3,
        *[2] * 4,
        2,
        0,
        2,
    ]
    assert [rows.tolist() for rows in members([*names, ""], groups)] == [
        [*range(8)],
        [*range(5)],
        [*range(13)],
    ]
    assert group_name("a / b", None) == "a/b"
    assert group_name(None, None) == ""


def everybody(days: ActivityDays, names: list[str]) -> tuple[NDArray[np.intp], ActivityPeers]:
    groups = peer_groups(names)
    rows = groups.rows(names)
    return rows, activity_peers(days, OFF[: days.seen.shape[1]], members(names, groups), MEASURES)


def known(days: ActivityDays, off: Flags, off_today: bool, group: int, peers: ActivityPeers) -> Background:
    return background(days, off, off_today, np.array([group]), peers, MEASURES)


def plainly(
    days: ActivityDays, off: Flags, off_today: bool, group: int, peers: ActivityPeers, today: Counts
) -> list[float]:
    """By the definition, day by day, for one subject."""
    values, seen = days.values[0][-OWN_DAYS:], days.seen[0][-OWN_DAYS:]
    off = off[-OWN_DAYS:]
    n = len(values)

    def x(value: float, measure: Measure) -> float:
        return math.log1p(value / MEGABYTE if measure.unit == "bytes" else value)

    burst, rarity, sums = [], [], []
    same = [d for d in range(n) if off[d] == off_today][-28:]
    for i, measure in enumerate(MEASURES):
        own = sorted(x(float(values[d, i]), measure) for d in same if seen[d])
        q90 = own[math.floor(0.9 * (len(own) - 1))] if own else 0.0
        sd = statistics.stdev(own) if len(own) > 1 else 0.0
        peer_q90 = peers.q90[int(off_today), group, i]
        peer_sd = peers.sd[int(off_today), group, i]
        centre = (len(own) * q90 + 5 * peer_q90) / (len(own) + 5)
        scale = max(math.sqrt((len(own) * sd**2 + 5 * peer_sd**2) / (len(own) + 5)), 0.25)
        burst.append(min(max((x(float(today[i]), measure) - centre) / scale, 0.0), BURST_MAX))
        last = [d for d in range(max(n - 60, 0), n) if seen[d]]
        active = sum(values[d, i] > 0 for d in last)
        rarity.append(-math.log((active + 0.5) / (len(last) + 1)) if today[i] else 0.0)
    volumes = [i for i, measure in enumerate(MEASURES) if measure.volume]
    for w, width in enumerate((7, 28)):
        own_sums, peer_sums = [], []
        for v, i in enumerate(volumes):
            total = x(float(values[max(n - width + 1, 0) :, i].sum() + today[i]), MEASURES[i])
            windows = []
            for back in range(29):
                end = n - width + 1 - back
                if end < width:
                    break
                days_seen = seen[end - width : end].sum()
                if days_seen * 2 >= width:
                    whole = values[end - width : end, i].sum() * width / days_seen
                    windows.append(x(float(whole), MEASURES[i]))
            over_time = peers.sum_own_sd[group, w, v]
            own_z = 0.0
            if len(windows) >= 6:
                variance = statistics.variance(windows)
                count = len(windows)
                scale = math.sqrt((count * variance + 14 * over_time**2) / (count + 14))
                own_z = (total - statistics.fmean(windows)) / max(scale, 0.3)
            own_sums.append(min(max(own_z, 0.0), SUM_MAX))
            mean, between = peers.sum_mean[group, w, v], peers.sum_sd[group, w, v]
            peer_sums.append(min(max((total - mean) / max(between, 0.3), 0.0), SUM_MAX))
        sums += own_sums + peer_sums
    return burst + rarity + sums


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 110), st.integers(0, 15))
def test_company_subject_and_plain_python_give_the_same_features(seed: int, day: int, row: int) -> None:
    days = company(seed, 16, 111)[ACTIVITY]
    names = [f"g{i % 3}" for i in range(16)]
    group, peers = everybody(days, names)
    past = days.ending(day)
    at_once: Floats = activity_features(
        days.values[:, day],
        background(past, OFF[:day], bool(OFF[day]), group, peers, MEASURES),
        MEASURES,
    )
    own = past.of(slice(row, row + 1))
    shortened = ActivityDays(own.values[:, -OWN_DAYS:], own.seen[:, -OWN_DAYS:])
    own_group = int(group[row])
    alone = activity_features(
        days.values[row : row + 1, day],
        known(shortened, OFF[:day][-OWN_DAYS:], bool(OFF[day]), own_group, peers),
        MEASURES,
    )
    plain = plainly(own, OFF[:day], bool(OFF[day]), own_group, peers, days.values[row, day])
    np.testing.assert_allclose(alone[0], at_once[row], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(alone[0], plain, rtol=1e-9, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**18), min_size=3, max_size=3))
def test_a_running_day_only_ever_gets_stranger(seed: int, more: list[int]) -> None:
    days = company(seed, 8, 60)[ACTIVITY]
    group, peers = everybody(days, ["g"] * 8)
    before = background(days, OFF[:60], False, group, peers, MEASURES)
    today = days.values[:, 40]
    later = np.minimum(today + np.minimum(np.array(more), VALUE_MAX), VALUE_MAX)
    first, then = (activity_features(each, before, MEASURES) for each in (today, later))
    assert (then >= first).all()
    assert np.isfinite(then).all()


def test_no_history_at_all_compares_with_the_peers() -> None:
    days = company(3, 20, 60)[ACTIVITY]
    _, peers = everybody(days, ["g"] * 20)
    nothing = ActivityDays(days.values[:1, :0], days.seen[:1, :0])
    before = known(nothing, OFF[:0], False, 0, peers)
    np.testing.assert_allclose(before.centre[0], peers.q90[0, 0])
    found = activity_features(np.full((1, len(MEASURES)), 10**6), before, MEASURES)
    assert np.isfinite(found).all()
    assert found[0, : len(MEASURES)].max() > 3


def test_days_that_nobody_watched_are_not_days_of_zeros() -> None:
    values = np.full((1, 60, len(MEASURES)), 1000, dtype=np.int64)
    seen = np.ones((1, 60), dtype=np.bool_)
    all_days = ActivityDays(values, seen)
    _, peers = everybody(all_days, ["g"])
    hidden = seen.copy()
    hidden[0, 40:55] = False
    missing = ActivityDays(np.where(hidden[:, :, None], values, 0), hidden)
    with_gap = known(missing, OFF[:60], False, 0, peers)
    np.testing.assert_allclose(with_gap.centre, known(all_days, OFF[:60], False, 0, peers).centre)
    zeros = ActivityDays(np.where(hidden[:, :, None], values, 0), seen)
    as_zeros = known(zeros, OFF[:60], False, 0, peers)
    assert (as_zeros.scale[0, :2] > with_gap.scale[0, :2]).all()


def test_constants_and_all_zeros_have_a_finite_scale() -> None:
    for value in (0, 7, VALUE_MAX):
        days = ActivityDays(
            np.full((6, 88, len(MEASURES)), value, dtype=np.int64), np.ones((6, 88), dtype=np.bool_)
        )
        group, peers = everybody(days, ["g"] * 6)
        before = background(days, OFF[:88], False, group, peers, MEASURES)
        found = activity_features(days.values[:, 0], before, MEASURES)
        assert np.isfinite(found).all()
        assert found[:, : len(MEASURES)].max() == pytest.approx(0.0, abs=1e-9)


def test_names_follow_the_columns() -> None:
    names = feature_names(MEASURES)
    days = company(4, 6, 60)[ACTIVITY]
    group, peers = everybody(days, ["g"] * 6)
    before = background(days, OFF[:60], False, group, peers, MEASURES)
    assert activity_features(days.values[:, 3], before, MEASURES).shape == (6, len(names))
    assert names[0] == "queries burst"
    assert names[-1] == "export_bytes 28d peers"
