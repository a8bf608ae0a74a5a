"""Explanations in facts of whatever version are shown, and nothing is made up where there is none."""

from __future__ import annotations

import msgspec
import pytest

from analytics.alert_explanation import AlertExplanation
from analytics.anomaly_explanation import Reason
from analytics.slow_explanation import SlowReason
from analytics.told_explanation import ExplanationWords
from server.alerts.explained import explained

FOUND = AlertExplanation(
    81.0,
    81.0,
    55.0,
    reasons=(Reason("messaging", "bytes", 9.0, 1, 4_100_000_000, 102_000_000.0, 100.0, None),),
    explained=0.9,
    slow_reasons=(SlowReason("printing", "pages", 5.0, 14, 40, 0),),
    slow_explained=0.8,
    unseen=("mail",),
)
OLDER = {
    "day": 20_000,
    "copy": {"bytes": 1},
    "features": {
        "en": ["bytes in a day: 4.1 GB, 40 × usual (102 MB)"],
        "zh": ["一天字节数：4.1 GB，平常的 40 倍（102 MB）"],
    },
    "explained": 0.14,
    "unusual_combination": True,
    "anomaly": 81.2,
}


def test_facts_of_this_version_are_worded_in_both_languages() -> None:
    stored = msgspec.json.decode(msgspec.json.encode({"explanation": FOUND}))
    words = explained(stored)
    assert words["en"].points == "the day 81 of 100, the rise 55 of 100"
    assert words["en"].stands_out == ("4.1 GB sent by messenger, 40 × usual, above all peers' days",)
    assert words["en"].rising == ("40 pages printed a day over 14 days, none one to three months ago",)
    assert words["en"].not_watched == ("nobody watched that day: mail",)
    assert words["zh"].not_watched == ("当天无人监测：邮件",)


def test_an_alert_of_an_older_version_keeps_its_lines_and_its_check() -> None:
    words = explained(OLDER)
    assert words["en"].stands_out == ("bytes in a day: 4.1 GB, 40 × usual (102 MB)",)
    assert words["zh"].stands_out == ("一天字节数：4.1 GB，平常的 40 倍（102 MB）",)
    assert "only 14 % of the surprise goes away" in words["en"].check[0]
    assert words["en"].normal == ""


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"explanation": {"points": "many"}},
        {"explanation": msgspec.to_builtins(AlertExplanation(0.0, 0.0, 0.0))},
        {"features": {"en": [], "zh": []}, "explained": 0.0, "unusual_combination": False},
        {"features": 3},
    ],
)
def test_where_nothing_is_explained_nothing_is_shown(facts: dict[str, object]) -> None:
    assert explained(facts) == {}


def test_words_have_nothing_by_default() -> None:
    assert set(msgspec.structs.astuple(ExplanationWords())) == {"", ()}
