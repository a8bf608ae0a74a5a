"""Our events against the official OCSF 1.8.0 schema of their classes."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import orjson
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema  # type: ignore[import-untyped]

from event_schema.codec import encode_event
from event_schema.ocsf_events import EVENT_CLASSES, Event
from tests.event_schema.sample_events import sample_events

PROFILES = ["host", "linux/linux_users", "data_classification"]
OFFICIAL_NAMES = {
    1001: "file_activity",
    1007: "process_activity",
    1010: "peripheral_activity",
    3002: "authentication",
    4009: "email_activity",
    6003: "api_activity",
    6005: "datastore_activity",
    6006: "file_hosting",
}


@pytest.fixture(scope="module")
def validators() -> dict[int, Any]:
    official = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0"))
    made = {}
    for event_class in EVENT_CLASSES:
        class_uid = event_class.__struct_config__.tag
        assert isinstance(class_uid, int)
        schema = official.get_class_schema(OFFICIAL_NAMES[class_uid], profiles=PROFILES)
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
