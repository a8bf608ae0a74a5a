"""Correlations of the pack: what they may group by."""

from __future__ import annotations

import pytest

from policies.rule_file import RuleText, load_texts, parse_text
from tests.server.policies.rule_texts import COPIED, MANY_COPIED

NAMED = COPIED.replace("status: test", "status: test\nname: copied")


def _faults(group_by: str) -> list[tuple[int, str]]:
    text = MANY_COPIED.replace("  timespan: 1d\n", f"  timespan: 1d\n{group_by}")
    assert "group-by" in text
    found = load_texts(map(parse_text, [RuleText("a.yml", NAMED), RuleText("b.yml", text)]))
    return [(error.line, error.message) for error in found.errors]


@pytest.mark.parametrize(
    "group_by",
    [
        "  group-by: [src_endpoint.ip]\n",
        "  group-by: [device.hostname, dst_endpoint.hostname]\n",
        "  group-by: [from]\n  aliases: {from: {copied: src_endpoint.ip}}\n",
    ],
)
def test_groups_over_several_people_are_refused_with_their_line_and_what_to_write(group_by: str) -> None:
    ((line, message),) = _faults(group_by)
    assert line == 2 + MANY_COPIED.splitlines().index("  timespan: 1d")
    assert "acts of several people" in message
    assert "add leaver.person.id to group-by" in message


def test_a_window_longer_than_the_server_keeps_events_is_refused_with_its_line() -> None:
    texts = [RuleText("a.yml", NAMED), RuleText("b.yml", MANY_COPIED.replace("1d", "93d"))]
    (error,) = load_texts(map(parse_text, texts)).errors
    assert error.line == 1 + MANY_COPIED.splitlines().index("  timespan: 1d")
    assert "more than the 92 days" in error.message


def test_examples_of_very_many_events_are_refused() -> None:
    many = MANY_COPIED.replace("times: 2,", "times: 20000,")
    silent = "    - {name: more, events: [{record: file_copied, at: 1h, times: 20000, every: 1m}]}\n"
    texts = [RuleText("a.yml", NAMED), RuleText("b.yml", many + silent * 2)]
    (error,) = load_texts(map(parse_text, texts)).errors
    assert "60,003 events in all examples are more than 50,000" in error.message


@pytest.mark.parametrize(
    "group_by",
    [
        "  group-by: [leaver.person.id, dst_endpoint.hostname]\n",
        "  group-by: [actor.user.name]\n",
        "  group-by: [who]\n  aliases: {who: {copied: actor.user.name}}\n",
    ],
)
def test_groups_of_one_person_are_good(group_by: str) -> None:
    assert _faults(group_by) == []
