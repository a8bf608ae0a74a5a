"""Faults of a policy's text are told in Chinese, as far as they are the engine's own words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from policies.errors import PolicyError
from policies.rule_file import RuleText, parse_text
from server.console.policies.changing import Problem, problems_of
from server.console.said_words import fault_in, said_in
from tests.server.console.raised_words import SERVER, all_parts, assigned, modules

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
POLICIES = SERVER.parent / "policies"
_PLACES = {
    "Fault": 1,
    "_fault": 1,
    "_say": 1,
    "NotSupported": 0,
    "ExampleError": 0,
    "PolicyError": 2,
    "ValueError": 0,
}
"""Where a call that tells a fault has its words."""
_NOT_OF_A_TEXT = frozenset({"sigma_files.py", "attack_coverage.py"})
"""Of folders that the command line reads."""
_VALUES = ("7", "fires", "product is 7", "; did you mean 7?")
_OTHERWISE = frozenset({"{} files are more than {}", "there is no product"})
"""Of folders; and part of a sentence that is below."""
_PART = "hides all events but these"

RULE = """\
title: A file on a stick
id: 0b7e0b4e-5b0c-4a7d-9a0e-5d8a1f3c2b11
status: experimental
level: low
description: d
logsource: {product: leaver, service: removable_storage}
detection:
  selection:
    class_uid: 1001
  condition: selection
leaver: {family: removable_storage_copy, runbook: r}
tests:
  firing: [{name: a, record: usb_copy}]
  silent: [{name: b, record: login}]
"""


def _told() -> Iterator[tuple[str, tuple[str | None, ...]]]:
    for path, module in [*modules(POLICIES), *modules(SERVER / "policies")]:
        if path.name in _NOT_OF_A_TEXT:
            continue
        named = assigned(module)
        for node in ast.walk(module):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _PLACES and len(node.args) > _PLACES[name]:
                for parts in all_parts(node.args[_PLACES[name]], named):
                    yield f"{path.name}:{node.lineno}", parts


def test_every_fault_that_the_engine_words_is_there_in_chinese() -> None:
    found = list(_told())
    assert len(found) > 80
    missing = {
        where: words
        for where, parts in found
        if (words := "".join("{}" if part is None else part for part in parts)) not in _OTHERWISE
        if not words.startswith(_PART)
        if re.search("[a-z]{3}", words)
        and not any(
            _CHINESE.search(told("zh", "".join(value if part is None else part for part in parts)))
            for value in _VALUES
            for told in (fault_in, said_in)
        )
    }
    assert missing == {}


def _faults(text: str) -> list[str]:
    return [error.message for error in parse_text(RuleText("a.yml", text)).errors]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("title: A file", "title A file"),
        ("detection:\n", "detection:\n\tx: 1\n"),
        ("  condition: selection", "  condition: selektion"),
        ("  condition: selection", "condition: selection"),
        ("    class_uid: 1001", "    class_uid: [1001"),
        ("    class_uid: 1001", "   - class_uid: 1001\n    x"),
        ("    class_uid: 1001", "    clas_uid: 1001"),
        ("    class_uid: 1001", "    file.name|contians: a"),
        ("    class_uid: 1001", "    file.name|re: '(a'"),
        ("    class_uid: 1001", "    file.name|re: 'a(?=b)'"),
        ("    class_uid: 1001", "    CommandLine: a"),
        ("    class_uid: 1001", "    class_uid: 1"),
        ("    class_uid: 1001", "    class_uid: 1001\n    class_uid: 1001"),
        ("level: low", "level: lov"),
        ("level: low", "levle: low"),
        ("level: low", "level: [low]"),
        ("level: low", "level: 'low"),
        ("status: experimental", "status: tried"),
        ("id: 0b7e", "id: 0b7"),
        ("service: removable_storage", "service: removable_storag"),
        ("product: leaver", "product: windows"),
        ("product: leaver", "category: proxi"),
        ("family: removable_storage_copy", "familiy: removable_storage_copy"),
        ("runbook: r", "runbook: 5"),
        (", runbook: r", ""),
        ("record: usb_copy", "record: usb_cop"),
        ("record: usb_copy", "record: login"),
        ("name: a, ", ""),
        ("firing: [{name: a, record: usb_copy}]", "firing: []"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_in_chinese(before: str, after: str) -> None:
    assert before in RULE
    found = _faults(RULE.replace(before, after, 1))
    assert found
    assert [each for each in found if not _CHINESE.search(fault_in("zh", each))] == []
    assert [fault_in("en", each) for each in found] == found


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            "no event has a field file.nam; did you mean file.name or file.path?",
            "没有任何事件含有字段 file.nam；是否想写 file.name 或 file.path？",
        ),
        (
            "the condition hides all events but these: an event that has none of the fields must pass; write"
            " `not …`",
            "此条件会隐藏除此之外的所有事件：不含这些字段的事件必须放行，请写 `not …`",
        ),
        ("not YAML: while parsing a block mapping, did not find expected key", ""),
        ("words of another engine", "words of another engine"),
    ],
)
def test_how_a_fault_is_said(fault: str, said: str) -> None:
    told = fault_in("zh", fault)
    assert told == (said or "不是有效的 YAML：解析键值映射时，缺少键，请检查缩进")


def test_problems_come_in_the_language_of_who_asks() -> None:
    faults = [
        PolicyError("b.yml", 3, "the rule has no level"),
        PolicyError("a.yml", 9, "detection has no condition"),
    ]
    assert problems_of(faults, "a.yml", "zh") == [
        Problem(9, "detection 缺少 condition"),
        Problem(0, "b.yml:3: 规则缺少 level"),
    ]
    assert problems_of(faults, "a.yml", "en")[0] == Problem(9, "detection has no condition")
