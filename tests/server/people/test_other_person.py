"""An id that is known does not become somebody else's unnoticed; who marries stays who they are."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.people.facts_store import load_facts
from server.people.import_report import ImportReport
from server.people.other_person import MESSAGE, same_name
from server.store.database import Database
from server.store.tables import audit
from tests.server.people.hr_files import HEADER, counts, owners_of, take, why

KNOWN = f"""{HEADER}1,Wei Chen,wei.chen,sales,2,UTC,,
2,Na Sun,na.sun CORP\\na.sun,sales,,UTC,,
3,,desk,,,UTC,,
"""


def _names(database: Database) -> dict[str, str | None]:
    with database.read() as connection:
        return {person.id: person.name for person in load_facts(connection).values()}


def _taken(database: Database, rows: str, **options: bool) -> ImportReport:
    return take(database, HEADER + rows, at=2000, **options)


def test_another_name_without_any_account_of_the_known_one_stops_the_file(database: Database) -> None:
    take(database, KNOWN)
    report = _taken(database, "1,Anna Weber,anna,sales,,UTC,,\n4,Mo,mo,,,UTC,,\n", skip_bad_rows=False)
    assert not report.applied
    assert (report.others, report.answer) == (1, "same_people=true")
    assert report.stopped is not None
    assert "1 of its ids are known by other names and other accounts" in report.stopped
    assert why(report) == [(2, "name", MESSAGE)]
    assert "Chen" not in str(report)
    assert (_names(database)["1"], owners_of(database)["wei.chen"]) == ("Wei Chen", "1")


def test_it_is_left_out_where_bad_rows_are_and_the_rest_is_in(database: Database) -> None:
    take(database, KNOWN)
    report = _taken(database, "1,Anna Weber,anna,sales,,UTC,,\n4,Mo,mo,,1,UTC,,\n")
    assert report.applied
    assert (counts(report), report.others) == ((1, 0, 0, 1), 1)
    assert _names(database) == {"1": "Wei Chen", "2": "Na Sun", "3": None, "4": "Mo"}


def test_who_says_that_they_are_the_same_is_believed_and_on_the_record(database: Database) -> None:
    take(database, KNOWN)
    report = _taken(database, "1,Anna Weber,anna,sales,,UTC,,\n", skip_bad_rows=False, same_people=True)
    assert report.applied
    assert (counts(report), report.others) == ((0, 1, 0, 0), 1)
    assert _names(database)["1"] == "Anna Weber"
    with database.read() as connection:
        detail = connection.execute(select(audit.c.detail).order_by(audit.c.seq)).scalars().all()[-1]
    assert detail["same_people"] == 1
    # Tonight's file says the same, and nobody has to say it again.
    again = _taken(database, "1,Anna Weber,anna,sales,,UTC,,\n", skip_bad_rows=False)
    assert (counts(again), again.others) == ((0, 0, 1, 0), 0)


@pytest.mark.parametrize(
    "row",
    [
        "1,Wei Zhao,wei.chen wei.zhao,sales,,UTC,,",
        "1,Wei Zhao,CORP\\wei.chen,sales,,UTC,,",
        "2,Na Chen,na.sun@corp.example,sales,,UTC,,",
        '1,"CHEN, Wei",weichen,sales,,UTC,,',
        "1,Dr. Wei Chen,weichen,sales,,UTC,,",
        "1,,anna,sales,,UTC,,",
        "3,Anna Weber,anna,,,UTC,,",
    ],
)
def test_a_rename_a_spelling_and_a_name_that_was_missing_are_no_question(
    database: Database, row: str
) -> None:
    take(database, KNOWN)
    report = _taken(database, row + "\n", skip_bad_rows=False)
    assert report.applied, report.problems
    assert (counts(report), report.others) == ((0, 1, 0, 0), 0)


def test_ids_that_slipped_are_all_held(database: Database) -> None:
    take(database, KNOWN)
    report = _taken(database, "1,Na Sun,na.sun,sales,,UTC,,\n2,Wei Chen,wei.chen,sales,,UTC,,\n")
    assert (report.others, report.changed) == (2, 0)
    assert owners_of(database)["na.sun"] == "2"


def test_an_account_of_before_is_an_account_of_theirs(database: Database) -> None:
    take(database, KNOWN)
    take(database, HEADER + "1,Wei Chen,w.chen,sales,2,UTC,,\n", at=1500)
    assert _taken(database, "1,Wei Zhao,wei.chen,sales,2,UTC,,\n", skip_bad_rows=False).applied


def test_each_employments_row_is_held(database: Database) -> None:
    take(database, KNOWN)
    report = take(
        database,
        "id,name,accounts,employment\n1,Anna Weber,anna,K1\n1,Anna Weber,,K2\n2,Na Sun,na.sun,K3\n",
        at=2000,
    )
    assert [line for line, _, _ in why(report)] == [2, 3]
    assert (report.others, report.refused) == (1, 2)


def test_a_file_without_ids_is_matched_by_account_and_so_no_question(database: Database) -> None:
    take(database, KNOWN)
    report = take(database, "account,name\nwei.chen,Wei Zhao\n", at=2000, skip_bad_rows=False)
    assert (report.applied, report.others) == (True, 0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Anna Weber", "weber anna", True),
        ("Ann\u00e1 Weber", "ANNA WEBER", True),
        ("Anna Weber", "Anna Maria Weber", True),
        ("Anna Weber", "Anna Schmidt", False),
        ("王小明", "王 小明", True),
        ("王小明", "王明", False),
        ("王小明", "Wang Xiaoming", False),
        ("Anna Weber", "!", False),
        ("李伟", "Li Wei 李伟", True),
        ("Li Wei", "李伟 (Li Wei)", True),
        ("李伟 Li Wei", "王伟 Wang Wei", False),
        ("Jürgen Müller", "Juergen Mueller", True),
        ("Jurgen Muller", "Müller, Jürgen", True),
        ("Anne-Marie Weiß", "Anne Marie Weiss", True),
        ("Jürgen Müller", "Jürgen Möller", False),
    ],
)
def test_spellings_of_one_name_are_told_from_other_names(one: str, other: str, same: bool) -> None:
    assert same_name(one, other) is same_name(other, one) is same
