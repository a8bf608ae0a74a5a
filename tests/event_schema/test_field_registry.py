"""Every field has a purpose, and the page for the people who are watched is the program's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from event_schema.collected_fields import collected_fields_page
from event_schema.field_registry import field_registry

NEVER = {
    "cmd_line",
    "command_line",
    "arguments",
    "environment_variables",
    "query_string",
    "subject",
    "body",
    "title",
}

FINGERPRINT = "query_info.query_string"
"""OCSF's name for the statement; ours holds it with its literals taken out."""


def test_every_field_says_why_it_is_there() -> None:
    for spec in field_registry().values():
        assert len(spec.purpose) >= 8, spec.path


def test_nothing_that_must_never_be_collected_is_a_field() -> None:
    names = {part for path in field_registry() if path != FINGERPRINT for part in path.split(".")}
    assert not names & NEVER


@pytest.mark.parametrize(
    "path",
    [
        "actor.user.name",
        "actor.user.uid",
        "actor.process.auid",
        "actor.process.file.path",
        "device.hostname",
        "device.uid",
        "file.path",
        "user.name",
        "user.uid",
        "user.credential_uid",
        "email.from",
        "src_endpoint.ip",
        "src_endpoint.hostname",
        "src_endpoint.uid",
        "file_result.path",
        "leaver.person.id",
        "leaver.person.manager",
        "leaver.account.owner_id",
        "leaver.suspect.id",
    ],
)
def test_what_gives_a_name_away_is_marked(path: str) -> None:
    assert field_registry()[path].names_person


def test_the_page_of_collected_fields_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "collected_fields.md"
    assert page.read_text() == collected_fields_page(), "python -m event_schema.collected_fields renews it"
