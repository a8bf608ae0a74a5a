"""A field in lists or below a missing part reads the same from a typed event as from its plain form."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from event_schema.ocsf_events import Event
from policies.event_rows import field_type
from policies.examples import Example, RecordName, example_record
from policies.field_reader import FieldReader
from policies.typed_paths import path_reader

DETAILS = "data_classifications.discovery_details"
BELOW = {
    "file": [
        "name",
        "hashes.value",
        "hashes.algorithm_id",
        "hashes",
        "signature.no_such",
        "name.deeper",
        f"{DETAILS}.type",
        f"{DETAILS}.count",
        f"{DETAILS}[resident_id].count",
        f"{DETAILS}[nothing].count",
        "data_classifications.classifier_details.type",
        "data_classifications",
    ],
    "email": [
        "files.name",
        "files.ext",
        f"files.{DETAILS}[resident_id].count",
        "files.hashes.value",
        "files",
        "to",
        "from",
        "no_such.thing",
    ],
    "unmapped": ["print_job.pages", "evidence.fidelity", "peripheral_device.uid", "result.tables", "result"],
    "metadata": ["profiles", "product.name"],
}


def labelled(**counts: int) -> dict[str, Any]:
    details = [{"type": kind, "count": count} for kind, count in counts.items()]
    about = {"category_id": 1, "classifier_details": {"type": "leaver"}, "status_id": 1}
    each = [about | {"discovery_details": details}, about | {"discovery_details": details[:1]}]
    return {"data_classifications": each, "name": "a.pdf"}


def events() -> list[Any]:
    found: list[Any] = []
    for name in get_args(RecordName):
        record = example_record(Example(name="one", record=name))
        del record["leaver"]
        found.append(msgspec.convert(record, Event))
        if "file" in record:
            record["file"] |= labelled(resident_id=3, mobile_phone=5)
            record["file"]["hashes"] = [{"algorithm_id": 3, "value": "ab" * 32}]
            found.append(msgspec.convert(record, Event))
        if "email" in record:
            record["email"]["files"] = [
                {"type_id": 1, "ext": "pdf"} | labelled(resident_id=1),
                {"type_id": 1, "name": "b"},
            ]
            found.append(msgspec.convert(record, Event))
    return found


@pytest.mark.parametrize(("top", "below"), [(top, each) for top, every in BELOW.items() for each in every])
def test_typed_and_plain_give_the_same(top: str, below: str) -> None:
    path = f"{top}.{below}"
    read_one = 0
    for event in events():
        if top not in event.__struct_fields__:
            continue
        read = path_reader(field_type(type(event), top), path.split("."))
        if read is None:
            continue
        read_one += 1
        found = read(getattr(event, top))
        assert found == FieldReader([path]).read(msgspec.to_builtins(event, str_keys=True))[1], event
        assert not isinstance(found, msgspec.Struct)
    # What is written otherwise than it is called is left to the plain form.
    assert (read_one > 0) is (path != "email.from")
