"""A model that no longer fits its company is called stale, and a small or fresh week is not."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.drift_watch import P_BINS, p_shares, watch_week

SOURCE = np.random.default_rng(3)
FRESH = SOURCE.random(20_000)
SHARES = p_shares(FRESH)


def test_shares_add_up_to_one_and_follow_the_bins() -> None:
    assert sum(SHARES) == pytest.approx(1.0)
    assert SHARES[-1] == pytest.approx(P_BINS[-1] - P_BINS[-2], abs=0.02)
    assert p_shares(np.zeros(0)) == [0.0] * len(P_BINS)


def test_a_week_like_the_calibration_is_fresh() -> None:
    found = watch_week(SOURCE.random(5_000), 22, SHARES, 5.0)
    assert (found.verdict, found.reason) == ("fresh", "")
    assert found.alerts_due == 25.0


def test_scores_that_moved_are_stale_and_the_reason_says_so() -> None:
    found = watch_week(SOURCE.random(5_000) ** 4, 22, SHARES, 5.0)
    assert found.verdict == "stale"
    assert "moved" in found.reason


@pytest.mark.parametrize(("alerts", "verdict"), [(0, "stale"), (4, "stale"), (6, "fresh"), (60, "stale")])
def test_far_too_many_or_too_few_alerts_are_stale(alerts: int, verdict: str) -> None:
    assert watch_week(SOURCE.random(5_000), alerts, SHARES, 5.0).verdict == verdict


def test_a_small_company_s_single_alert_is_no_sign() -> None:
    assert watch_week(SOURCE.random(200), 1, SHARES, 5.0).verdict != "stale"


def test_a_week_with_hardly_anybody_says_nothing() -> None:
    assert watch_week(SOURCE.random(50), 0, SHARES, 5.0).verdict == "unknown"
