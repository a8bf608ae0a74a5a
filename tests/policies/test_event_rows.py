"""Rules see the same in a typed event as in its plain form, however a field is reached."""

from __future__ import annotations

import itertools
import random
from typing import Any

import msgspec
import pytest
from sigma.rule import SigmaRule

from event_schema.leaver_fields import LeaverFields
from event_schema.ocsf_events import Event
from policies.engine import ParsedPolicy, Policy, PolicySet, record_of
from policies.examples import Example, example_record
from policies.rule_file import load_policies

CHANGES: list[dict[str, Any]] = [
    {},
    {"file.name": "客户名单.xlsx"},
    {"file.name": "payroll.sql.gz", "file.ext": "gz"},
    {"file.ext": "zip", "leaver.person.status": "notice"},
    {"leaver.person.status": "notice", "leaver.time.day_type": "off"},
    {"leaver.person.status": "left"},
    {"leaver.person.status": "unknown"},
    {"file.size": 900_000_000, "leaver.device.first_seen_for_person": True},
    {"leaver.device.trusted": True, "file.ext": "py"},
    {"file.drive_type_id": 2, "file.ext": "py"},
    {"activity_id": 4, "type_uid": 100104, "file.ext": "py"},
]


def rules(*detections: dict[str, Any]) -> PolicySet:
    found = []
    for number, tests in enumerate(detections):
        detection = {"sel": tests, "condition": "sel"}
        rule = SigmaRule.from_dict({"title": "t", "logsource": {"product": "leaver"}, "detection": detection})
        policy = Policy(f"{number:02}", "t", "low", "f", "", "", (), "t.yml")
        conditions = tuple(condition.parsed for condition in rule.detection.parsed_condition)
        found.append(ParsedPolicy(policy, conditions, b""))
    return PolicySet(found)


def typed(changes: dict[str, Any]) -> tuple[Event, LeaverFields]:
    record = example_record(Example(name="one", record="file_copied", changes=changes))
    leaver: LeaverFields = msgspec.convert(record.pop("leaver"), LeaverFields)
    event: Event = msgspec.convert(record, Event)
    return event, leaver


def agreed(policies: PolicySet, changes: dict[str, Any]) -> list[str]:
    """The rules that fire, after both ways said the same; twice, for combinations are remembered."""
    event, leaver = typed(changes)
    plain: dict[str, Any] = msgspec.to_builtins(leaver, str_keys=True)
    expected = policies.match(record_of(event, leaver))
    assert policies.match_event(event, plain) == expected
    assert policies.match_event(event, plain) == expected
    return [hit.rule_id for hit in expected]


def test_shipped_rules_fire_alike_on_typed_and_plain_events() -> None:
    policies = load_policies()
    fired = [agreed(policies, one | other) for one, other in itertools.product(CHANGES, CHANGES)]
    assert len({tuple(each) for each in fired}) > 10


@pytest.mark.parametrize(
    ("tests", "fires"),
    [
        ({"class_uid": 1001}, True),
        ({"class_uid": 1010}, False),
        ({"activity_id|gte": 1}, True),
        ({"activity_id": "1"}, True),
        ({"activity_id|gt": 1}, False),
        ({"file.drive_type_id": [1, 2]}, True),
        ({"file.drive_type_id|lt": 1}, False),
        ({"metadata.profiles": "host"}, True),
        ({"metadata.profiles": "cloud"}, False),
        ({"actor.user.name|exists": True}, True),
        ({"actor.user.name|contains": "nobody-of-this-name"}, False),
        ({"file_result.name": None}, True),
        ({"file_result.name|exists": True}, False),
        ({"file.no_such_field": None}, True),
        ({"no_such.field|exists": True}, False),
        ({"leaver.person.status": "active"}, True),
        ({"leaver.remote.category": None}, True),
        ({"leaver.time.local_hour|lte": 23}, True),
        ({"leaver.person": None}, False),
        ({"leaver.remote": None}, True),
        ({"leaver.person.status.deeper": None}, True),
    ],
)
def test_every_way_to_reach_a_field_gives_what_the_plain_form_gives(
    tests: dict[str, Any], fires: bool
) -> None:
    assert agreed(rules(tests), {"leaver.person.status": "active"}) == (["00"] if fires else [])


def test_a_hash_in_a_list_is_found() -> None:
    policies = rules({"file.hashes.value|startswith": "ab"}, {"file.hashes.algorithm_id": 3})
    digest = [{"algorithm_id": 3, "value": "ab" * 32}]
    assert agreed(policies, {"file.hashes": digest}) == ["00", "01"]
    assert agreed(policies, {"file.hashes": [{"algorithm_id": 3, "value": "cd" * 32}]}) == ["01"]


def test_a_keyword_sees_the_whole_event() -> None:
    detection = {"words": ["quarterly"], "condition": "words"}
    rule = SigmaRule.from_dict({"title": "t", "logsource": {"product": "leaver"}, "detection": detection})
    policy = Policy("00", "t", "low", "f", "", "", (), "t.yml")
    conditions = tuple(condition.parsed for condition in rule.detection.parsed_condition)
    policies = PolicySet([ParsedPolicy(policy, conditions, b"")])
    assert agreed(policies, {"file.name": "quarterly report.pdf"}) == ["00"]
    assert agreed(policies, {"file.name": "photo.jpg"}) == []


@pytest.mark.parametrize("seed", range(6))
def test_many_random_rules_fire_alike_on_typed_and_plain_events(seed: int) -> None:
    choice = random.Random(seed)
    words = ["客户", "payroll", "holiday", ".xlsx", "sql", "a", "report"]
    items: list[dict[str, Any]] = [
        *({f"file.name|{how}": word} for how in ("contains", "startswith", "endswith") for word in words),
        *({"file.ext": ext} for ext in ("xlsx", "gz", "py", ["zip", "PY"])),
        *({"leaver.person.status": status} for status in ("notice", "left", ["left", "unknown"])),
        *({f"file.size|{how}": 800_000_000} for how in ("gt", "lt")),
        *({"file.drive_type_id": number} for number in (1, 2)),
        *({"file.hashes.value|startswith": digit} for digit in "0123456789abcdef"),
        *({field: None} for field in ("file_result.name", "leaver.remote", "file.path")),
        {"leaver.time.day_type": "off"},
        {"metadata.profiles|contains": "o"},
    ]
    detections = [
        {key: value for item in choice.sample(items, choice.randint(1, 3)) for key, value in item.items()}
        for _ in range(120)
    ]
    policies = rules(*detections)
    fired = {rule for change in CHANGES for rule in agreed(policies, change)}
    assert len(fired) > 20
