"""What is told of an alert beside its sentence: true of the day as it counts, in both languages."""

from __future__ import annotations

import re

import msgspec
import numpy as np
import pytest

from analytics.alert_explanation import AlertExplanation, explain_alert
from analytics.anomaly_explanation import Change, Reason, Subject, explain_day
from analytics.anomaly_model import AnomalyModel, Today
from analytics.anomaly_training import train
from analytics.explanation_words import (
    ACTIVITY_WORDS,
    LANGUAGES,
    explanation_words,
    strange_words,
)
from analytics.measures import ACTIVITIES
from analytics.panel import ActivityDays
from tests.analytics.company_days import accepted_day, company, panel_of, quiet_today, subject

PEOPLE, DAYS = 60, 92
DAY = 739_092
"""The day after the history."""


@pytest.fixture(scope="module")
def history() -> dict[str, ActivityDays]:
    return company(21, PEOPLE, DAYS)


@pytest.fixture(scope="module")
def model(history: dict[str, ActivityDays]) -> AnomalyModel:
    return train(panel_of(history), seed=3, trees=40)


def of_today(history: dict[str, ActivityDays], row: int, **activities: tuple[int, ...]) -> Subject:
    today = quiet_today(1)
    for name, values in activities.items():
        today[name].values[0] = values
    return subject(history, row, today, off=False)


def copier(history: dict[str, ActivityDays]) -> int:
    return int(np.argmax((history["removable_storage"].values[:, :, 0] > 0).sum(axis=1)))


def test_a_strange_day_is_explained_checked_and_told_what_would_have_been_normal(
    model: AnomalyModel, history: dict[str, ActivityDays]
) -> None:
    one = of_today(history, copier(history), removable_storage=(9 * 10**9, 2_000, 2))
    points = explain_day(model, one).points
    found = explain_alert(model, one, DAY, points=points, uncalmed=points, slow_points=0.0)
    words = explanation_words(found)
    assert found.reasons and len(words.stands_out) == len(found.reasons)
    assert any(" GB copied to removable storage" in line for line in words.stands_out)
    assert re.fullmatch(r"with these at their usual \d+ % of the surprise goes away", words.check[0])
    assert words.normal.startswith("at most ")
    assert words.normal.endswith(f": scored again {int(found.changed_points)}, the line is 50")
    assert found.changed_points < 50
    assert words.points == f"the day {points:.0f} of 100"
    assert (words.rising, words.calmed, words.not_watched) == ((), (), ())


def test_of_an_anomaly_that_is_no_part_of_the_alert_nothing_is_explained(
    model: AnomalyModel, history: dict[str, ActivityDays]
) -> None:
    one = of_today(history, 0, removable_storage=(9 * 10**9, 2_000, 2))
    found = explain_alert(model, one, DAY, points=0.0, uncalmed=0.0, slow_points=0.0)
    assert found == AlertExplanation(0.0, 0.0, 0.0)
    assert strange_words(found, None) == []


def test_what_was_judged_harmless_is_told_with_what_the_day_would_be_without_it(
    model: AnomalyModel, history: dict[str, ActivityDays]
) -> None:
    one = of_today(history, 0, removable_storage=(9 * 10**9, 2_000, 2), mail=(10**9, 50, 40))
    copied = {
        name: each if name == "removable_storage" else Today(each.values * 0, each.seen)
        for name, each in one.today.items()
    }
    accepted = accepted_day(copied, DAY - 3)
    uncalmed = explain_day(model, one).points
    found = explain_alert(model, one, DAY, accepted, points=60.0, uncalmed=uncalmed, slow_points=0.0)
    assert {each.measure for each in found.calmed} == {"bytes", "files", "new_devices"}
    assert {each.activity for each in found.reasons if each.days == 1} == {"mail"}
    words = explanation_words(found)
    assert words.calmed[0] == (
        f"about as much as was judged harmless on {date_of(DAY - 3)} counts as usual: "
        "9 GB copied to removable storage, 2,000 files copied to removable storage, "
        "2 storage devices used for the first time"
    )
    assert words.calmed[-1] == f"counting all of it the day would be at {uncalmed:.0f}, not 60"


def test_a_sum_over_days_holds_today_s_calmed_amount_as_well(
    model: AnomalyModel, history: dict[str, ActivityDays]
) -> None:
    row = copier(history)
    one = of_today(history, row, removable_storage=(3 * 10**9, 3, 0))
    many = {name: ActivityDays(each.values.copy(), each.seen) for name, each in one.history.items()}
    many["removable_storage"].values[0, -6:, 0] = 2 * 10**9
    one = msgspec.structs.replace(one, history=many)
    found = explain_alert(
        model, one, DAY, accepted_day(one.today, DAY - 1), points=60.0, uncalmed=70.0, slow_points=0.0
    )
    week = [each for each in found.reasons if each.measure == "bytes" and each.days == 7]
    assert found.calmed
    assert [each.value for each in week] == [6 * 2 * 10**9 + 3 * 10**9]


def date_of(ordinal: int) -> str:
    return str(np.datetime64("0001-01-01") + np.timedelta64(ordinal - 1, "D"))


def test_what_was_not_watched_that_day_is_told_apart_from_what_is_never_watched(
    model: AnomalyModel, history: dict[str, ActivityDays]
) -> None:
    one = of_today(history, 0, removable_storage=(9 * 10**9, 2_000, 2))
    one.today["mail"].seen[0] = one.today["database"].seen[0] = False
    blind = dict(one.history)
    blind["database"] = ActivityDays(one.history["database"].values, one.history["database"].seen & False)
    one = msgspec.structs.replace(one, history=blind)
    found = explain_alert(model, one, DAY, points=90.0, uncalmed=90.0, slow_points=0.0)
    assert (found.unseen, found.never_seen) == (("mail",), ("database",))
    assert explanation_words(found).not_watched == (
        "nobody watched that day: mail",
        "never watched: databases",
    )
    assert explanation_words(found, "zh").not_watched == ("当天无人监测：邮件", "从未监测：数据库")


def test_a_slow_leak_says_what_rose_over_weeks(model: AnomalyModel, history: dict[str, ActivityDays]) -> None:
    row = int(np.argmax((history["messaging"].values[:, :, 0] > 0).sum(axis=1)))
    leaking = {name: ActivityDays(each.values.copy(), each.seen) for name, each in history.items()}
    leaking["messaging"].values[row, -27:, 0] = np.where(history["messaging"].seen[row, -27:], 200_000_000, 0)
    one = of_today(leaking, row, messaging=(200_000_000, 5))
    found = explain_alert(model, one, DAY, points=0.0, uncalmed=0.0, slow_points=81.0)
    words = explanation_words(found)
    assert words.rising[0].startswith("200 MB sent by messenger a day over ")
    assert words.check[0].startswith("without this rise ")
    assert (words.stands_out, words.normal) == ((), "")
    assert strange_words(found, None)[0] == f"risen for weeks: {words.rising[0]}"
    assert strange_words(found, None, "zh")[0].startswith("数周以来上升：")


REASON = Reason("messaging", "bytes", 9.0, 1, 4_100_000_000, 102_000_000.0, 100.0, None)
FOUND = AlertExplanation(81.0, 81.0, 0.0, reasons=(REASON,), explained=0.9)


def test_the_sentence_leaves_out_what_it_tells_of_itself_and_says_also_of_the_rest() -> None:
    own = "4.1 GB sent by messenger, 40 × usual, above all peers' days"
    assert strange_words(FOUND, None) == [own]
    assert strange_words(FOUND, "removable_storage") == [f"also {own}"]
    assert strange_words(FOUND, "messaging") == []
    week = msgspec.structs.replace(
        FOUND, reasons=(msgspec.structs.replace(REASON, days=7, peers_percentile=None),)
    )
    assert strange_words(week, "messaging", taken=4 * 10**9) == []
    assert strange_words(week, "messaging", taken=10**9) == [
        "also 4.1 GB sent by messenger in 7 days, 40 × usual"
    ]


def test_an_unusual_combination_is_said_in_the_sentence_and_in_the_check() -> None:
    odd = msgspec.structs.replace(FOUND, explained=0.14, unusual_combination=True)
    assert strange_words(odd, "messaging") == ["an unusual combination"]
    assert strange_words(odd, "messaging", "zh") == ["少见的组合"]
    assert explanation_words(odd).check == (
        "with these at their usual only 14 % of the surprise goes away: the combination is what is unusual",
    )


def test_a_day_that_no_smaller_amount_makes_normal_says_so_and_one_below_the_line_says_nothing() -> None:
    assert explanation_words(FOUND).normal == "no smaller amount on this day alone would have made it normal"
    assert explanation_words(msgspec.structs.replace(FOUND, points=49.0)).normal == ""


def test_chinese_is_set_in_its_own_punctuation_and_every_activity_has_words() -> None:
    assert set(ACTIVITY_WORDS) == set(ACTIVITIES)
    all_of_it = msgspec.structs.replace(
        FOUND,
        changes=(Change("messaging", "bytes", 4_100_000_000, 250_000_000),),
        changed_points=41.0,
        unusual_combination=True,
        calmed=accepted_day({"mail": Today(np.array([[1, 2, 3]]), np.array([True]))}, DAY),
        unseen=("mail", "code"),
        never_seen=("printing",),
    )
    words = explanation_words(all_of_it, "zh")
    lines = [*words.stands_out, *words.check, words.normal, *words.calmed, *words.not_watched]
    assert all(lines)
    for line in lines:
        assert not re.search(r"[:;()]|,(?!\d{3})", line), line


def test_measures_of_another_version_are_left_out() -> None:
    gone = msgspec.structs.replace(
        FOUND,
        reasons=(msgspec.structs.replace(REASON, measure="whispers"), REASON),
        unseen=("telepathy",),
    )
    for language in LANGUAGES:
        assert len(explanation_words(gone, language).stands_out) == 1
    assert explanation_words(gone).not_watched == ("nobody watched that day: telepathy",)
