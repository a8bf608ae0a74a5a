"""The shipped rules and the company's folder become versions; bad files change nothing that runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from policies.rule_file import RuleText, parse_text
from server.policies.publishing import FoundTexts, Published, kept_faults, publish
from server.policies.running import PolicyLoader
from server.policies.state import policy_state
from server.policies.versions import roll_back, save, set_version, switch, versions_of_rule
from server.policies.watched_folder import PolicyFolder
from server.store.database import Database
from server.store.tables import policy_versions
from tests.server.policies.rule_texts import BUILD_SERVER, COPIED, ENDS, RULE

NOW = 1_795_305_600_000
HIGH = COPIED.replace("level: medium", "level: high")
LOW = COPIED.replace("level: medium", "level: low")
OTHER = COPIED.replace("0f4d1c0e", "1f4d1c0e")

pytestmark = pytest.mark.databases("sqlite")


class Places:
    """What is shipped, and what lies in the folder, by file."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.shipped: dict[str, str] = {}
        self.folder: dict[str, str] = {}

    def publish(self) -> Published:
        found = [
            FoundTexts("shipped", "shipped", [parse_text(RuleText(*each)) for each in self.shipped.items()]),
            FoundTexts("folder", "folder", [parse_text(RuleText(*each)) for each in self.folder.items()]),
        ]
        with self.database.begin() as connection:
            return publish(connection, found, now=NOW)

    def runs(self) -> list[tuple[str, str, int]]:
        with self.database.read() as connection:
            found = PolicyLoader().load(connection, set_version(connection))
        return [(each.rule_id, each.level, each.version) for each in found.policies.policies]

    def save(self, text: str) -> None:
        with self.database.begin() as connection:
            save(connection, text, file="mine.yml", actor="cli:lin", reason="x", now=NOW)


@pytest.fixture
def places(database: Database) -> Places:
    return Places(database)


def test_shipped_rules_run_and_nothing_changes_when_nothing_changed(places: Places) -> None:
    places.shipped = {"a.yml": COPIED, "b.yml": OTHER}
    assert places.publish().changed == 2
    assert len(places.runs()) == 2
    assert places.publish().changed == 0
    with places.database.read() as connection:
        assert set_version(connection) == 2


def test_a_changed_file_is_a_new_version_also_when_it_is_changed_back(places: Places) -> None:
    for text, level in ((COPIED, "medium"), (HIGH, "high"), (COPIED, "medium")):
        places.folder = {"a.yml": text}
        assert places.publish().changed == 1
        assert [each[1] for each in places.runs()] == [level]
    assert places.runs()[0][2] == 3


def test_a_bad_file_leaves_what_runs_and_its_neighbours_alone_and_is_told(places: Places) -> None:
    places.folder = {"a.yml": COPIED, "b.yml": OTHER}
    places.publish()
    places.folder = {
        "a.yml": HIGH.replace("file.ext:", "file.extt:"),
        "b.yml": OTHER.replace("medium", "low"),
    }
    published = places.publish()
    assert (published.changed, published.gone) == (1, 0)
    assert [(level, version) for _, level, version in places.runs()] == [("medium", 1), ("low", 2)]
    with places.database.read() as connection:
        (fault,) = kept_faults(connection)
        assert policy_state(connection, now=NOW).faults == (fault,)
    assert (fault.origin, fault.file, fault.line) == ("folder", "a.yml", 11)
    assert "did you mean file.ext" in fault.message
    places.folder["a.yml"] = HIGH
    assert places.publish().faults == ()
    with places.database.read() as connection:
        assert kept_faults(connection) == []


def test_what_was_saved_and_a_newer_version_of_leaver_refuses_is_told(places: Places) -> None:
    places.save(HIGH)
    with places.database.begin() as connection:
        assert policy_state(connection, now=NOW).faults == ()
        # As an older version had taken it.
        odd = HIGH.replace("file.ext:", "file.extt:")
        connection.execute(update(policy_versions).values(text=odd))
    assert places.runs() == []
    with places.database.read() as connection:
        (fault,) = policy_state(connection, now=NOW).faults
    assert (fault.origin, fault.file, fault.line) == ("saved", "mine.yml", 11)
    assert f"{RULE} does not run" in fault.message
    with places.database.begin() as connection:
        switch(connection, RULE, enabled=False, actor="x", reason="x", now=NOW)
    with places.database.read() as connection:
        assert policy_state(connection, now=NOW).faults == ()


def test_a_file_that_is_no_yaml_any_more_does_not_take_its_rule_along(places: Places) -> None:
    places.folder = {"a.yml": COPIED, "b.yml": OTHER}
    places.publish()
    places.folder["a.yml"] = "title: [half wri"
    assert (places.publish().gone, len(places.runs())) == (0, 2)


def test_a_file_that_is_gone_takes_its_rule_along_and_comes_back_with_it(places: Places) -> None:
    places.folder = {"a.yml": COPIED, "b.yml": OTHER}
    places.publish()
    del places.folder["a.yml"]
    assert places.publish().gone == 1
    assert [each[0] for each in places.runs()] == [RULE.replace("0f4d1c0e", "1f4d1c0e")]
    assert places.publish().gone == 0
    places.folder["a.yml"] = COPIED
    places.publish()
    assert len(places.runs()) == 2


def test_a_folder_without_any_rule_left_is_taken_for_one_that_is_not_there(places: Places) -> None:
    places.folder = {"a.yml": COPIED, "b.yml": OTHER}
    places.publish()
    places.folder = {}
    published = places.publish()
    assert (published.gone, len(places.runs())) == (0, 2)
    assert "no rule is left there: 2 go on" in published.faults[0].message


def test_what_somebody_saved_stands_until_the_folder_says_something_new(places: Places) -> None:
    places.folder = {"a.yml": COPIED}
    places.publish()
    places.save(HIGH)
    places.publish()
    assert places.runs() == [(RULE, "high", 2)]
    places.folder = {"a.yml": LOW}
    places.publish()
    assert places.runs() == [(RULE, "low", 3)]


def test_a_shipped_rule_never_stands_over_one_that_the_company_changed(places: Places) -> None:
    places.shipped = {"a.yml": COPIED}
    places.publish()
    places.save(HIGH)
    places.shipped = {"a.yml": LOW}
    places.publish()
    assert places.runs() == [(RULE, "high", 2)]
    with places.database.begin() as connection:
        roll_back(connection, RULE, 1, actor="cli:lin", reason="the shipped one again", now=NOW)
    places.publish()
    assert places.runs() == [(RULE, "low", 4)], "the newest of those that are shipped"


def test_going_back_from_an_upgrade_holds_until_the_next_one(places: Places) -> None:
    for text in (COPIED, HIGH):
        places.shipped = {"a.yml": text}
        places.publish()
    with places.database.begin() as connection:
        roll_back(connection, RULE, 1, actor="cli:lin", reason="loud", now=NOW)
    places.publish()
    assert places.runs() == [(RULE, "medium", 3)]
    places.shipped = {"a.yml": LOW}
    places.publish()
    assert places.runs() == [(RULE, "low", 4)]


def test_the_folder_stands_over_a_shipped_rule_of_the_same_id_and_gives_it_back(places: Places) -> None:
    places.shipped = {"a.yml": COPIED}
    places.folder = {"mine.yml": HIGH, "b.yml": OTHER}
    places.publish()
    assert (RULE, "high", 2) in places.runs()
    del places.folder["mine.yml"]
    places.publish()
    assert (RULE, "medium", 4) in places.runs()
    places.publish()
    places.folder["mine.yml"] = HIGH
    places.publish()
    assert (RULE, "high", 5) in places.runs()


def test_what_is_out_of_use_stays_so_when_its_file_changes(places: Places) -> None:
    places.shipped = {"a.yml": COPIED}
    places.publish()
    with places.database.begin() as connection:
        switch(connection, RULE, enabled=False, actor="cli:lin", reason="x", now=NOW)
    places.shipped = {"a.yml": HIGH}
    places.publish()
    assert places.runs() == []
    with places.database.read() as connection:
        newest = versions_of_rule(connection, RULE)[0]
    assert (newest.number, newest.text, newest.enabled) == (3, HIGH, False)


def test_an_exception_in_the_folder_may_name_a_shipped_rule_and_is_told_when_it_ran_out(
    places: Places,
) -> None:
    places.shipped = {"a.yml": COPIED}
    places.folder = {"x.yml": BUILD_SERVER}
    assert places.publish().faults == ()
    with places.database.read() as connection:
        before, after = (policy_state(connection, now=now) for now in (ENDS - 1, ENDS))
    assert (before.rules, before.exceptions, before.ended) == (1, 1, ())
    assert (after.exceptions, [each.until for each in after.ended]) == (0, [ENDS])


def test_an_exception_stays_good_while_the_file_of_its_rule_is_bad(places: Places) -> None:
    places.folder = {"a.yml": COPIED, "x.yml": BUILD_SERVER}
    places.publish()
    places.folder["a.yml"] = COPIED.replace("level: medium", "level: loud")
    assert [(fault.file, fault.line) for fault in places.publish().faults] == [("a.yml", 13)]


def test_the_folder_is_taken_over_when_it_has_come_to_rest(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.yml").write_text(COPIED)
    watched = PolicyFolder(database, folder, clock=lambda: NOW)
    watched.take()
    (folder / "a.yml").write_text(HIGH)
    assert watched.look() is None, "it may still be growing"
    taken = watched.look()
    assert taken is not None
    assert (taken.changed, taken.faults) == (1, ())
    assert watched.look() is None


def test_a_folder_that_cannot_be_believed_changes_nothing_and_is_told(
    database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.yml").write_text(COPIED)
    watched = PolicyFolder(database, folder, clock=lambda: NOW)
    watched.take()
    folder.chmod(0o777)
    (folder / "a.yml").write_text(HIGH)
    watched.look()
    taken = watched.look()
    assert taken is not None
    assert "everybody may write there" in taken.faults[0].message
    folder.rename(tmp_path / "elsewhere")
    watched.look()
    taken = watched.look()
    assert taken is not None
    assert "No such file" in taken.faults[0].message
    with database.read() as connection:
        found = PolicyLoader().load(connection, set_version(connection))
    assert [each.level for each in found.policies.policies if each.rule_id == RULE] == ["medium"]
