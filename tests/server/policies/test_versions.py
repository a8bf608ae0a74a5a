"""Every change of a rule is a version with its author, time and reason; any of them can be gone back to."""

from __future__ import annotations

import pytest

from policies.errors import PolicyErrors
from server import audit
from server.policies.listing import policy_listing
from server.policies.running import PolicyLoader
from server.policies.versions import (
    PolicyVersion,
    Unchanged,
    UnknownPolicy,
    current_versions,
    roll_back,
    save,
    set_version,
    switch,
    versions_of_rule,
)
from server.store.database import Database
from tests.server.policies.rule_texts import BUILD_SERVER, COPIED, EXCEPTION, MANY, MANY_COPIED, RULE

NOW = 1_795_305_600_000
HIGH = COPIED.replace("level: medium", "level: high")


def saved(database: Database, text: str, *, at: int = NOW, reason: str = "because") -> PolicyVersion:
    with database.begin() as connection:
        return save(connection, text, file="a.yml", actor="cli:lin", reason=reason, now=at)


def running(database: Database) -> list[tuple[str, str, int]]:
    with database.read() as connection:
        found = PolicyLoader().load(connection, set_version(connection))
    return [(each.rule_id, each.level, each.version) for each in found.policies.policies]


def test_a_saved_rule_runs_and_says_who_saved_it_when_and_why(database: Database) -> None:
    version = saved(database, COPIED)
    assert (version.number, version.saved_by, version.saved_at, version.reason) == (
        1,
        "cli:lin",
        NOW,
        "because",
    )
    assert running(database) == [(RULE, "medium", 1)]
    with database.read() as connection:
        (entry,) = audit.newest(connection, limit=10)
        assert audit.verify(connection) is None
    assert (entry.action, entry.object, entry.reason) == ("policy.save", RULE, "because")
    assert entry.detail == {"kind": "rule", "version": 1, "hash": version.hash}


def test_a_change_takes_the_place_of_the_version_before_and_the_set_has_another_version(
    database: Database,
) -> None:
    saved(database, COPIED)
    with database.read() as connection:
        before = set_version(connection)
    saved(database, HIGH, at=NOW + 1, reason="it matters")
    assert running(database) == [(RULE, "high", 2)]
    with database.read() as connection:
        assert set_version(connection) > before
        kept = versions_of_rule(connection, RULE)
    assert [(each.number, each.text, each.reason) for each in kept] == [
        (2, HIGH, "it matters"),
        (1, COPIED, "because"),
    ]


def test_the_same_again_is_no_version(database: Database) -> None:
    saved(database, COPIED)
    with pytest.raises(Unchanged, match="version 1 already"):
        saved(database, COPIED)


def test_going_back_is_a_version_that_says_what_the_earlier_one_said(database: Database) -> None:
    saved(database, COPIED)
    saved(database, HIGH)
    with database.begin() as connection:
        back = roll_back(connection, RULE, 1, actor="cli:lin", reason="too loud", now=NOW + 2)
    assert (back.number, back.text) == (3, COPIED)
    assert running(database) == [(RULE, "medium", 3)]
    with database.begin() as connection, pytest.raises(Unchanged):
        roll_back(connection, RULE, 1, actor="cli:lin", reason="again", now=NOW)
    with database.begin() as connection, pytest.raises(UnknownPolicy, match="there are 3, 2, 1"):
        roll_back(connection, RULE, 7, actor="cli:lin", reason="again", now=NOW)


def test_what_is_out_of_use_does_not_run_until_it_is_used_again(database: Database) -> None:
    saved(database, COPIED)
    with database.begin() as connection:
        switch(connection, RULE, enabled=False, actor="cli:lin", reason="holidays", now=NOW)
    assert running(database) == []
    with database.begin() as connection, pytest.raises(Unchanged, match="out of use already"):
        switch(connection, RULE, enabled=False, actor="cli:lin", reason="holidays", now=NOW)
    with database.begin() as connection:
        switch(connection, RULE, enabled=True, actor="cli:lin", reason="back", now=NOW)
    assert running(database) == [(RULE, "medium", 3)]


def test_a_bad_rule_is_refused_with_all_its_faults_and_changes_nothing(database: Database) -> None:
    saved(database, COPIED)
    bad = HIGH.replace("file.ext: xlsx", "file.extt: xlsx").replace("family:", "famly:")
    with pytest.raises(PolicyErrors) as caught:
        saved(database, bad)
    assert [(error.file, error.line) for error in caught.value.errors] == [("a.yml", 11), ("a.yml", 14)]
    assert "file.ext" in caught.value.errors[0].message
    assert running(database) == [(RULE, "medium", 1)]


def test_an_exception_must_name_a_rule_that_is_there(database: Database) -> None:
    with pytest.raises(PolicyErrors, match=f"a.yml:6: no good rule has the id {RULE}"):
        saved(database, BUILD_SERVER)
    saved(database, COPIED)
    version = saved(database, BUILD_SERVER)
    assert (version.kind, version.title) == ("exception", "The build server keeps its own copies")
    with database.read() as connection:
        found = PolicyLoader().load(connection, set_version(connection))
        assert set(current_versions(connection)) == {RULE, EXCEPTION}
    assert [each.version for each in found.exceptions.exceptions] == [1]


def test_a_rule_that_this_leaver_cannot_run_is_left_out_and_the_others_run(database: Database) -> None:
    saved(database, COPIED)
    other = COPIED.replace("0f4d1c0e", "1f4d1c0e")
    saved(database, other)
    with database.begin() as connection:
        # As a later version of Leaver may have saved it.
        connection.exec_driver_sql(
            f"UPDATE policy_versions SET text = 'title: newer' WHERE rule_id = '{RULE}'"
        )
    assert [rule_id for rule_id, _, _ in running(database)] == [RULE.replace("0f4d1c0e", "1f4d1c0e")]


def test_an_exception_of_a_rule_that_is_out_of_use_stays_good(database: Database) -> None:
    saved(database, COPIED)
    saved(database, BUILD_SERVER)
    with database.begin() as connection:
        switch(connection, RULE, enabled=False, actor="cli:lin", reason="holidays", now=NOW)
    with database.read() as connection:
        found = PolicyLoader().load(connection, set_version(connection))
        listed = policy_listing(connection, now=NOW)
    assert [each.exception_id for each in found.exceptions.exceptions] == [EXCEPTION]
    assert (listed.faults, [row.state for row in listed.exceptions]) == ((), ["on"])


def test_an_exception_from_a_correlation_is_one_from_the_rules_that_it_counts(database: Database) -> None:
    saved(database, COPIED.replace("id: 0f4d1c0e", "name: copied\nid: 0f4d1c0e"))
    saved(database, MANY_COPIED)
    with pytest.raises(PolicyErrors, match=f"{MANY} is a correlation: name the rules that it counts"):
        saved(database, BUILD_SERVER.replace(RULE, MANY))


def test_a_rule_that_a_correlation_counts_is_not_taken_out_of_use_before_it(database: Database) -> None:
    saved(database, COPIED.replace("id: 0f4d1c0e", "name: copied\nid: 0f4d1c0e"))
    saved(database, MANY_COPIED)
    with database.begin() as connection, pytest.raises(PolicyErrors, match="take this out of use first"):
        switch(connection, RULE, enabled=False, actor="cli:lin", reason="loud", now=NOW)
    assert {rule_id for rule_id, _, _ in running(database)} == {RULE, MANY}
    for rule_id in (MANY, RULE):
        with database.begin() as connection:
            switch(connection, rule_id, enabled=False, actor="cli:lin", reason="loud", now=NOW)
    assert running(database) == []


def test_a_rule_is_not_saved_so_that_what_others_name_goes(database: Database) -> None:
    named = COPIED.replace("id: 0f4d1c0e", "name: copied\nid: 0f4d1c0e")
    saved(database, named)
    saved(database, MANY_COPIED)
    with pytest.raises(PolicyErrors, match="copied"):
        saved(database, COPIED)
    assert [rule_id for rule_id, _, _ in running(database)] == [RULE, MANY]
