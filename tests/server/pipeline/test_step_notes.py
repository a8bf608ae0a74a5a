"""What is kept of an event to tell it as a step of a sequence."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from event_schema.ocsf_events import Event
from policies.examples import Example, RecordName, example_record
from policies.positioned_yaml import read_yaml
from policies.rule_file import SHIPPED_RULES
from server.pipeline.step_notes import ARCHIVES, StepNote, note_of


def _event(record: RecordName, **changes: Any) -> Event:
    plain = example_record(Example(name="x", record=record, changes=changes))
    event: Event = msgspec.convert({name: part for name, part in plain.items() if name != "leaver"}, Event)
    return event


@pytest.mark.parametrize(
    ("record", "changes", "note"),
    [
        ("database_exported", {}, StepNote("exported", 20_000, 0, "crm", archive=False)),
        (
            "database_exported",
            {"unmapped.result.is_export": False},
            StepNote("read", 20_000, 0, "crm", False),
        ),
        ("file_copied", {}, StepNote("copied", 1, 2_400_000, None, archive=False)),
        ("file_copied", {"file.ext": "zip"}, StepNote("copied", 1, 2_400_000, None, archive=True)),
        ("file_copied", {"file.drive_type_id": 3}, StepNote("wrote", 1, 2_400_000, None, archive=False)),
        ("file_deleted", {"file.ext": "zip"}, StepNote("deleted", 1, 2_400_000, None, archive=False)),
        ("file_uploaded", {"file.ext": "7z"}, StepNote("uploaded", 1, 2_400_000, None, archive=True)),
        ("mail_sent", {}, StepNote("mailed", 1, 3_300_000, None, archive=False)),
        ("print_job", {}, StepNote("printed", 3, 0, None, archive=False)),
        ("logged_in", {}, StepNote("", 1, 0, None, archive=False)),
    ],
)
def test_what_was_done_how_much_and_from_where(
    record: RecordName, changes: dict[str, Any], note: StepNote
) -> None:
    assert note_of(_event(record, **changes)) == note


def test_archives_are_those_of_the_shipped_rule() -> None:
    rule = read_yaml((SHIPPED_RULES / "block_archive_made.yml").read_text(encoding="utf-8")).value
    assert frozenset(rule["detection"]["archive"]["file.ext"]) == ARCHIVES
