"""A panel refuses what no day can hold, and bounds what is too large."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.measures import VALUE_MAX
from analytics.panel import ActivityDays, PanelError, checked

SEEN = np.ones((2, 3), dtype=np.bool_)


def test_values_of_unseen_days_are_dropped_and_huge_ones_bounded() -> None:
    values = np.full((2, 3, 2), 10**18, dtype=np.int64)
    seen = SEEN.copy()
    seen[1, 2] = False
    found = checked(ActivityDays(values, seen), "messaging", 2, 3)
    assert found.values[0, 0, 0] == VALUE_MAX
    assert not found.values[1, 2].any()


@pytest.mark.parametrize(
    ("value", "message"), [(-1, "negative"), (float("nan"), "finite"), (float("inf"), "finite")]
)
def test_negative_and_broken_numbers_are_refused_with_the_activity(value: float, message: str) -> None:
    values = np.full((2, 3, 2), value)
    with pytest.raises(PanelError, match=f"messaging.*{message}"):
        checked(ActivityDays(values, SEEN), "messaging", 2, 3)


def test_another_shape_is_refused() -> None:
    with pytest.raises(PanelError, match="shape"):
        checked(ActivityDays(np.zeros((2, 3, 5), dtype=np.int64), SEEN), "messaging", 2, 3)


def test_a_panel_of_many_years_is_refused() -> None:
    with pytest.raises(PanelError, match="400"):
        checked(ActivityDays(np.zeros((2, 3, 2), dtype=np.int64), SEEN), "messaging", 2, 4000)
