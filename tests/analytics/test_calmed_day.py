"""A judgement calms the same pattern of the same person for a while, and nothing beyond it."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.anomaly_model import Today
from analytics.calmed_day import CALM_DAYS, Accepted, calmed_day
from tests.analytics.company_days import accepted_day, company, quiet_today, subject

HISTORY = company(31, 6, 60)
JUDGED = 739_100
ROW = int(np.flatnonzero(~HISTORY["mail"].values.any(axis=(1, 2)))[0])


def mailed(size: int, reads: int = 0) -> dict[str, Today]:
    today = quiet_today(1)
    today["mail"].values[0] = (size, 12, 0)
    today["files"].values[0, 0] = reads
    return today


ACCEPTED = accepted_day(mailed(10**9), JUDGED)


def test_a_judged_day_is_noted_measure_by_measure() -> None:
    assert (
        Accepted("mail", "bytes", 10**9, JUDGED),
        Accepted("mail", "messages", 12, JUDGED),
    ) == ACCEPTED


@pytest.mark.parametrize(
    ("size", "later", "calmed"),
    [
        (10**9, 1, True),
        (1_400_000_000, CALM_DAYS, True),
        (1_600_000_000, 1, False),
        (10**9, CALM_DAYS + 1, False),
        (10**9, 0, False),
    ],
)
def test_the_same_amount_is_calm_for_a_while_and_half_as_much_again_at_most(
    size: int, later: int, calmed: bool
) -> None:
    found = calmed_day(subject(HISTORY, ROW, mailed(size), off=False), JUDGED + later, ACCEPTED)
    assert int(found.today["mail"].values[0, 0]) == (0 if calmed else size)
    assert (Accepted("mail", "bytes", 10**9, JUDGED) in found.because) is calmed


def test_other_measures_count_in_full_and_the_day_itself_is_not_changed() -> None:
    today = mailed(10**9, reads=500)
    found = calmed_day(subject(HISTORY, ROW, today, off=False), JUDGED + 1, ACCEPTED)
    assert found.today["files"].values[0, 0] == 500
    assert today["mail"].values[0, 0] == 10**9


def test_judgements_of_measures_that_are_no_more_are_passed_over() -> None:
    old = (Accepted("dancing", "steps", 5, JUDGED), Accepted("mail", "bites", 10**9, JUDGED))
    assert calmed_day(subject(HISTORY, ROW, mailed(10**9), off=False), JUDGED + 1, old).because == ()
