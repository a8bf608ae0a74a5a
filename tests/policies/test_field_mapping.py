"""Rules of public logsources run on our events, and what cannot is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from event_schema.field_registry import field_registry
from policies.errors import PolicyErrors
from policies.field_mapping import SOURCES, MappedSource
from policies.rule_file import load_policies
from tests.policies.test_rule_file import GOOD, write

GUIDE = Path(__file__).parents[2] / "docs" / "policies.md"
FILE_EVENT = GOOD.replace("product: leaver", "category: file_event\n  product: linux").replace(
    "    class_uid: 1001\n    file.ext: xlsx", "    TargetFilename|endswith: .xlsx"
).replace("{file.ext: XLSX}", "{file.path: /media/usb/a.XLSX}")  # fmt: skip


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: "-".join(source.logsource.values()))
def test_every_name_leads_to_a_field_that_events_have(source: MappedSource) -> None:
    assert set(source.fields.values()) | source.only.keys() <= field_registry().keys()


def test_a_public_rule_runs_on_our_events_of_its_kind_alone(tmp_path: Path) -> None:
    policies = load_policies(write(tmp_path, "a.yml", FILE_EVENT))
    event = {"class_uid": 1001, "activity_id": 1, "file": {"path": "/media/usb/Prices.xlsx"}}
    assert len(policies.match(event)) == 1
    assert policies.match(event | {"activity_id": 4}) == []
    assert policies.match(event | {"class_uid": 6006}) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "TargetFilename",
            "TargetFileName",
            "no event has a field TargetFileName; did you mean TargetFilename",
        ),
        (
            "TargetFilename",
            "CommandLine",
            "no event has a field CommandLine: command lines are never collected",
        ),
        ("file_event", "process_creation", "of other logsources it knows category: file_event"),
    ],
)
def test_what_we_have_no_events_or_fields_for_is_said(tmp_path: Path, old: str, new: str, words: str) -> None:
    write(tmp_path, "a.yml", FILE_EVENT.replace(old, new))
    with pytest.raises(PolicyErrors, match=words):
        load_policies(tmp_path)


def test_the_version_knows_the_logsource(tmp_path: Path) -> None:
    one = load_policies(write(tmp_path, "a.yml", FILE_EVENT)).version
    other = FILE_EVENT.replace("category: file_event", "category: file_event\n  service: x")
    assert load_policies(write(tmp_path, "a.yml", other)).version != one


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: "-".join(source.logsource.values()))
def test_the_guide_shows_the_table(source: MappedSource) -> None:
    shown = GUIDE.read_text(encoding="utf-8")
    name = ", ".join(f"{key}: {value}" for key, value in source.logsource.items())
    row = next((line for line in shown.splitlines() if line.startswith(f"| `{name}` ")), "")
    assert row, f"docs/policies.md has no row for {name}"
    assert all(f"{field} → {ours}" in row for field, ours in source.fields.items())
    assert all(f"{field} {number}" in row for field, number in source.only.items())
