"""Texts of exceptions name nobody to those who may not see names, and stay readable."""

from __future__ import annotations

import pytest
import yaml

from policies.rule_file import SHIPPED_RULES, read_folder
from server.erasure.undone_imports import undo_import
from server.people.directory import Directory
from server.people.hr_import import ImportOptions, prepare_import, take_over
from server.policies.masked_text import known_people, text_mask
from server.store.database import Database
from tests.server.policies.rule_texts import BUILD_SERVER, RULE

NOW = 1_795_305_600_000

pytestmark = pytest.mark.databases("sqlite")

NAMING = BUILD_SERVER.replace(
    "  build_server:\n    device.hostname: build-1\n",
    "  build_server:\n    leaver.person.id: E1002\n    device.hostname: wang-laptop\n"
    "    actor.user.name: mei.w\n",
).replace("Nightly copies, change 4711", "agreed with Wang Mei and mei.w for PC wang-laptop")


def _take_over(database: Database, roster: bytes) -> None:
    with database.read() as connection:
        prepared = prepare_import(connection, roster, at=NOW, options=ImportOptions())
    with database.begin() as connection:
        take_over(connection, prepared, actor="test")


@pytest.fixture
def known(database: Database) -> Database:
    _take_over(database, b"id,name,account\nE1002,Wang Mei,mei.w\nE7,Jo Alder,joe\n")
    return database


def test_nothing_that_names_somebody_is_left_and_the_rest_stays(known: Database) -> None:
    shown = text_mask(known, [NAMING])(NAMING)
    for word in ("E1002", "Wang", "Mei", "mei.w", "wang-laptop"):
        assert word.casefold() not in shown.casefold(), shown
    read = yaml.safe_load(shown)
    assert read["filter"]["rules"] == [RULE]
    assert str(read["leaver"]["until"]) == "2026-12-31"
    assert read["filter"]["build_server"]["leaver.person.id"].startswith("P-")
    assert read["filter"]["build_server"]["device.hostname"].startswith("H-")
    assert (
        read["filter"]["build_server"]["actor.user.name"]
        == (read["filter"]["build_server"]["leaver.person.id"])
    )
    assert shown.count("\n") == NAMING.count("\n")


def test_a_text_that_names_nobody_stays_as_it_is(known: Database) -> None:
    text = BUILD_SERVER.replace("device.hostname: build-1", "unmapped.transfer.application: rsync")
    assert text_mask(known, [text])(text) == text


def test_people_whose_names_are_words_of_rules_make_no_rule_unreadable(database: Database) -> None:
    _take_over(database, b"id,name,account\nE1,Ann Left,may\nE2,Mark Person,hour\nE3,Gone,notice\n")
    texts = [each.text for each in read_folder(SHIPPED_RULES)[0]]
    mask = text_mask(database, texts)
    assert [mask(text) for text in texts] == texts
    own = BUILD_SERVER.replace("Nightly copies", "Agreed with Ann Left").replace(
        "device.hostname: build-1", "actor.user.name: may"
    )
    shown = text_mask(database, [own])(own)
    assert "Ann" not in shown
    assert yaml.safe_load(shown)["filter"]["build_server"]["actor.user.name"].startswith("P-")


def test_ids_and_accounts_that_stand_in_examples_of_rules_are_hidden(database: Database) -> None:
    _take_over(database, b"id,name,account\n1001,Lin Brook,lin\ne-9,Bo Hart,customers\n")
    said = "agreed with lin (1001) and with e-9"
    shown = text_mask(database, [said])(said)
    for word in ("lin", "1001", "e-9"):
        assert word not in shown, shown
    assert shown == "agreed with [name] ([name]) and with [name]"


@pytest.mark.parametrize("typed", ["Wang Mei; E1002; mei.w", "Mei", "mei.w and E7", "joe"])
def test_what_is_typed_never_says_whose_pseudonym_a_name_has(known: Database, typed: str) -> None:
    for text in (
        BUILD_SERVER.replace("Nightly copies, change 4711", typed),
        BUILD_SERVER.replace("device.hostname: build-1", f'leaver.person.department: "{typed}"'),
        NAMING.replace("The build server keeps its own copies", typed),
    ):
        mask = text_mask(known, [text, typed])
        assert "P-" not in mask(typed)
        around = [
            line for line in mask(text).splitlines() if "person.id" not in line and "user.name" not in line
        ]
        assert "P-" not in "\n".join(around)
        assert "[name]" in mask(text)


def test_a_name_that_a_quoted_field_is_compared_with_is_hidden_whatever_the_word(database: Database) -> None:
    _take_over(database, b"id,name,account\nE1,Ann Other,may\n")
    text = BUILD_SERVER.replace("device.hostname: build-1", '"actor.user.name": may')
    shown = text_mask(database, [text])(text)
    assert yaml.safe_load(shown)["filter"]["build_server"]["actor.user.name"].startswith("P-")


def test_a_text_is_held_against_its_own_words_and_not_against_everybody(
    known: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with known.read() as connection:
        people = known_people(connection)
    monkeypatch.setattr(Directory, "people", lambda _: pytest.fail("everybody was asked"))
    shown = text_mask(known, [NAMING], people)(NAMING)
    assert "mei" not in shown.casefold()


def test_whom_an_undone_import_took_away_is_hidden_still(known: Database) -> None:
    with known.begin() as connection:
        undo_import(connection, 1, actor="test", at=NOW)
    shown = text_mask(known, [NAMING])(NAMING)
    for word in ("E1002", "Wang", "Mei", "mei.w"):
        assert word.casefold() not in shown.casefold(), shown
