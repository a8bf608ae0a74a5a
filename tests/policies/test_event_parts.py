"""Correlations read the same from the part of an event that is made for them as from its plain form."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from event_schema.ocsf_events import Event
from policies.correlation.source_values import field_getter
from policies.event_parts import part_reader
from policies.examples import Example, RecordName, example_record

PATHS = [
    "file.size",
    "file.name",
    "file.hashes.value",
    "file.drive_type_id",
    "file.no_such_field",
    "file",
    "time",
    "class_uid",
    "activity_id",
    "actor.user.name",
    "actor.process.file.path",
    "email.files.name",
    "email.from",
    "unmapped.result.rows",
    "leaver.person.id",
    "leaver.time.local_hour",
    "nowhere.at_all",
]


@pytest.mark.parametrize("name", get_args(RecordName))
def test_a_part_gives_what_the_plain_form_gives(name: RecordName) -> None:
    record = example_record(Example(name="one", record=name))
    event: Event = msgspec.convert({k: v for k, v in record.items() if k != "leaver"}, Event)
    for paths in [*([path] for path in PATHS), PATHS, PATHS[:2], [p for p in PATHS if p != "class_uid"]]:
        part = part_reader(type(event), paths)(event, record["leaver"])
        for path in paths:
            found, expected = field_getter(path)(part), field_getter(path)(record)
            assert found == expected, path
            assert not isinstance(found, msgspec.Struct)


def test_only_what_is_asked_for_is_read() -> None:
    record = example_record(Example(name="one", record="file_copied"))
    event: Event = msgspec.convert({k: v for k, v in record.items() if k != "leaver"}, Event)
    part = part_reader(type(event), ["file.size", "leaver.person.id"])(event, record["leaver"])
    assert part == {"file": {"size": record["file"]["size"]}, "leaver": record["leaver"]}
