"""The sentence of an alert claims what the numbers show, and nothing that is not known."""

from __future__ import annotations

import re

import msgspec
import numpy as np
import pytest

from analytics.anomaly_explanation import Subject
from analytics.anomaly_training import train
from analytics.explanation import CopyFacts, TotalFacts, copy_facts, sentence
from analytics.measures import ACTIVITIES
from analytics.panel import ActivityDays
from analytics.risk import Level
from tests.analytics.company_days import company, panel_of, quiet_today

FACTS = CopyFacts(
    bytes=4_100_000_000,
    files=214,
    new_device=True,
    usual_bytes=102_500_000,
    days_since_last_copy=3,
    known_days=60,
    peers_percentile=100.0,
    days_to_last_day=6,
    person_known=True,
)


def told(**changes: object) -> str:
    return sentence(msgspec.structs.replace(FACTS, **changes))


def test_the_sentence_says_what_how_unusual_and_how_long_to_the_last_day() -> None:
    assert sentence(FACTS) == (
        "4.1 GB (214 files) to a device first seen that day: 40 × their usual day, more than any peer; "
        "6 days before the last day"
    )
    assert sentence(FACTS, "zh") == (
        "向当天首次出现的移动存储设备复制了 4.1 GB（214 个文件）：是本人平常一天的 40 倍，多于所有同组人员；"
        "最后工作日前 6 天"
    )


@pytest.mark.parametrize(
    ("days", "end"),
    [
        (2, "; 2 days before the last day"),
        (1, "; the day before the last day"),
        (0, "; on the last day"),
        (-1, "; 1 day after the last working day"),
        (-3, "; 3 days after the last working day"),
        (None, "more than any peer"),
    ],
)
def test_the_last_working_day_is_said_in_words(days: int | None, end: str) -> None:
    assert told(days_to_last_day=days).endswith(end)


def test_chinese_is_set_in_its_own_punctuation() -> None:
    shapes: list[dict[str, object]] = [
        {},
        {"known_days": 3},
        {"usual_bytes": None},
        {"person_known": False},
        {"days_to_last_day": 0},
    ]
    for shape in shapes:
        text = sentence(msgspec.structs.replace(FACTS, **shape), "zh")
        assert not re.search(r"[:;()]|,(?!\d{3})", text), text


def test_a_first_copy_is_said_so() -> None:
    assert "first copy to removable storage in 60 days" in told(usual_bytes=None, days_since_last_copy=None)
    assert "first copy to removable storage in 41 days" in told(usual_bytes=None, days_since_last_copy=41)


def test_without_history_nothing_is_claimed_about_what_is_usual() -> None:
    text = told(known_days=3, usual_bytes=None, days_since_last_copy=None)
    assert "too little history" in text
    assert "first copy" not in text


@pytest.mark.parametrize("taken", [1_000_000, 100_000_000, 150_000_000])
def test_an_amount_that_is_not_above_the_usual_is_no_reason(taken: int) -> None:
    """Whatever raises the score, a day with less than usual must not read as if that did."""
    facts = msgspec.structs.replace(FACTS, bytes=taken)
    levels: list[Level] = ["high", "critical", "medium"]
    said, chinese = sentence(facts, levels=levels), sentence(facts, "zh", levels=levels)
    assert "usual" not in said
    assert "less" not in said
    assert "平常" not in chinese
    assert (
        "(214 files) to a device first seen that day: 3 policies hit, the gravest of level critical," in said
    )
    assert "：命中 3 条策略，最高级别为严重，" in chinese
    assert sentence(facts, levels=["low"]).split(": ")[1].startswith("1 policy hit, of level low")
    assert "polic" not in sentence(facts)


def test_an_amount_above_the_usual_leads_whatever_policies_hit() -> None:
    assert sentence(FACTS, levels=["critical"]) == sentence(FACTS)


def test_an_ordinary_amount_among_peers_is_not_said() -> None:
    assert "peer" not in told(peers_percentile=50.0)


def test_all_days_are_said_beside_the_one_that_the_sentence_is_about() -> None:
    total = TotalFacts(days=3, files=1_260, bytes=5_200_000_000)
    assert "; 5.2 GB (1,260 files) on 3 days in all; 6 days before" in sentence(FACTS, total=total)
    assert "；3 天共 5.2 GB（1,260 个文件）；" in sentence(FACTS, "zh", total=total)
    one = TotalFacts(days=1, files=214, bytes=4_100_000_000)
    assert sentence(FACTS, total=one) == sentence(FACTS)


def test_absurd_ratios_are_not_spelled_out() -> None:
    assert "more than 1,000 × their usual day" in told(usual_bytes=1)


def test_an_account_of_nobody_is_said_so() -> None:
    assert "by an account that belongs to nobody known" in told(person_known=False)


def test_one_file_is_one_file() -> None:
    assert told(files=1).startswith("4.1 GB (1 file) to")


def _copies(days: int, active: dict[int, int], unseen: tuple[int, ...] = ()) -> dict[str, ActivityDays]:
    """One subject's history: bytes by how many days ago, one file each."""
    found = {}
    for name, measures in ACTIVITIES.items():
        values = np.zeros((1, days, len(measures)), dtype=np.int64)
        if name == "removable_storage":
            for back, taken in active.items():
                values[0, days - back] = (taken, 1, 0)
        seen = np.ones((1, days), dtype=np.bool_)
        seen[0, [days - back for back in unseen]] = False
        found[name] = ActivityDays(values, seen)
    return found


def test_facts_come_from_the_history_and_peers_from_the_model() -> None:
    people = company(21, 40, 40)
    model = train(panel_of(people), seed=3, trees=20)
    # The copy 61 days ago is too long ago to be told of, that of 40 days ago for what is usual.
    own = _copies(90, {2: 50, 4: 150, 40: 9_000, 61: 9_000}, unseen=(3,))
    one = Subject(own, np.zeros(90, dtype=np.bool_), quiet_today(1), False, "sales")
    facts = copy_facts(
        120, 3, new_device=True, subject=one, model=model, days_to_last_day=None, person_known=True
    )
    assert (facts.usual_bytes, facts.days_since_last_copy, facts.known_days) == (100, 2, 59)
    assert facts.new_device
    column = model.peers("removable_storage").percentiles[int(model.group_rows(["sales"])[0]), 0]
    assert facts.peers_percentile == max(int((column < 120).sum()) - 1, 0)
    above = copy_facts(
        int(column[-1]) + 1,
        3,
        new_device=False,
        subject=one,
        model=model,
        days_to_last_day=None,
        person_known=True,
    )
    assert above.peers_percentile == 100


def test_without_a_model_nothing_is_claimed_about_what_is_usual_or_about_peers() -> None:
    facts = copy_facts(
        120, 3, new_device=False, subject=None, model=None, days_to_last_day=None, person_known=True
    )
    assert (facts.known_days, facts.usual_bytes, facts.peers_percentile) == (None, None, None)
    assert sentence(facts) == "120 B (3 files) to removable storage"
