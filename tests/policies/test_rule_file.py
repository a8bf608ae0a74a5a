"""A rule file loads, or each of its faults is named with its line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from policies.engine import PolicySet
from policies.errors import PolicyErrors
from policies.examples import Example, RecordName, example_record
from policies.rule_file import FILE_BYTES_MAX, SHIPPED_RULES, load_good_policies, load_policies

GOOD = """\
title: A spreadsheet to removable storage
id: 0f4d1c0e-95a5-4d8f-b3c4-1c6f8f5d7a10
status: test
description: For tests.
logsource:
  product: leaver
detection:
  copy:
    class_uid: 1001
    file.ext: xlsx
  condition: copy
level: medium
leaver:
  family: removable_storage_copy
  runbook: Look at it.
tests:
  firing:
    - name: a spreadsheet
      record: file_copied
      with: {file.ext: XLSX}
  silent:
    - name: a picture
      record: file_copied
"""


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def faults(folder: Path) -> list[str]:
    with pytest.raises(PolicyErrors) as caught:
        load_policies(folder)
    return [str(error) for error in caught.value.errors]


def test_a_good_rule_loads(tmp_path: Path) -> None:
    policies = load_policies(write(tmp_path, "good.yml", GOOD))
    policy = policies.policies[0]
    assert (policy.level, policy.family, policy.file) == ("medium", "removable_storage_copy", "good.yml")


@pytest.mark.parametrize(
    ("level", "says", "outside"),
    [("high", "", False), ("critical", "", True), ("medium", "  outside_budget: true\n", True)],
)
def test_a_rule_is_outside_of_the_budget_when_it_is_critical_or_says_so(
    tmp_path: Path, level: str, says: str, outside: bool
) -> None:
    text = GOOD.replace("level: medium", f"level: {level}").replace("tests:\n", f"{says}tests:\n")
    policies = load_policies(write(tmp_path, "good.yml", text))
    hit = policies.match({"class_uid": 1001, "file": {"ext": "xlsx"}})[0]
    assert hit.outside_budget == outside


def test_what_makes_no_alert_is_outside_of_no_budget(tmp_path: Path) -> None:
    own = "  family: removable_storage_copy\n  runbook: Look at it.\n"
    block = "  building_block: true\n  outside_budget: true\n"
    write(tmp_path, "rule.yml", GOOD.replace(own, block))
    assert faults(tmp_path) == ["rule.yml:15: a building_block makes no alerts: no budget holds it"]


def test_of_the_shipped_rules_those_about_people_who_left_are_outside_of_the_budget() -> None:
    outside = {each.file for each in load_policies().policies if each.outside_budget}
    assert outside == {file.name for file in SHIPPED_RULES.glob("former_*.yml")}
    critical = {each.file for each in load_policies().policies if each.level == "critical"}
    assert critical <= outside


def test_whatever_somebody_who_left_does_a_rule_outside_of_the_budget_says_so() -> None:
    """No day after the last working day is scored, so what no rule names nobody sees."""
    shipped = load_policies()
    seen = set()
    for name in get_args(RecordName):
        example = Example("left", name, {"leaver.person.status": "left"})
        if any(hit.outside_budget for hit in shipped.match(example_record(example))):
            seen.add(name)
    # Plugging something in moves no data: a copy to it does.
    assert set(get_args(RecordName)) - seen == {"device_connected"}


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("file.ext: xlsx", "file.extension: xlsx", 10, "no event has a field file.extension; did you mean"),
        ("file.ext: xlsx", "actor.user.nam: x", 10, "did you mean actor.user.name"),
        ("file.ext: xlsx", "file.ext|endwith: x", 10, "Unknown modifier 'endwith'; did you mean endswith"),
        ("file.ext: xlsx", "file.size|gte: many", 10, "incompatible to value type"),
        ("file.ext: xlsx", "file.name|re: '(['", 10, "(["),
        ("file.ext: xlsx", "leaver.device.trusted: yes", 10, "yes would be read as a boolean"),
        ("file.ext: xlsx", "file.ext: {a: 1}", 10, ""),
        ("file.ext: xlsx", "class_uid: 1010", 10, "key class_uid stands here twice"),
        ("file.ext: xlsx", "file.name|expand: '%names%'", 7, "no list for the placeholder %names%"),
        ("file.ext: xlsx", "file.name|re: 'a(?!b)'", 10, "Use two selections, one of them with `not`"),
        ("file.ext: xlsx", "file.size|gte: .nan", 10, "nan is no number to compare with"),
        ("condition: copy", "condition: copy and thing", 11, "'thing' not defined"),
        ("condition: copy", "condition: copy and and", 11, ""),
        ("condition: copy", "condition: 1 of nothing_*", 11, "doesn't match any detection"),
        ("condition: copy", "condition: 5", 11, "condition is text"),
        ("  condition: copy\n", "", 7, "detection has no condition"),
        ("level: medium", "level: severe", 12, "level severe is none of informational, low"),
        ("level: medium", "lvl: medium", 12, "unknown key lvl; did you mean level"),
        ("status: test", "status: perfect", 3, "'perfect' is not a valid Sigma rule status"),
        ("id: 0f4d1c0e-95a5-4d8f-b3c4-1c6f8f5d7a10", "id: usb-1", 2, "must be an UUID"),
        ("product: leaver", "product: windows", 5, "product is windows"),
        ("family: removable_storage_copy", "family: USB copy", 14, "matching regex"),
        ("  runbook: Look at it.\n", "", 13, "the rule has no runbook"),
        ("record: file_copied\n      with", "record: file_eaten\n      with", 19, "file_eaten"),
        ("{file.ext: XLSX}", "{file.ext: pdf}", 18, "the rule does not fire on its example 'a spreadsheet'"),
        ("{file.ext: XLSX}", "{file.extension: pdf}", 18, "is no valid record"),
        ("{file.ext: XLSX}", "{file.size: -5}", 18, "`int` >= 0 - at `$.file.size`"),
        ("{file.ext: XLSX}", "{file.name.deep: x}", 18, "name is no group of fields"),
        ("title: A", "title: &x A", 1, ""),
        ("runbook: Look at it.", "runbook: *nothing", 15, "aliases"),
        ("  firing:", "  fires:", 16, "unknown field `fires`"),
    ],
)
def test_each_fault_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if "&x" in new:
        text = text.replace("Look at it.", "*x")
        line = 15
        words = "aliases (*name) are not allowed"
    write(tmp_path, "rule.yml", text)
    found = faults(tmp_path)
    assert any(f.startswith(f"rule.yml:{line}: ") and words in f for f in found), found


def test_a_rule_that_fires_on_its_silent_example_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "rule.yml", GOOD.replace("file.ext: xlsx", "file.ext|exists: true"))
    assert faults(tmp_path) == ["rule.yml:22: the rule fires on its example 'a picture'"]


def test_all_faults_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    two = GOOD.replace("file.ext", "file.extt").replace("class_uid: 1001", "klass_uid: 1001")
    write(tmp_path, "a.yml", two)
    write(tmp_path, "b.yml", "title: [unclosed\n")
    write(tmp_path, "c.yml", GOOD)
    write(
        tmp_path,
        "d.yml",
        GOOD.replace("level: medium", "level: bad").replace("product: leaver", "product: x"),
    )
    found = faults(tmp_path)
    assert [re.match(r"[a-d]\.yml:\d+", f).group() for f in found] == [  # type: ignore[union-attr]
        "a.yml:9",
        "a.yml:10",
        "b.yml:2",
        "c.yml:2",
        "d.yml:2",
        "d.yml:5",
        "d.yml:12",
    ]


def test_two_files_with_the_same_id_are_both_named(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", GOOD)
    write(tmp_path, "b.yml", GOOD.replace("0f4d1c0e", "0F4D1C0E"))
    assert faults(tmp_path) == ["b.yml:2: id 0f4d1c0e-95a5-4d8f-b3c4-1c6f8f5d7a10 is also that of a.yml"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "title: c\ncorrelation:\n  type: event_count\n",
            "x.yml:2: timespan None is no number",
        ),
        ("title: f\nfilter:\n  rules: any\n", "x.yml:1: the exception has no leaver"),
        ("", "x.yml:1: the file is empty"),
        ("- a list\n", "x.yml:1: a rule is a mapping"),
        ("title: one\n---\ntitle: two\n", "x.yml:2: not YAML"),
        ("a: " + "[" * 60 + "]" * 60, "x.yml:1: nested more than 32 deep"),
        ("a: 2026-13-45\n", "x.yml:1: '2026-13-45' cannot be read"),
        ("on: 1\n", "x.yml:1: on would be read as a boolean"),
        ("title: x\nid: y\n", "x.yml:1: the rule has no detection"),
    ],
)
def test_what_is_no_rule_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path, "x.yml", text)
    assert any(words in fault for fault in faults(tmp_path)), faults(tmp_path)


def test_a_file_that_is_not_utf8_or_too_large_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes("title: 客户".encode("gbk"))
    (tmp_path / "b.yml").write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    write(tmp_path, "c.yml", GOOD.replace("level: medium", "level: bad"))
    found = faults(tmp_path)
    assert "a.yml:1: cannot be read: not UTF-8 at byte 7" in found[0]
    assert "b.yml:1: cannot be read: more than" in found[1]
    assert found[2].startswith("c.yml:12: ")


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert len(load_policies(tmp_path).policies) == 1


def test_an_empty_folder_is_an_empty_set(tmp_path: Path) -> None:
    policies = load_policies(tmp_path)
    assert isinstance(policies, PolicySet)
    assert policies.match({"class_uid": 1001}) == []


def test_bad_rules_do_not_take_the_good_ones_down(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", "title: [unclosed\n")
    write(tmp_path, "b.yml", GOOD)
    write(tmp_path, "c.yml", GOOD)
    write(tmp_path, "d.yml", GOOD.replace("0f4d", "1f4d").replace("{file.ext: XLSX}", "{file.ext: pdf}"))
    policies, errors = load_good_policies(tmp_path)
    assert [policy.file for policy in policies.policies] == ["b.yml"]
    assert [error.file for error in errors] == ["a.yml", "c.yml", "d.yml"]
    assert len(policies.match({"class_uid": 1001, "file": {"ext": "xlsx"}})) == 1
