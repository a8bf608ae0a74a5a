"""The steps of a sequence in words, in order, with time and amount."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from analytics.act_sentence import ActFacts, act_sentence
from analytics.step_words import StepFacts, step_words

TUESDAY = 20_774
"""2026-11-17."""
STEP = StepFacts("", "copied", 1, 1, 0, None, archive=False, same=False, time=0, day=TUESDAY, minute=842)
EXPORT = msgspec.structs.replace(STEP, act="exported", items=12_400, place="crm")
ARCHIVE = msgspec.structs.replace(STEP, archive=True, bytes=3_000_000, minute=860)
COPY = msgspec.structs.replace(STEP, archive=True, same=True, minute=1065)


def test_the_steps_are_told_in_order_with_amount_and_time() -> None:
    steps = (EXPORT, ARCHIVE, COPY)
    said = (
        "exported 12,400 rows from crm (Tue 14:02), made an archive (3 MB, 14:20),"
        " copied it to removable storage (17:45)"
    )
    assert step_words(steps) == said
    assert step_words(steps, "zh") == (
        "从 crm 导出 12,400 行（周二 14:02），生成 1 个压缩包（3 MB，14:20），"
        "复制到移动存储 1 个文件（17:45）"
    )
    facts = ActFacts("uploads", 1, 5, new_place=True, days_to_last_day=6, person_known=True, steps=steps)
    assert act_sentence(facts) == f"{said}; 6 days before the last day"


@pytest.mark.parametrize(
    ("changed", "english"),
    [
        (
            {"items": 40, "events": 40, "bytes": 2_000},
            "copied 40 files to removable storage (2 kB, Tue 14:02)",
        ),
        ({"act": "uploaded"}, "sent 1 file out (Tue 14:02)"),
        ({"act": "mailed", "items": 2}, "mailed 2 attachments (Tue 14:02)"),
        ({"act": "read", "items": 0, "place": "hr"}, "read an unknown number of rows from hr (Tue 14:02)"),
        ({"act": "deleted", "items": 60, "events": 60}, "deleted 60 files (Tue 14:02)"),
        ({"archive": True, "events": 2}, "made 2 archives (Tue 14:02)"),
        ({"act": "", "events": 3}, "3 acts (Tue 14:02)"),
    ],
)
def test_what_was_done_in_a_step(changed: dict[str, Any], english: str) -> None:
    assert step_words([msgspec.structs.replace(STEP, **changed)]) == english


def test_another_day_is_named_and_over_more_than_a_week_its_date_too() -> None:
    next_day = msgspec.structs.replace(COPY, day=TUESDAY + 1)
    assert step_words([STEP, next_day]).endswith("copied it to removable storage (Wed 17:45)")
    weeks = msgspec.structs.replace(COPY, day=TUESDAY + 14)
    assert step_words([STEP, weeks]) == (
        "copied 1 file to removable storage (Tue 11-17 14:02), "
        "copied it to removable storage (Tue 12-01 17:45)"
    )
