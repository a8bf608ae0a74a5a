"""Nothing is published that was not tried: this text, against what holds; or somebody says why."""

from __future__ import annotations

import pytest

from policies.errors import PolicyErrors
from server import audit
from server.dry_runs.gate import (
    BaseMoved,
    DryRunMissing,
    Publishing,
    publish_earlier,
    publish_switch,
    publish_text,
)
from server.dry_runs.stored_runs import KEPT_DAYS, Status, add_run, end_run
from server.policies.versions import PolicyVersion, Unchanged, UnknownPolicy, current_versions, save
from server.store.database import Database
from tests.server.conftest import NOW
from tests.server.policies.rule_texts import COPIED, EXCEPTION, RULE

HIGH = COPIED.replace("level: medium", "level: high")
LOW = COPIED.replace("level: medium", "level: low")
ANYTHING = Publishing(RULE, 1, "too loud")


@pytest.fixture
def saved(database: Database) -> Database:
    with database.begin() as connection:
        save(connection, COPIED, file="a.yml", actor="cli:lin", reason="first", now=NOW)
    return database


def tried(
    database: Database,
    text: str,
    *,
    base: int = 1,
    enabled: bool = True,
    at: int = NOW,
    status: Status = "done",
    rule_id: str = RULE,
) -> None:
    with database.begin() as connection:
        number = add_run(
            connection,
            rule_id=rule_id,
            base=base,
            text=text,
            enabled=enabled,
            days=30,
            actor="user:lin",
            now=at,
        )
        end_run(connection, number, status, now=at)


def published(database: Database, text: str, wanted: Publishing = ANYTHING) -> PolicyVersion:
    with database.begin() as connection:
        return publish_text(connection, wanted, text, actor="user:lin", now=NOW)


def test_the_text_that_was_tried_is_published(saved: Database) -> None:
    tried(saved, HIGH)
    version = published(saved, HIGH)
    assert (version.number, version.text, version.saved_by, version.reason) == (
        2,
        HIGH,
        "user:lin",
        "too loud",
    )


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "run",
    [
        {"text": LOW},
        {"text": HIGH + "\n"},
        {"text": HIGH, "base": 2},
        {"text": HIGH, "base": 0},
        {"text": HIGH, "enabled": False},
        {"text": HIGH, "status": "failed"},
        {"text": HIGH, "status": "cancelled"},
        {"text": HIGH, "rule_id": EXCEPTION},
        {"text": HIGH, "at": NOW - KEPT_DAYS * 86_400_000 - 1},
    ],
)
def test_a_dry_run_of_anything_else_allows_nothing(saved: Database, run: dict[str, object]) -> None:
    tried(saved, **run)  # type: ignore[arg-type]
    with pytest.raises(DryRunMissing):
        published(saved, HIGH)
    with saved.read() as connection:
        assert current_versions(connection)[RULE].text == COPIED


@pytest.mark.databases("sqlite")
def test_a_dry_run_against_an_earlier_version_allows_nothing(saved: Database) -> None:
    """It was compared with what held then."""
    tried(saved, HIGH)
    tried(saved, LOW)
    published(saved, LOW)
    with pytest.raises(DryRunMissing):
        published(saved, HIGH, Publishing(RULE, 2, "again"))


def test_of_two_who_edit_one_version_the_second_is_told(saved: Database) -> None:
    tried(saved, HIGH)
    tried(saved, LOW)
    published(saved, LOW)
    with pytest.raises(BaseMoved, match="version 2 holds by now") as caught:
        published(saved, HIGH)
    assert caught.value.holds is not None and caught.value.holds.saved_by == "user:lin"


def test_without_a_dry_run_only_with_a_reason_that_is_on_the_record(saved: Database) -> None:
    wanted = Publishing(RULE, 1, "the history is empty", unproven=True)
    assert published(saved, HIGH, wanted).number == 2
    with saved.read() as connection:
        entries = audit.newest(connection, limit=2)
        assert audit.verify(connection) is None
    assert [(each.action, each.reason) for each in entries] == [
        ("policy.save", "the history is empty"),
        ("policy.without_dry_run", "the history is empty"),
    ]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001, "a\x00b", "\ud800"])
def test_a_reason_is_needed_and_can_be_kept(saved: Database, reason: str) -> None:
    tried(saved, HIGH)
    with pytest.raises(ValueError, match="reason"):
        published(saved, HIGH, Publishing(RULE, 1, reason))


@pytest.mark.databases("sqlite")
def test_what_does_not_parse_leaves_the_old_version_in_use(saved: Database) -> None:
    bad = HIGH.replace("  condition: copy", "  condition: [")
    tried(saved, bad)
    with pytest.raises(PolicyErrors):
        published(saved, bad)
    other = HIGH.replace(RULE, EXCEPTION)
    tried(saved, other)
    with pytest.raises(PolicyErrors, match="it stays"):
        published(saved, other)
    with pytest.raises(PolicyErrors, match="cannot keep"):
        published(saved, HIGH.replace("For tests.", "a\x00b"))
    with saved.read() as connection:
        assert current_versions(connection)[RULE].text == COPIED


def test_switching_is_publishing(saved: Database) -> None:
    def switched(wanted: Publishing, *, enabled: bool) -> PolicyVersion:
        with saved.begin() as connection:
            return publish_switch(connection, wanted, enabled=enabled, actor="user:lin", now=NOW)

    tried(saved, COPIED)
    with pytest.raises(DryRunMissing):
        switched(ANYTHING, enabled=False)
    tried(saved, COPIED, enabled=False)
    assert not switched(ANYTHING, enabled=False).enabled
    with pytest.raises(BaseMoved):
        switched(ANYTHING, enabled=True)
    with pytest.raises(DryRunMissing):
        switched(Publishing(RULE, 2, "back"), enabled=True)
    tried(saved, COPIED, base=2)
    assert switched(Publishing(RULE, 2, "back"), enabled=True).number == 3
    with pytest.raises(Unchanged):
        switched(Publishing(RULE, 3, "back"), enabled=True)


def test_going_back_is_publishing(saved: Database) -> None:
    tried(saved, HIGH)
    published(saved, HIGH)

    def back(number: int, *, unproven: bool = False) -> PolicyVersion:
        with saved.begin() as connection:
            wanted = Publishing(RULE, 2, "too loud", unproven)
            return publish_earlier(connection, wanted, number, actor="user:lin", now=NOW)

    with pytest.raises(DryRunMissing):
        back(1)
    with pytest.raises(UnknownPolicy):
        back(7)
    tried(saved, COPIED, base=2)
    version = back(1)
    assert (version.number, version.text) == (3, COPIED)


def test_a_new_rule_is_made_from_nothing(database: Database) -> None:
    tried(database, COPIED, base=0)
    version = published(database, COPIED, Publishing(RULE, 0, "new"))
    assert (version.number, version.origin) == (1, "saved")
