"""The rule that docs/policies.md shows is a good one, and what can be wrong with it is told at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from policies.rule_file import RuleText, parse_text

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()
SHOWN = re.findall(r"## Write a rule.*?```yaml\n(.*?)```", PAGE, re.DOTALL)[0]


def test_the_rule_that_the_page_shows_is_good() -> None:
    assert parse_text(RuleText("shown.yml", SHOWN)).errors == ()


def test_the_page_names_all_families_of_the_rules() -> None:
    folder = Path(__file__).parents[2] / "policies" / "rules"
    texts = "\n".join(path.read_text() for path in folder.rglob("*.yml"))
    families = set(re.findall(r"^  family: (\w+)$", texts, re.MULTILINE))
    listed = re.search(r"\*\*Families\*\* of the shipped rules: (.*?)\. Another", PAGE, re.DOTALL)
    assert listed is not None
    assert set(re.split(r",\s+", listed[1])) == families


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        (
            "status: notice",
            "status: gone",
            15,
            "leaver.person.status is never gone; it is one of active, notice",
        ),
        ("drive_type_id: 1 ", "drive_type_id: removable ", 12, "1 (removable)"),
        ("service: removable_storage", "service: removable", 7, "did you mean removable_storage?"),
        (
            "record: file_copied\n      with: {file",
            "record: file_delted\n      with: {file",
            32,
            "file_deleted",
        ),
    ],
)
def test_what_can_never_hold_is_a_fault_with_what_was_meant(
    old: str, new: str, line: int, words: str
) -> None:
    assert old in SHOWN
    (error,) = parse_text(RuleText("shown.yml", SHOWN.replace(old, new, 1))).errors
    assert words in error.message
    assert error.line == line


def test_faults_of_all_keys_are_told_at_once() -> None:
    bad = (
        SHOWN.replace("level: high", "level: hihg")
        .replace("file.name|contains", "file.nam|contains")
        .replace("family:", "famly:")
        .replace("service: removable_storage", "service: removable")
        .replace("condition: copy and notice", "condition: 5")
    )
    found = " ".join(error.message for error in parse_text(RuleText("shown.yml", bad)).errors)
    for word in ("hihg", "removable_storage", "famly", "condition is text"):
        assert word in found
