"""Exceptions hide what they name, until their last day, and no longer; a bad one is told with its line."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from policies.engine import PolicyHit
from policies.exception_file import end_of
from policies.exceptions import Hidden
from policies.rule_file import LoadedPolicies, RuleText, load_texts, parse_text
from tests.policies.test_rule_file import GOOD, faults, write

RULE = "0f4d1c0e-95a5-4d8f-b3c4-1c6f8f5d7a10"
EXCEPTION = f"""\
title: The build server keeps its own copies
id: 5f0c9e0e-5f5a-4a52-8f9e-0d1b6a0d3c11
logsource:
  product: leaver
filter:
  rules:
    - {RULE}
  build_server:
    device.hostname: build-1
  condition: not build_server
leaver:
  owner: lin
  reason: Nightly copies, change 4711
  until: 2026-12-31
"""
END = 1_798_761_600_000
"""2027-01-01 00:00 UTC."""


def loaded(exception: str) -> LoadedPolicies:
    found = load_texts([parse_text(RuleText("rule.yml", GOOD)), parse_text(RuleText("x.yml", exception))])
    assert found.errors == ()
    return found


def copied(host: str) -> dict[str, Any]:
    return {"class_uid": 1001, "file": {"ext": "xlsx"}, "device": {"hostname": host}}


def sifted(found: LoadedPolicies, record: dict[str, Any], at: int) -> tuple[list[str], list[Hidden]]:
    result = found.exceptions.sift_record(found.policies.match(record), record, at=at)
    return [hit.rule_id for hit in result.hits], list(result.hidden)


def test_an_exception_hides_what_it_names_and_says_so() -> None:
    found = loaded(EXCEPTION)
    hidden = [Hidden("5f0c9e0e-5f5a-4a52-8f9e-0d1b6a0d3c11", RULE)]
    assert sifted(found, copied("BUILD-1"), END - 1) == ([], hidden)
    assert sifted(found, copied("pc-17"), END - 1) == ([RULE], [])


def test_its_last_day_counts_whole_and_the_next_not_at_all() -> None:
    assert end_of(datetime.date(2026, 12, 31)) == END
    found = loaded(EXCEPTION)
    assert sifted(found, copied("build-1"), END - 1)[0] == []
    assert sifted(found, copied("build-1"), END)[0] == [RULE]


def test_rules_that_an_exception_does_not_name_are_left_alone() -> None:
    found = loaded(EXCEPTION)
    other = PolicyHit("another", "Another", "low", "x")
    result = found.exceptions.sift_record([other], copied("build-1"), at=0)
    assert list(result.hits) == [other]


def test_each_exception_that_hides_a_hit_is_named() -> None:
    second = EXCEPTION.replace("5f0c9e0e-5f5a", "6f0c9e0e-5f5a").replace(
        "device.hostname: build-1", "file.ext: xlsx"
    )
    texts = [RuleText("rule.yml", GOOD), RuleText("a.yml", EXCEPTION), RuleText("b.yml", second)]
    found = load_texts(map(parse_text, texts))
    hits, hidden = sifted(found, copied("build-1"), 0)
    assert hits == []
    assert [each.exception_id[0] for each in hidden] == ["5", "6"]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        (f"    - {RULE}", "    - any", 6, "name the rules by their ids"),
        (
            RULE,
            RULE.replace("0f4d", "0f4e"),
            6,
            f"no good rule has the id {RULE.replace('0f4d', '0f4e')}; did",
        ),
        ("device.hostname", "device.hostnam", 9, "device.hostname"),
        ("  until: 2026-12-31\n", "", 11, "missing required field `until`"),
        ("until: 2026-12-31", "until: 2026-12-31 10:00:00", 14, "until is a day"),
        ("until: 2026-12-31", "until: soon", 14, "date"),
        ("reason: Nightly copies, change 4711", 'reason: ""', 13, "length >= 1"),
        ("condition: not build_server", "condition: not build", 10, "build"),
        ("condition: not build_server", "condition: build_server", 10, "hides all events but these"),
        ("  product: leaver", "  product: leaver\n  service: logins", 7, "its logsource leaves out rule"),
        ("title: The", "colour: red\ntitle: The", 1, "unknown key colour"),
    ],
)
def test_a_bad_exception_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    assert old in EXCEPTION
    write(tmp_path, "good.yml", GOOD)
    write(tmp_path, "x.yml", EXCEPTION.replace(old, new))
    found = faults(tmp_path)
    assert len(found) == 1
    assert found[0].startswith(f"x.yml:{line}: "), found
    assert words in found[0]


def test_folders_below_are_read_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("team", ".git"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "bad.yml", "title: x\n")
    assert {fault.split(":")[0] for fault in faults(tmp_path)} == {"team/bad.yml"}
