"""What a detection of a Sigma rule matches, value by value and condition by condition."""

from __future__ import annotations

import time as clock
from typing import Any

import pytest
from sigma.rule import SigmaRule

from policies.detection.detection_set import DetectionSet, rule_tree
from policies.detection.routing import pinned_classes
from policies.errors import NotSupported


def fires(detection: dict[str, Any], event: dict[str, Any]) -> bool:
    return bool(DetectionSet([rule_tree(_parsed(detection))]).match(event))


def one(field: str, value: Any, event: dict[str, Any]) -> bool:
    return fires({"sel": {field: value}, "condition": "sel"}, event)


def _parsed(detection: dict[str, Any]) -> list[Any]:
    rule = SigmaRule.from_dict({"title": "t", "logsource": {"product": "leaver"}, "detection": detection})
    return [condition.parsed for condition in rule.detection.parsed_condition]


FILE = {"file": {"name": "Kundenliste 2026.XLSX", "size": 1200, "hashes": [{"value": "aa"}, {"value": "bb"}]}}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("file.name", "kundenliste 2026.xlsx", True),
        ("file.name", "kundenliste", False),
        ("file.name|cased", "kundenliste 2026.xlsx", False),
        ("file.name|contains", "LISTE", True),
        ("file.name|contains|cased", "LISTE", False),
        ("file.name|startswith", "kunden", True),
        ("file.name|endswith", ".xlsx", True),
        ("file.name|endswith", ".xls", False),
        ("file.name", "kunden*20?6.x*x", True),
        ("file.name", "kunden*20?.x*x", False),
        ("file.name", r"kunden\*", False),
        ("file.name", "*", True),
        ("file.path", "*", False),
        ("file.name|contains|all", ["kunden", "2026"], True),
        ("file.name|contains|all", ["kunden", "2027"], False),
        ("file.name|re", r"[0-9]{4}\.XLSX$", True),
        ("file.name|re", r"[0-9]{4}\.xlsx$", False),
        ("file.name|re|i", r"[0-9]{4}\.xlsx$", True),
        ("file.size", 1200, True),
        ("file.size", "1200", True),
        ("file.size|gte", 1200, True),
        ("file.size|gt", 1200, False),
        ("file.size|lt", 1200.5, True),
        ("file.name|gt", 5, False),
        ("file.path|lt", 5, False),
        ("file.path", None, True),
        ("file.name", None, False),
        ("file.path|exists", False, True),
        ("file.name|exists", True, True),
        ("file.hashes.value", "BB", True),
        ("file.hashes.value", ["cc", "dd"], False),
        ("file.hashes.value|all", ["aa", "bb"], True),
        ("file.hashes.value|endswith", ["x", "b"], True),
        ("file.hashes.missing", None, True),
        ("file.name.deeper", "x", False),
    ],
)
def test_values_mean_what_sigma_says(field: str, value: Any, expected: bool) -> None:
    assert one(field, value, FILE) is expected


def test_tuples_are_lists() -> None:
    assert one("tags.name", "b", {"tags": ({"name": "a"}, {"name": "B"})})
    assert one("profiles", "host", {"profiles": ("host",)})
    assert one("metadata.profiles", "host", {"metadata": {"profiles": ("host",)}})


def test_not_over_a_list_means_none_of_its_values() -> None:
    detection = {"sel": {"file.hashes.value": "aa"}, "condition": "not sel"}
    assert not fires(detection, FILE)
    assert fires(detection, {"file": {"hashes": [{"value": "cc"}]}})


def test_a_boolean_is_no_number() -> None:
    assert one("leaver.device.trusted", True, {"leaver": {"device": {"trusted": True}}})
    assert not one("leaver.device.trusted", True, {"leaver": {"device": {"trusted": 1}}})
    assert not one("leaver.device.trusted", 1, {"leaver": {"device": {"trusted": True}}})
    assert not one("leaver.device.trusted", False, {"leaver": {"device": {}}})


def test_addresses_match_networks_of_their_own_version() -> None:
    event = {"src_endpoint": {"ip": "10.1.2.3"}}
    assert one("src_endpoint.ip|cidr", "10.0.0.0/8", event)
    assert not one("src_endpoint.ip|cidr", ["192.168.0.0/16", "fe80::/10"], event)
    assert not one("src_endpoint.ip|cidr", "10.0.0.0/8", {"src_endpoint": {"ip": "no address"}})


def test_fields_can_be_compared_with_each_other() -> None:
    event = {"actor": {"user": {"name": "Lin"}}, "file": {"path": "/home/lin/x"}}
    assert one("file.path|fieldref|contains", "actor.user.name", event)
    assert not one("file.path|fieldref", "actor.user.name", event)


def test_keywords_look_into_every_value_at_any_depth() -> None:
    detection = {"words": ["geheim", "secret"], "condition": "words"}
    assert fires(detection, {"a": {"b": [{"c": "Top SECRET plan"}]}})
    assert not fires(detection, {"secret": "x"}), "names of fields are no values"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("1 of sel_*", True),
        ("all of sel_*", False),
        ("sel_a and not sel_b", True),
        ("(sel_b or sel_a) and other", True),
        ("all of them", False),
        ("1 of them and not sel_a", False),
    ],
)
def test_conditions_combine_selections(condition: str, expected: bool) -> None:
    selections = {"sel_a": {"x": 1}, "sel_b": {"x": 2}, "other": {"y": "z"}}
    assert fires({**selections, "condition": condition}, {"x": 1, "y": "z"}) is expected


def test_a_group_that_stands_twice_is_right_in_both_places_and_for_each_record() -> None:
    shared = {"x": 1, "y": 2}
    parsed = _parsed({"a": shared, "b": {"z": 3}, "condition": ["a and b", "a and not b", "not a"]})
    compiled = DetectionSet([rule_tree([condition]) for condition in parsed])

    def outcome(event: dict[str, Any]) -> list[bool]:
        return [number in compiled.match(event) for number in range(len(parsed))]

    assert outcome({"x": 1, "y": 2, "z": 3}) == [True, False, False]
    assert outcome({"x": 1, "y": 2}) == [False, True, False]
    assert outcome({"x": 1, "z": 3}) == [False, False, True]
    assert outcome({"x": 1, "y": 2, "z": 3}) == [True, False, False]


@pytest.mark.parametrize("value", ["AB", "ab", "xaby", "ax", "x?b", ""])
def test_a_list_of_strings_fits_as_each_of_them_would(value: str) -> None:
    wanted = ["ab", "a*", "*b", "*x*", "a?c", "", r"x\?b"]
    together = one("v", wanted, {"v": value})
    assert together == any(one("v", single, {"v": value}) for single in wanted)


def test_a_cased_string_does_not_hide_the_same_one_without_case() -> None:
    either = {"a": {"v|cased": "ab"}, "b": {"v": "ab"}, "condition": "a or b"}
    assert fires(either, {"v": "AB"})
    assert not fires({**either, "condition": "a"}, {"v": "AB"})


def test_many_wildcards_do_not_take_exponential_time() -> None:
    pattern = "*a" * 25 + "*b"
    started = clock.process_time()
    assert not one("v", pattern, {"v": "a" * 5_000})
    assert clock.process_time() - started < 2.0


def test_text_that_is_no_valid_unicode_does_not_stop_an_expression() -> None:
    assert one("v|re", "^a.*z$", {"v": "a\ud800z"})


@pytest.mark.parametrize(
    ("detection", "classes"),
    [
        ({"sel": {"class_uid": 1001, "x": 1}, "condition": "sel"}, {1001}),
        ({"sel": {"class_uid": [1001, 1010]}, "condition": "sel"}, {1001, 1010}),
        ({"sel": {"type_uid": 100101}, "condition": "sel"}, {1001}),
        ({"sel": {"x": 1}, "condition": "sel"}, None),
        ({"a": {"class_uid": 1001}, "b": {"x": 1}, "condition": "a or b"}, None),
        ({"a": {"class_uid": 1001}, "b": {"x": 1}, "condition": "b and not a"}, None),
        ({"a": {"class_uid": 1001}, "b": {"class_uid": 1010}, "condition": "a and b"}, set()),
    ],
)
def test_routing_never_leaves_out_a_class_that_could_fire(
    detection: dict[str, Any], classes: set[int] | None
) -> None:
    assert pinned_classes(rule_tree(_parsed(detection))) == classes


def test_a_placeholder_without_a_list_is_refused_not_ignored() -> None:
    with pytest.raises(NotSupported):
        one("file.name|expand", "%names%", {})


@pytest.mark.parametrize(
    ("modifier", "value", "expected"),
    [
        ("minute", 45, True),
        ("hour", 14, True),
        ("hour", 16, False),
        ("day", 10, True),
        ("week", 28, True),
        ("month", 7, True),
        ("year", 2024, True),
        ("year", 2023, False),
    ],
)
@pytest.mark.parametrize(
    "time", ["2024-07-10T14:45:00Z", "2024-07-10T16:45:00+02:00", 1720622700, 1720622700000, "1720622700"]
)
def test_parts_of_a_time_are_those_of_utc(modifier: str, value: int, expected: bool, time: object) -> None:
    assert one(f"time|{modifier}", value, {"time": time}) is expected


def test_what_is_no_time_has_no_parts() -> None:
    assert not any(one("time|hour", 0, {"time": value}) for value in ["soon", "", None, True, 1e30])
