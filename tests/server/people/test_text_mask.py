"""Nobody's name is left in what people typed, however it is written, and the rest of it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from server.people.facts import Holding, PersonFacts
from server.people.facts_store import load_facts, write_facts
from server.people.prose_words import Hidden
from server.people.pseudonyms import give_pseudonyms
from server.people.text_mask import TextMask, masked_prose, text_mask
from server.store.database import Database
from server.store.tables import agents, erasures, people, pseudonyms
from tests.server.conftest import NOW

ANNA = "person:E1007"


def _mask() -> TextMask:
    hidden = Hidden()
    hidden.add_name(ANNA, "Anna Weber")
    hidden.add_name("person:E2", "王小明")
    hidden.add_name("person:E3", "Jörg-Peter Müller")
    hidden.add_name("person:E4", "Will May")
    hidden.add_name("person:E5", "Li Na")
    hidden.add_name("person:E6", "Otto Weber")
    for whose, value in ((ANNA, "E1007"), (ANNA, "aweber7"), ("", "laptop-7"), ("", "admin"), ("", "42")):
        hidden.add_id(whose, value)
    return TextMask(hidden, lambda shown: shown & {"P-7F3K2", "P-WEBER"})


_WRITTEN = [
    *("Anna Weber", "WEBER, Anna", "anna_weber", "annaweber", "AnnaWeber", "weber.anna", "Anna"),
    *("Ａｎｎａ Ｗｅｂｅｒ", "A\u200bnna", "Ann\u00e1", "Anna\u202e Weber", "A\u0301nna", "Weber-Anna"),
    *("王小明", "王 小明", "小明", "小明王", "王·小明", "JörgPeter Müller", "JÖRG-PETER MUELLER"),
    *("Jörg", "Joerg", "Jorg", "Mueller", "müller", "jo\u0308rg", "Laptop-7", "e-1007", "aweber7"),
    *("Will May", "May", "will may", "li na", "Na, Li", "LINA", "E1007", "e1007"),
]


@pytest.mark.parametrize("text", _WRITTEN)
def test_however_a_name_is_written_it_is_hidden(text: str) -> None:
    assert _mask().text(text) == "[name]"
    assert _mask().text(f"asked 经理 ({text}) about it") == "asked 经理 ([name]) about it"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("anna2024", "[name]2024"),
        ("NotesOfAnna", "NotesOf[name]"),
        ("和王小明谈过", "和[name]谈过"),
        ("to somebody@mail.example", "to [name]@mail.example"),
        ("in /home/somebody/x", "in /home/[name]/x"),
        (r"in C:\Users\somebody\x", r"in C:\Users\[name]\x"),
    ],
)
def test_a_name_within_other_words_is_hidden(text: str, shown: str) -> None:
    assert _mask().text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "planning annals: nothing unusual, will ask in may",
        "42 files, the admin of the mail server said so",
        "P-7F3K2 and P-WEBER again",
        "已确认，属于正常工作",
        "xaweber7x E10071",
        "",
    ],
)
def test_what_names_nobody_stays(text: str) -> None:
    assert _mask().text(text) == text


def test_a_name_that_may_be_seen_is_left_and_what_tells_of_others_too_is_not() -> None:
    mask = _mask()
    assert mask.text("Anna Weber (aweber7), not Otto Weber", {ANNA}) == "Anna Weber (aweber7), not [name]"
    assert mask.text("Weber said so", {ANNA}) == "[name] said so"
    assert mask.text("Weber said so", {ANNA, "person:E6"}) == "Weber said so"


@given(st.text(max_size=200))
def test_any_text_is_masked_without_an_error_and_nothing_is_lost_where_nobody_is_named(text: str) -> None:
    plain = text.replace("@", "").replace("/", "").replace("\\", "")
    assert TextMask(Hidden(), set).text(plain) == plain
    _mask().text(text)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_name_between_any_other_words_is_hidden(before: str, after: str) -> None:
    assert "Anna Weber" not in _mask().text(f"{before} Anna Weber {after}")


def _write(database: Database, before: PersonFacts | None, after: PersonFacts | None, at: int = NOW) -> None:
    with database.begin() as connection:
        write_facts(connection, [(before, after)], at=at, actor="cli:test", way="import")


def _facts(name: str, *accounts: str) -> PersonFacts:
    return PersonFacts("E1007", "UTC", name, accounts=tuple(Holding(each) for each in accounts))


def test_an_id_an_account_and_a_machine_that_look_like_pseudonyms_are_hidden() -> None:
    hidden = Hidden()
    hidden.add_id("person:P-10234", "P-10234")
    hidden.add_account("person:P-10234", "A-ZHANG")
    hidden.add_name("person:P-10234", "Anna Zhang")
    hidden.add_id("", "D-ZHANG77")
    mask = TextMask(hidden, {"P-ANNA7", "P-10234"}.intersection)
    assert mask.text("P-10234, A-ZHANG on D-ZHANG77") == "[name], [name] on [name]"
    # Those somebody has, and labels that are computed, are no names whatever their letters.
    assert mask.text("P-ANNA7 on H-4ZHANG") == "P-ANNA7 on H-4ZHANG"
    assert mask.text("P-ZHANG77 and D-ANNAZHANG") == "P-[name]77 and D-[name]"


def test_a_machine_and_an_account_that_come_for_others_are_hidden(database: Database) -> None:
    row = {"created_at": NOW, "clock_offset": 0}
    with database.begin() as connection:
        give_pseudonyms(connection, ["account:bob"])
        connection.execute(insert(agents), [{"name": "lap-9", **row}])
    assert text_mask(database).text("bob, eve: lap-9, lap-10") == "[name], eve: [name], lap-10"
    with database.begin() as connection:
        connection.execute(delete(agents))
        connection.execute(delete(pseudonyms))
        give_pseudonyms(connection, ["account:eve"])
        connection.execute(insert(agents), [{"name": "lap-10", **row, "created_at": NOW + 1}])
        connection.execute(
            insert(erasures),
            [{"kind": "account", "begun_at": NOW, "finished_at": NOW + 1, "next_block": 0, "removed": {}}],
        )
    assert text_mask(database).text("eve: lap-10") == "[name]: [name]"


class _Console:
    def __init__(self, database: Database) -> None:
        self.database = database


def test_everybody_known_is_hidden_also_by_what_they_were_called_before(database: Database) -> None:
    console = _Console(database)
    text = "Anna Weber (aweber, now Schmidt, aschmidt) met bob at lap-9, case 7"
    assert masked_prose(console, [text]) == [text]
    _write(database, None, _facts("Anna Weber", "aweber"))
    expected = "[name] ([name], now Schmidt, aschmidt) met bob at lap-9, case 7"
    assert masked_prose(console, [text, ""]) == [expected, ""]
    with database.read() as connection:
        known = load_facts(connection)["E1007"]
    _write(database, known, _facts("Anna Schmidt", "aschmidt"), NOW + 1)
    expected = "[name] ([name], now [name], [name]) met bob at lap-9, case 7"
    assert masked_prose(console, [text]) == [expected]
    with database.begin() as connection:
        give_pseudonyms(connection, ["account:bob@lap-3"])
        connection.execute(insert(agents), [{"name": "lap-9", "created_at": NOW, "clock_offset": 0}])
    assert masked_prose(console, [text]) == [
        "[name] ([name], now [name], [name]) met [name] at [name], case 7"
    ]
    assert masked_prose(console, ["aschmidt"], {ANNA}) == ["aschmidt"]


def test_a_new_process_knows_what_people_were_called_before(database: Database) -> None:
    _write(database, None, _facts("Anna Weber", "aweber"))
    with database.read() as connection:
        known = load_facts(connection)["E1007"]
    _write(database, known, _facts("Berta Schmidt", "bschmidt"), NOW + 1)
    assert text_mask(database).text("Weber, aweber and bschmidt") == "[name], [name] and [name]"


def test_a_person_who_is_gone_takes_the_name_along(database: Database) -> None:
    _write(database, None, _facts("Anna Weber"))
    assert text_mask(database).text("Anna") == "[name]"
    with database.begin() as connection:
        connection.execute(delete(people))
    assert text_mask(database).text("Anna") == "[name]"


@pytest.mark.databases("sqlite")
def test_what_hundreds_bring_is_added_and_nobody_is_read_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(database, None, _facts("Anna Weber", "aweber"))
    assert text_mask(database).text("Anna and Zoe") == "[name] and Zoe"
    monkeypatch.setattr("server.people.text_mask.Hidden", None)
    many = [(None, PersonFacts(f"N{number}", "UTC", f"Zoe {number}")) for number in range(1200)]
    with database.begin() as connection:
        write_facts(connection, many, at=NOW, actor="cli:test", way="import")
    assert text_mask(database).text("Anna and Zoe, of N1199") == "[name] and [name], of [name]"
