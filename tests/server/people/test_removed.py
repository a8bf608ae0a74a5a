"""Whoever an undone import takes away stays hidden in what was typed, until retention's end."""

from __future__ import annotations

import threading

from sqlalchemy import func, select

from server.erasure.undone_imports import undo_import
from server.housekeeping import drop_old
from server.people.facts import Holding, PersonFacts
from server.people.facts_store import load_facts, write_facts
from server.people.hr_import import import_people
from server.people.pseudonyms import former_names
from server.people.text_mask import TextMasks, text_mask
from server.store.database import Database
from server.store.tables import removed_people
from tests.server.conftest import NOW

DAY = 86_400_000
FIRST = "id,name,accounts,devices\nE1007,Anna Weber,aweber,lap-9\nE2,Otto Kern,okern,\n"
SECOND = "id,name,accounts\nE1007,Anna Schmidt,aweber aschmidt\n"
TEXT = "Anna Weber, now Schmidt (E1007, aweber, aschmidt) asked Otto at lap-9, case 7"
HIDDEN = "[name], now [name] ([name], [name], [name]) asked [name] at [name], case 7"


def _import(database: Database, *files: str) -> None:
    for file in files:
        with database.begin() as connection:
            assert import_people(connection, file.encode(), actor="cli:hr", at=NOW).stopped is None


def _undo(database: Database, *numbers: int) -> None:
    for number in numbers:
        with database.begin() as connection:
            undo_import(connection, number, actor="cli:hr", at=NOW)


def _kept(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(removed_people)).scalar_one())


def test_names_accounts_and_machines_of_before_too_stay_hidden(database: Database) -> None:
    _import(database, FIRST, SECOND)
    assert text_mask(database).text(TEXT) == HIDDEN
    _undo(database, 2)
    assert _kept(database) == 0
    _undo(database, 1)
    with database.read() as connection:
        assert load_facts(connection) == {}
        # What stands in evidence about them is hidden by the names too.
        assert former_names(connection, ["E1007", "E3"]) == {"E1007": ("Anna Schmidt", "Anna Weber")}
    assert text_mask(database).text(TEXT) == HIDDEN
    # In a process that starts then, too.
    mask = TextMasks(database).current()
    assert mask.text(TEXT) == HIDDEN
    assert mask.text(TEXT, {"person:E1007"}) == TEXT.replace("Otto", "[name]")


def test_they_stay_hidden_when_they_come_again_under_another_name_and_go_again(database: Database) -> None:
    _import(database, FIRST)
    _undo(database, 1)
    _import(database, "id,name\nE1007,Zoe Quist\n")
    assert TextMasks(database).current().text("Weber, Quist") == "[name], [name]"
    _undo(database, 2)
    assert text_mask(database).text("Weber, Quist") == "[name], [name]"


def test_whoever_goes_in_another_way_is_kept_too_until_alerts_go(database: Database) -> None:
    facts = PersonFacts("E1007", "UTC", "Anna Weber", accounts=(Holding("aweber"),))
    for change in ((None, facts), (facts, None)):
        with database.begin() as connection:
            write_facts(connection, [change], at=NOW, actor="cli:test", way="scim")
    assert text_mask(database).text("Weber, aweber") == "[name], [name]"

    def drop(now: int) -> int:
        stop = threading.Event()
        dropped = drop_old(database, now=now, events_days=90, alerts_days=730, uses_days=730, stop=stop)
        return dropped["removed_people"]

    assert drop(NOW + 730 * DAY) == 0
    assert drop(NOW + 730 * DAY + 1) == 1
    assert _kept(database) == 0
    assert TextMasks(database).current().text("Weber") == "Weber"
