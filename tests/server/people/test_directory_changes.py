"""A directory that is kept follows what changes: by the changed people alone, where that is enough."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from server.people import directory_changes
from server.people.account_facts import AccountWords, declare_account
from server.people.directory import Directory, load_directory
from server.people.directory_changes import newer_directory
from server.people.facts import Holding, LeaverFlag, PersonFacts
from server.people.facts_store import load_facts, write_facts
from server.people.flags import flag_person
from server.store.database import Database
from tests.server.people.directories import answers, day

NOW = 1_795_305_600_000
STAFF = [
    PersonFacts(
        f"E{number}",
        "UTC",
        accounts=(Holding(f"user{number}"),),
        traits=(Holding(f"host:{letter}"),),
    )
    for number, letter in enumerate("abcdef")
]


@pytest.fixture
def kept(database: Database) -> Directory:
    with database.begin() as connection:
        write_facts(connection, [(None, each) for each in STAFF], at=NOW, actor="x", way="import")
    with database.read() as connection:
        return load_directory(connection)


def _moves(connection: Connection) -> None:
    """An account and a machine go from one to another; somebody is new."""
    old = load_facts(connection, ["E0", "E1"])
    gives = PersonFacts("E0", "UTC", accounts=(Holding("user0", until=NOW),))
    taken = (Holding("user0", since=NOW), *old["E1"].accounts)
    takes = PersonFacts("E1", "Asia/Shanghai", accounts=taken, traits=(Holding("host:a", since=NOW),))
    changes = [(old["E0"], gives), (old["E1"], takes), (None, PersonFacts("E00", "UTC"))]
    write_facts(connection, changes, at=NOW, actor="x", way="scim")


def _user(directory: Directory, at: int) -> str | None:
    found = directory.person_by_account("user0", None, at)
    return None if found is None else found.id


def _loads_nothing_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_connection: Connection) -> Directory:
        raise AssertionError("all of it was loaded")

    monkeypatch.setattr(directory_changes, "load_directory", load)


def test_changes_of_few_people_are_taken_over_alone(
    database: Database, kept: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers(kept)
    with monkeypatch.context() as patched:
        _loads_nothing_whole(patched)
        with database.begin() as connection:
            _moves(connection)
            moved = newer_directory(connection, kept)
            flag_person(connection, "E2", LeaverFlag(day("2026-11-20")), actor="x", at=NOW, reason=None)
            flagged = newer_directory(connection, moved)
            assert newer_directory(connection, flagged) is flagged
    with database.read() as connection:
        loaded = load_directory(connection)
    assert answers(flagged) == answers(loaded)
    assert answers(kept) == before, "an older one stays what it was"
    one = flagged.person("E2")
    assert flagged.status_at(one, NOW + 1) == loaded.status_at(loaded.person("E2"), NOW + 1)
    assert [_user(flagged, at) for at in (NOW - 1, NOW)] == ["E0", "E1"]
    assert [_user(kept, at) for at in (NOW - 1, NOW)] == ["E0", "E0"]


def test_what_the_history_of_people_does_not_tell_is_loaded_whole(
    database: Database, kept: Directory
) -> None:
    with database.begin() as connection:
        _moves(connection)
        words = AccountWords("kefu", kind="shared", knows=("E3",))
        declare_account(connection, words, actor="x", at=NOW, reason=None)
    with database.begin() as connection:
        found = newer_directory(connection, kept)
        assert answers(found) == answers(load_directory(connection))
        assert found.account("kefu", None) is not None
        # Who is gone is in no history.
        write_facts(connection, [(load_facts(connection)["E4"], None)], at=NOW, actor="x", way="undo")
        assert newer_directory(connection, found).person("E4") is None


def test_many_changes_at_once_are_loaded_whole(
    database: Database, kept: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.begin() as connection:
        for number in range(directory_changes.CHANGED_MAX + 1):
            new = PersonFacts(f"N{number}", "UTC")
            write_facts(connection, [(None, new)], at=NOW, actor="x", way="scim")
        assert answers(newer_directory(connection, kept)) == answers(load_directory(connection))
        _loads_nothing_whole(monkeypatch)
        with pytest.raises(AssertionError, match="all of it was loaded"):
            newer_directory(connection, kept)
