"""What is usual for a subject does not depend on who is worked out together with it."""

from __future__ import annotations

import numpy as np
import pytest

from analytics import own_history
from analytics.measures import ACTIVITIES
from analytics.own_history import Usual, own_usual
from analytics.panel import log_values
from tests.analytics.company_days import company, day_types

ACTIVITY = "files"


@pytest.mark.parametrize("block", [1, 3, 10])
def test_a_company_in_blocks_is_the_company_at_once(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    days = company(4, 10, 60)[ACTIVITY]
    same_type = np.array([each == "work" for each in day_types(60)])
    x = log_values(days.values, ACTIVITIES[ACTIVITY])
    whole = own_usual(x, days.seen, same_type)
    assert whole.mean.any()
    monkeypatch.setattr(own_history, "_BLOCK", block)
    parts = own_usual(x, days.seen, same_type)
    for name in Usual.__struct_fields__:
        assert np.array_equal(getattr(parts, name), getattr(whole, name)), name


def test_a_company_of_nobody_has_nothing_usual() -> None:
    nobody = own_usual(np.zeros((0, 30, 2)), np.zeros((0, 30), dtype=np.bool_), np.ones(30, dtype=np.bool_))
    assert nobody.mean.shape == (0, 2)
