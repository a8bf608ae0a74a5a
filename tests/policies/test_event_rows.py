"""Rules see the same in a typed event as in its plain form, however a field is reached."""

from __future__ import annotations

import itertools
import random
from typing import Any

import msgspec
import pytest
from sigma.rule import SigmaRule

from event_schema.leaver_fields import LeaverFields
from event_schema.ocsf_endpoint_events import FileSystemActivity
from event_schema.ocsf_events import Event
from policies.engine import ParsedPolicy, Policy, PolicySet, record_of
from policies.examples import Example, Examples, example_record
from policies.positioned_yaml import read_yaml
from policies.rule_file import SHIPPED_RULES, load_policies

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
    assert list(policies.match_event(event, plain)) == expected
    assert list(policies.match_event(event, plain)) == expected
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


def test_every_example_of_the_pack_fires_alike_on_typed_and_plain_events() -> None:
    policies = load_policies()
    fired: set[str] = set()
    for file in sorted(SHIPPED_RULES.glob("*.yml")):
        value = read_yaml(file.read_text("utf-8")).value
        if "detection" not in value:
            continue
        examples = msgspec.convert(value["tests"], Examples)
        for example in (*examples.firing, *examples.silent):
            record = example_record(example)
            leaver = record.pop("leaver")
            event: Event = msgspec.convert(record, Event)
            expected = policies.match(record | {"leaver": leaver})
            # In turn over all channels: what one event leaves behind must not show in another.
            assert list(policies.match_event(event, leaver)) == expected, example.name
            fired.update(hit.rule_id for hit in expected)
    assert len(fired) > 50


def test_rules_that_need_the_plain_form_stand_beside_those_that_do_not() -> None:
    policies = rules(
        {"file.name|contains": "report"},
        {"file.name|fieldref|startswith": "actor.user.name"},
        {"file.ext": "pdf"},
        {"file.name|fieldref|endswith": "file.ext"},
    )
    assert agreed(policies, {"file.name": "report.pdf", "file.ext": "pdf"}) == ["00", "02", "03"]
    assert agreed(policies, {"file.name": "report.doc", "file.ext": "pdf"}) == ["00", "02"]
    assert agreed(policies, {"file.name": "photo.jpg", "file.ext": "jpg"}) == ["03"]


def test_what_is_known_around_an_event_may_be_compared() -> None:
    policies = rules(
        {"leaver.device.assigned_to|fieldref": "leaver.person.id"},
        {"leaver.person.manager|fieldref": "leaver.person.department", "file.ext": "pdf"},
    )
    own = {"leaver.device.assigned_to": "E1", "leaver.person.id": "E1"}
    assert agreed(policies, own) == ["00"]
    assert agreed(policies, own | {"leaver.person.id": "E2"}) == []
    same = {"leaver.person.manager": "x", "leaver.person.department": "X", "file.ext": "pdf"}
    assert agreed(policies, same) == ["01"]
    assert agreed(policies, same | {"file.ext": "doc"}) == []


def test_labels_in_lists_below_a_part_that_may_be_missing_are_told_apart() -> None:
    count = "file.data_classifications.discovery_details[resident_id].count|gte"
    policies = rules({count: 10}, {count: 100}, {"file.data_classifications": None})

    def labelled(*found: tuple[str, int]) -> dict[str, Any]:
        details = [{"type": kind, "count": number} for kind, number in found]
        about = {"category_id": 1, "classifier_details": {"type": "leaver"}, "status_id": 1}
        return {"file.data_classifications": [about | {"discovery_details": details}]}

    assert agreed(policies, {}) == ["02"]
    assert agreed(policies, labelled(("resident_id", 9))) == []
    assert agreed(policies, labelled(("resident_id", 10))) == ["00"]
    assert agreed(policies, labelled(("mobile_phone", 500), ("resident_id", 100))) == ["00", "01"]


def test_what_is_remembered_of_many_texts_stays_right() -> None:
    policies = rules({"file.name|contains": "9"}, {"file.name|endswith": "0.txt"})
    event, leaver = typed({})
    assert isinstance(event, FileSystemActivity)
    plain: dict[str, Any] = msgspec.to_builtins(leaver, str_keys=True)
    for number in [*range(5_000), *range(5_000)]:
        file = msgspec.structs.replace(event.file, name=f"{number}.txt")
        named = msgspec.structs.replace(event, file=file)
        fired = [hit.rule_id for hit in policies.match_event(named, plain)]
        assert fired == ["00"] * ("9" in str(number)) + ["01"] * (number % 10 == 0)


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
        *({"file.name|re": f"[{word[0]}z].*{word[-1]}$"} for word in words),
        *({"unmapped.evidence.fidelity": word} for word in ("exact", "LIKELY", "possible")),
        *({"file.is_encrypted": state} for state in (True, False, None)),
        *({"leaver.time.local_hour|gte": hour} for hour in (8, 12)),
        *({"file.name|fieldref|contains": other} for other in ("file.ext", "actor.user.name")),
        {"file.data_classifications.discovery_details.type|exists": True},
        {"file.name|cased": "payroll.sql.GZ"},
    ]
    detections = [
        {key: value for item in choice.sample(items, choice.randint(1, 3)) for key, value in item.items()}
        for _ in range(240)
    ]
    policies = rules(*detections)
    fired = {rule for change in CHANGES for rule in agreed(policies, change)}
    assert len(fired) > 20
