"""Our events against the official OCSF 1.8.0 schema of their classes."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import orjson
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema  # type: ignore[import-untyped]

from event_schema.codec import encode_event
from event_schema.ocsf_events import Event
from tests.event_schema.sample_events import sample_events


@pytest.fixture(scope="module")
def validators() -> dict[int, Any]:
    official = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0"))
    made = {}
    for class_uid, name in ((1001, "file_activity"), (1010, "peripheral_activity")):
        schema = official.get_class_schema(name, profiles=["host", "linux/linux_users"])
        made[class_uid] = jsonschema_rs.validator_for(schema)
    return made


@pytest.mark.parametrize("event", sample_events(), ids=lambda e: str(e.type_uid))
def test_every_event_is_valid_ocsf(event: Event, validators: dict[int, Any]) -> None:
    plain = orjson.loads(encode_event(event))
    errors = [str(error) for error in validators[plain["class_uid"]].iter_errors(plain)]
    assert errors == []


@pytest.mark.parametrize(
    ("field", "value"), [("type_uid", None), ("severity_id", 7), ("colour", "red"), ("file", {"name": "x"})]
)
def test_the_official_schema_refuses_what_is_not_ocsf(
    field: str, value: object, validators: dict[int, Any]
) -> None:
    plain = orjson.loads(encode_event(sample_events()[0]))
    plain[field] = value
    if value is None:
        del plain[field]
    assert not validators[1001].is_valid(plain)
