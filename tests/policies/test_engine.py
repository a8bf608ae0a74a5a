"""The shipped rules on their own examples and on whole records, through the engine."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from event_schema.codec import decode_event, encode_event
from event_schema.field_registry import field_registry
from event_schema.leaver_fields import LeaverFields
from event_schema.ocsf_events import Event
from policies.engine import PolicySet, record_of
from policies.examples import Example, Examples, example_record
from policies.positioned_yaml import read_yaml
from policies.rule_file import SHIPPED_RULES, load_policies
from policies.sequence_examples import Sequences, fired_on
from tests.policies.test_rule_file import GOOD, write

FILES = sorted(SHIPPED_RULES.glob("*.yml"))
CORRELATION_FILES = [file for file in FILES if "\ncorrelation:" in file.read_text(encoding="utf-8")]
RULE_FILES = [file for file in FILES if file not in CORRELATION_FILES]


@pytest.fixture(scope="module")
def shipped() -> PolicySet:
    return load_policies()


def titles(policies: PolicySet, **changes: object) -> set[str]:
    example = Example(
        name="x", record="file_copied", changes={k.replace("__", "."): v for k, v in changes.items()}
    )
    return {hit.title for hit in policies.match(example_record(example)) if hit.family}


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.stem)
def test_shipped_rules_fire_and_stay_silent_as_their_examples_say(file: Path, shipped: PolicySet) -> None:
    value = read_yaml(file.read_text(encoding="utf-8")).value
    examples = msgspec.convert(value["tests"], Examples)
    for wanted, listed in ((True, examples.firing), (False, examples.silent)):
        for example in listed:
            record = example_record(example)
            leaver = record.pop("leaver")
            event = decode_event(encode_event(msgspec.convert(record, Event)))
            hits = shipped.match(record_of(event, msgspec.convert(leaver, LeaverFields)))
            assert (value["id"] in {hit.rule_id for hit in hits}) is wanted, example.name


@pytest.mark.parametrize("file", CORRELATION_FILES, ids=lambda file: file.stem)
def test_shipped_correlations_fire_and_stay_silent_as_their_examples_say(
    file: Path, shipped: PolicySet
) -> None:
    value = read_yaml(file.read_text(encoding="utf-8")).value
    examples = msgspec.convert(value["tests"], Sequences)
    for wanted, listed in ((True, examples.firing), (False, examples.silent)):
        for example in listed:
            assert (value["id"] in fired_on(shipped, example)) is wanted, example.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_rules_say_who_wrote_them_which_technique_and_what_to_do(
    file: Path, shipped: PolicySet
) -> None:
    value = read_yaml(file.read_text(encoding="utf-8")).value
    policy = next(p for p in shipped.policies if p.file == file.name)
    assert value["author"] == "Leaver"
    assert any(tag.startswith("attack.t") for tag in policy.tags)
    if value["leaver"].get("building_block"):
        assert file.name.startswith("block_")
        return
    assert policy.runbook.count("\n") >= 1
    assert policy.family in {
        *("database_export", "dormant_account", "former_employee_access", "outbound_mail", "printing"),
        "two_sessions",
        *("removable_storage_copy", "screenshots", "upload", "application_export", "file_server_export"),
        "taken_in_steps",
    }


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.stem)
def test_shipped_rules_ask_only_for_fields_that_something_fills(file: Path) -> None:
    asked = _fields(read_yaml(file.read_text(encoding="utf-8")).value["detection"])
    assert asked & field_registry().keys()
    assert [field for field in asked if (spec := field_registry().get(field)) and spec.not_yet] == []


def _fields(detection: object) -> set[str]:
    if isinstance(detection, list):
        return {field for part in detection for field in _fields(part)}
    if not isinstance(detection, dict):
        return set()
    return {key.partition("|")[0] for key in detection} | _fields(list(detection.values()))


def test_a_leaver_who_copies_customer_files_hits_several_rules_of_one_family(shipped: PolicySet) -> None:
    hits = shipped.match(
        example_record(
            Example(
                name="x",
                record="file_copied",
                changes={
                    "leaver.person.status": "notice",
                    "leaver.person.days_to_last_day": 6,
                    "file.name": "客户名单 2026.xlsx",
                },
            )
        )
    )
    hits = [hit for hit in hits if hit.family]
    assert {hit.level for hit in hits} == {"high", "low"}
    assert {hit.family for hit in hits} == {"removable_storage_copy"}
    assert len(hits) == len({hit.rule_id for hit in hits}) == 3


def test_an_ordinary_copy_by_someone_who_stays_hits_nothing(shipped: PolicySet) -> None:
    assert titles(shipped) == set()
    assert titles(shipped, file__name="customers.xlsx") != set()


def test_after_the_last_day_every_copy_is_critical(shipped: PolicySet) -> None:
    assert titles(shipped, leaver__person__status="left") == {
        "Someone who has left copies to removable storage"
    }


def test_events_of_other_classes_are_not_looked_at_by_rules_that_pin_a_class(shipped: PolicySet) -> None:
    connected = example_record(Example(name="x", record="device_connected"))
    assert shipped.match(connected) == []
    assert shipped.match({"class_uid": "1001"}) == []
    assert shipped.match({}) == []


def test_a_rule_without_a_class_is_looked_at_for_every_class(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", GOOD)
    anywhere = GOOD.replace("    class_uid: 1001\n", "").replace("0f4d1c0e", "1f4d1c0e")
    write(tmp_path, "b.yml", anywhere)
    policies = load_policies(tmp_path)
    assert len(policies.match({"class_uid": 1001, "file": {"ext": "xlsx"}})) == 2
    assert len(policies.match({"class_uid": 6006, "file": {"ext": "xlsx"}})) == 1
    assert len(policies.match({"file": {"ext": "xlsx"}})) == 1


def test_a_rule_with_several_conditions_hits_once(tmp_path: Path) -> None:
    text = GOOD.replace("  condition: copy\n", "  condition:\n    - copy\n    - copy\n")
    assert (
        len(load_policies(write(tmp_path, "a.yml", text)).match({"class_uid": 1001, "file": {"ext": "xlsx"}}))
        == 1
    )


def test_the_version_changes_when_and_only_when_what_a_rule_does_changes(tmp_path: Path) -> None:
    def version(text: str, name: str = "a.yml") -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return load_policies(write(folder, name, text)).version

    same = version(GOOD)
    assert version(GOOD, "renamed.yml") == same
    assert version(GOOD.replace("a spreadsheet", "another name of the example")) == same
    assert version("# a comment\n" + GOOD) == same
    assert version(GOOD.replace("level: medium", "level: high")) != same
    assert version(GOOD.replace("file.ext: xlsx", "file.ext: [xlsx, csv]")) != same
    assert version(GOOD.replace("removable_storage_copy", "something_else")) != same


def test_order_of_files_changes_neither_version_nor_hits(tmp_path: Path) -> None:
    other = GOOD.replace("0f4d1c0e", "1f4d1c0e")
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    write(write(one, "a.yml", GOOD), "b.yml", other)
    write(write(two, "a.yml", other), "b.yml", GOOD)
    record = {"class_uid": 1001, "file": {"ext": "xlsx"}}
    first, second = load_policies(one), load_policies(two)
    assert first.version == second.version
    assert first.match(record) == second.match(record)


def test_base_records_of_examples_use_only_registered_fields() -> None:
    def paths(value: object, prefix: str) -> set[str]:
        if isinstance(value, dict):
            return {p for key, inner in value.items() for p in paths(inner, f"{prefix}{key}.")}
        return {prefix.rstrip(".")}

    for name in ("file_copied", "file_deleted", "device_connected"):
        record = example_record(msgspec.convert({"name": "x", "record": name}, Example))
        assert paths(record, "") <= set(field_registry())
