"""HR's file becomes people: bad rows are named and left out, the others are in."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from server import audit
from server.people.csv_encoding import UnreadableFile
from server.people.dates import read_day
from server.people.directory import PersonRecord, load_directory, people_version
from server.people.facts import Employment, LeaverFlag
from server.people.flags import flag_person
from server.people.hr_import import ImportOptions, import_people
from server.people.import_report import ImportReport
from server.store.database import Database
from server.store.tables import audit as audit_table
from server.store.tables import people_imports, person_names

HEADER = "id,name,accounts,department,manager,time zone,notice date,last working day\n"


def _import(
    database: Database,
    text: str | bytes,
    *,
    at: int = 1000,
    skip_bad_rows: bool = True,
    dry_run: bool = False,
    **options: Any,
) -> ImportReport:
    data = text.encode() if isinstance(text, str) else text
    chosen = ImportOptions(skip_bad_rows=skip_bad_rows, dry_run=dry_run, **options)
    with database.read() if dry_run else database.begin() as connection:
        return import_people(connection, data, actor="cli:hr", at=at, options=chosen)


def _people(database: Database) -> dict[str, PersonRecord]:
    with database.read() as connection:
        return {person.id: person for person in load_directory(connection).people()}


def _owners(database: Database, at: int = 1000) -> dict[str, str]:
    with database.read() as connection:
        directory = load_directory(connection)
        owners = {record.name: directory.owner(record, at) for record in directory.accounts()}
        return {name: owner.id for name, owner in owners.items() if owner is not None}


def _why(report: ImportReport) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.column, problem.message) for problem in report.problems]


def _counts(report: ImportReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.refused


def test_good_rows_arrive_whole(database: Database) -> None:
    report = _import(
        database,
        HEADER
        + "1,Ada Boss,ada,Board,,Europe/Berlin,,\n"
        + "2,王小明,wangxm；CORP\\WangXM wang@corp.example,销售部,1,北京时间,2026年11月1日,28.11.2026\n",
    )
    assert _counts(report) == (2, 0, 0, 0)
    assert _people(database)["2"] == PersonRecord(
        id="2",
        department="销售部",
        manager_id="1",
        time_zone="Asia/Shanghai",
        employments=(Employment(notice_day=read_day("2026-11-01"), last_day=read_day("2026-11-28")),),
    )
    assert _owners(database) == {"ada": "1", "wangxm": "2", "corp\\wangxm": "2", "wang@corp.example": "2"}
    with database.read() as connection:
        names = dict(connection.execute(select(person_names.c.person_id, person_names.c.name)).all())
    assert names == {"1": "Ada Boss", "2": "王小明"}


def test_bad_rows_are_reported_with_their_place_and_all_good_rows_are_in(database: Database) -> None:
    rows = [
        "1,Ada,ada,,,,,",
        "2,Bob,bob,,,,2026-02-30,",
        "3,Cy,cy,,,,2026-12-01,2026-11-30",
        "4,Di,di,,,Mars/Olympus,,",
        ",Ed,ed,,,,,",
        "6,Fi,fi,,77,,,",
        "1,Gus,gus,,,,,",
        "8,Hal,ADA,,,,,",
        f"9,{'x' * 300},ida,,,,,",
        "10,Jo,jo,,,Asia/Shangai,,03/04/2026",
        "1.23E+11,Kim,kim,,,,,",
        "12,Lo\x07,lo,,,,,",
        "13,Moe,moe,,2,,,",
        "14,Nil,-,无,N/A,null,-,9999-12-31",
    ]
    report = _import(database, HEADER + "\n".join(rows) + "\n")
    assert _why(report) == [
        (3, "notice_date", "there is no day 2026-02-30"),
        (4, "last_working_day", "the last working day 2026-11-30 is before the notice date 2026-12-01"),
        (5, "time_zone", "not a time zone of the IANA database, such as Asia/Shanghai"),
        (6, "id", "the id is missing"),
        (7, "manager", "no person with this id, account or name, neither in the file nor stored"),
        (8, "id", "line 2 has the same id; that one counts"),
        (9, "accounts", "line 2 (id 1) has this account; that one counts"),
        (10, "name", "300 characters, more than 256"),
        (11, "last_working_day", report.problems[8].message),
        (12, "id", "a spreadsheet rounded this number: format the column as text"),
        (13, "name", "holds a control character"),
    ]
    assert "two ways" in report.problems[8].message
    assert all(len(problem.value) <= 60 for problem in report.problems)
    # A manager whose own row is refused is known all the same.
    assert set(_people(database)) == {"1", "13", "14"}
    assert _counts(report) == (3, 0, 0, 11)
    assert _people(database)["14"] == PersonRecord("14")


def test_same_file_again_changes_nothing(database: Database) -> None:
    text = HEADER + "1,Ada,ada b,Board,,Europe/Berlin,2026-11-01,2026-11-28\n2,Bob,bob,,1,,,\n"
    _import(database, text)
    with database.read() as connection:
        before = people_version(connection)
    report = _import(database, text)
    assert _counts(report) == (0, 0, 2, 0)
    assert report.people_version == before == 1
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(people_imports)).scalar_one() == 2


def test_people_missing_from_the_file_and_columns_missing_from_it_stay(database: Database) -> None:
    _import(database, HEADER + "1,Ada,ada,Board,,Europe/Berlin,2026-11-01,2026-11-28\n2,Bob,bob,,,,,\n")
    report = _import(database, "id,last working day\n1,2026-12-31\n")
    assert _counts(report) == (0, 1, 0, 0)
    assert report.people_version == 2
    ada = _people(database)["1"]
    assert (ada.department, ada.time_zone) == ("Board", "Europe/Berlin")
    assert ada.employments == (
        Employment(notice_day=read_day("2026-11-01"), last_day=read_day("2026-12-31")),
    )
    assert _owners(database) == {"ada": "1", "bob": "2"}


def test_empty_cell_takes_a_rescinded_date_back_but_keeps_the_time_zone(database: Database) -> None:
    _import(database, HEADER + "1,Ada,ada,Board,,Europe/Berlin,2026-11-01,2026-11-28\n")
    _import(database, HEADER + "1,Ada,ada,,,,,\n")
    assert _people(database)["1"] == PersonRecord("1", time_zone="Europe/Berlin")


def test_account_moves_when_its_old_owner_gives_it_up_in_the_same_file(database: Database) -> None:
    _import(database, "id,accounts\n1,desk ada\n2,bob\n")
    report = _import(database, "id,accounts\n2,bob desk\n1,ada\n")
    assert _counts(report) == (0, 2, 0, 0)
    assert _owners(database) == {"desk": "2", "ada": "1", "bob": "2"}


def test_two_people_can_swap_accounts(database: Database) -> None:
    _import(database, "id,accounts\n1,x\n2,y\n")
    assert _counts(_import(database, "id,accounts\n1,y\n2,x\n")) == (0, 2, 0, 0)
    assert _owners(database) == {"x": "2", "y": "1"}


def test_account_of_a_stored_person_who_keeps_it_is_refused(database: Database) -> None:
    _import(database, "id,accounts\n1,desk\n")
    report = _import(database, "id,accounts\n2,desk\n3,cy\n")
    assert _why(report) == [(2, "accounts", "this account belongs to 1, who is stored and keeps it")]
    assert _owners(database) == {"desk": "1", "cy": "3"}


def test_refused_row_claims_its_stored_account_back_from_the_row_that_took_it(database: Database) -> None:
    _import(database, "id,accounts\n1,desk\n2,bob\n3,cy\n")
    # 2 takes desk from 1, 1 takes cy from 3, 3 gives cy up but wants an account that 2 keeps.
    report = _import(database, "id,accounts\n2,bob desk\n1,cy\n3,bob\n")
    assert {line: message for line, _, message in _why(report)} == {
        4: "line 2 (id 2) has this account; that one counts",
        3: "this account stays with 3, whose own row was refused",
        2: "this account stays with 1, whose own row was refused",
    }
    assert _owners(database) == {"desk": "1", "bob": "2", "cy": "3"}


def test_dry_run_says_the_same_and_changes_nothing(database: Database) -> None:
    text = HEADER + "1,Ada,ada,,,,,\n2,Bob,bob,,,,soon,\n"
    dry = _import(database, text, dry_run=True)
    assert _people(database) == {}
    real = _import(database, text)
    assert _counts(dry) == _counts(real) == (1, 0, 0, 1)
    assert dry.problems == real.problems


def test_unreadable_file_changes_nothing(database: Database) -> None:
    with pytest.raises(UnreadableFile):
        _import(database, b"name\nAlice\n")
    with database.read() as connection:
        assert people_version(connection) == 0
        assert audit.head(connection) is None


def test_import_is_on_the_audit_trail_without_any_name(database: Database) -> None:
    _import(database, HEADER + "1,Ada Lovelace,ada,,,,,\n")
    with database.read() as connection:
        row = connection.execute(select(audit_table)).one()
        assert audit.verify(connection) is None
    assert (row.actor, row.action) == ("cli:hr", "people.import")
    assert row.detail == {"import": 1, "added": 1, "changed": 0, "unchanged": 0, "refused": 0}
    assert row.object.startswith("file:sha256:")
    assert "ada" not in str(row).casefold()


def test_default_zone_is_for_new_people_without_one(database: Database) -> None:
    _import(database, "id,tz\n1,\n2,utc+8\n3,europe/BERLIN\n4,GMT-03:00\n", time_zone="Asia/Tokyo")
    assert {key: person.time_zone for key, person in _people(database).items()} == {
        "1": "Asia/Tokyo",
        "2": "Etc/GMT-8",
        "3": "Europe/Berlin",
        "4": "Etc/GMT+3",
    }


def test_too_many_or_too_long_accounts_are_refused(database: Database) -> None:
    many = " ".join(f"a{number}" for number in range(65))
    report = _import(database, f"id,accounts\n1,{many}\n2,{'x' * 257}\n3,{'y' * 256}\n")
    assert [(line, column) for line, column, _ in _why(report)] == [(2, "accounts"), (3, "accounts")]
    assert _owners(database) == {"y" * 256: "3"}


def test_a_thousand_people_in_gbk(database: Database) -> None:
    rows = "".join(f"{n},员工{n},yuangong{n},研发部,,Asia/Shanghai,,\n" for n in range(1000))
    report = _import(database, (HEADER + rows).encode("gbk"))
    assert report.encoding == "GBK/GB18030"
    assert _counts(report) == (1000, 0, 0, 0)
    with database.read() as connection:
        assert load_directory(connection).person_by_account("YUANGONG77", None, 1) is not None


# ---- all or nothing, and what stops an import -----------------------------------------------------------


def test_one_bad_row_stops_all_of_it_and_is_on_the_record(database: Database) -> None:
    report = _import(database, HEADER + "1,Ada,ada,,,,,\n2,Bob,bob,,,,soon,\n", skip_bad_rows=False)
    assert (report.applied, _counts(report)) == (False, (1, 0, 0, 1))
    assert report.stopped is not None
    assert "1 of its rows are bad" in report.stopped
    assert _people(database) == {}
    with database.read() as connection:
        row = connection.execute(select(people_imports)).one()
        assert (row.stopped, row.refused) == (report.stopped, 1)
        assert connection.execute(select(audit_table.c.action)).scalar_one() == "people.import_stopped"


def _roster(count: int, leaving: int) -> str:
    rows = (f"{n},{'2026-12-31' if n < leaving else ''}\n" for n in range(count))
    return "id,last working day\n" + "".join(rows)


def test_a_roster_that_would_mark_a_large_part_as_leaving_stops_until_that_is_meant(
    database: Database,
) -> None:
    _import(database, _roster(100, 2))
    few = _import(database, _roster(100, 11), dry_run=True)
    assert (few.stopped, few.new_leavers, few.active) == (None, 9, 98)
    report = _import(database, _roster(100, 50))
    assert report.stopped == (
        "it would mark 48 of 98 people as leaving; if that is meant: --expect-leavers 48"
    )
    assert not _import(database, _roster(100, 50), expect_leavers=47).applied
    assert _import(database, _roster(100, 50), expect_leavers=48).applied


def test_a_small_team_may_all_leave_without_a_question(database: Database) -> None:
    assert _import(database, _roster(5, 5)).applied


def test_a_roster_whose_dates_went_missing_stops_until_that_is_meant(database: Database) -> None:
    _import(database, _roster(100, 10), expect_leavers=10)
    report = _import(database, _roster(100, 4))
    assert report.stopped is not None
    assert "take back the leaving dates of 6 of 10 people" in report.stopped
    assert _import(database, _roster(100, 4), expect_withdrawn=6).withdrawn == 6


def test_the_report_says_by_row_what_would_change_and_names_nobody(database: Database) -> None:
    _import(database, HEADER + "1,Ada,ada,Board,,UTC,,\n2,Bob,bob,,,UTC,,\n")
    report = _import(
        database, HEADER + "1,Ada B,ada x,Sales,2,UTC,,2026-11-30\n2,Bob,bob,,,UTC,,\n", dry_run=True
    )
    (change,) = report.changes
    assert (change.line, change.id, change.is_new, change.is_leaving) == (2, "1", False, True)
    assert [(field.column, field.before, field.after) for field in change.fields] == [
        ("department", "Board", "Sales"),
        ("manager", None, "2"),
        ("accounts", "ada", "ada x"),
        ("last_working_day", None, "2026-11-30"),
        ("name", None, None),
    ]


# ---- who is who ---------------------------------------------------------------------------------------


def test_managers_that_go_round_are_refused_and_their_own_manager_is_nobody(database: Database) -> None:
    report = _import(database, "id,manager\n1,2\n2,3\n3,1\n4,1\n5,5\n")
    assert {line: message for line, _, message in _why(report)} == dict.fromkeys(
        (2, 3, 4), "managers go round: 1 → 2 → 3 → 1"
    )
    assert {key: person.manager_id for key, person in _people(database).items()} == {"4": "1", "5": None}
    _import(database, "id,manager\n1,\n2,1\n3,2\n")
    assert [line for line, _, _ in _why(_import(database, "id,manager\n1,3\n"))] == [2]
    assert _people(database)["1"].manager_id is None


def test_a_manager_may_be_given_by_account_or_name_and_two_people_of_one_name_are_not_guessed(
    database: Database,
) -> None:
    _import(database, "id,name,accounts\n1,王伟,wangw1\n2,王伟,wangw2\n3,李娜,lina\n")
    report = _import(database, "id,上级\n4,WANGW2\n5,李娜\n6,王伟\n")
    assert {key: person.manager_id for key, person in _people(database).items() if key > "3"} == {
        "4": "2",
        "5": "3",
    }
    assert _why(report) == [(4, "manager", "2 people have this name (1, 2): give the id")]


def test_a_file_without_ids_is_matched_by_account_and_says_whom_it_cannot_match(database: Database) -> None:
    _import(database, "id,accounts\n1,ada ada@x.example\n")
    text = "UserPrincipalName,LastWorkingDate\nADA@x.example,2026-11-30\nbob@x.example,2026-12-24\n"
    report = _import(database, text)
    assert _why(report) == [
        (3, "accounts", "cannot be matched: nobody has this account (--add-unmatched adds such people)")
    ]
    assert _people(database)["1"].employments == (Employment(last_day=read_day("2026-11-30")),)
    assert _owners(database) == {"ada": "1", "ada@x.example": "1"}
    assert _import(database, text, add_unmatched=True).added == 1
    assert _people(database)["bob@x.example"].employments == (Employment(last_day=read_day("2026-12-24")),)


# ---- joiners, movers, leavers ---------------------------------------------------------------------------


def test_a_rehire_is_a_further_employment_and_the_same_file_again_changes_nothing(database: Database) -> None:
    _import(database, "id,start date,last working day\n1,2020-01-01,2025-05-31\n")
    again = "id,start date,last working day\n1,2026-06-01,\n"
    assert _import(database, again).changed == 1
    assert _import(database, again).unchanged == 1
    first, second = _people(database)["1"].employments
    assert (first.number, first.last_day) == (1, read_day("2025-05-31"))
    assert (second.number, second.start_day, second.last_day) == (2, read_day("2026-06-01"), None)
    # Its dates are corrected by its start.
    _import(database, "id,start date,last working day\n1,2020-01-01,2025-06-30\n")
    assert _people(database)["1"].employments[0].last_day == read_day("2025-06-30")


def test_several_rows_of_a_person_are_several_employments_when_they_say_which(database: Database) -> None:
    text = (
        "id,employment,accounts,department,start date,last working day\n"
        "1,C1,shop1,Shop,2020-01-01,2026-11-30\n"
        "1,C2,desk1,Office,2023-01-01,\n"
        "2,,x,,,\n"
        "2,,y,,,\n"
    )
    report = _import(database, text)
    assert _why(report) == [(5, "id", "line 4 has the same id; that one counts")]
    person = _people(database)["1"]
    assert person.department == "Office"
    assert [(each.reference, each.last_day) for each in person.employments] == [
        ("C1", read_day("2026-11-30")),
        ("C2", None),
    ]
    assert _owners(database) == {"shop1": "1", "desk1": "1", "x": "2"}
    assert _import(database, text).unchanged == 2


def test_a_date_that_does_not_fit_what_is_stored_is_refused(database: Database) -> None:
    _import(database, "id,notice date\n1,2026-11-20\n")
    report = _import(database, "id,last working day\n1,2026-11-10\n")
    assert _why(report) == [
        (
            2,
            "last_working_day",
            "the last working day 2026-11-10 is before the notice date 2026-11-20 that is stored",
        )
    ]


def test_a_flag_stands_over_the_file_and_says_so(database: Database) -> None:
    _import(database, "id\n1\n")
    with database.begin() as connection:
        flag_person(connection, "1", LeaverFlag(20_400), actor="x", at=5, reason="case 9")
    report = _import(database, "id,last working day\n1,2026-12-31\n")
    (note,) = report.notes
    assert "flagged by hand with 2025-11-08" in note.message
    person = _people(database)["1"]
    assert (person.flag, person.employments[0].last_day) == (
        LeaverFlag(20_400, flagged_at=5),
        read_day("2026-12-31"),
    )


# ---- whose account, from when ---------------------------------------------------------------------------


def _owner_at(database: Database, account: str, at: int) -> str | None:
    with database.read() as connection:
        found = load_directory(connection).person_by_account(account, None, at)
    return None if found is None else found.id


def test_an_account_is_handed_over_at_the_import_or_on_the_day_that_the_row_says(database: Database) -> None:
    day = 86_400_000
    _import(database, "id,accounts,tz\n1,desk info,UTC\n", at=20_000 * day)
    _import(database, "id,accounts,tz\n1,info,UTC\n2,desk,UTC\n", at=20_100 * day)
    assert [_owner_at(database, "desk", 20_100 * day + off) for off in (-1, 0)] == ["1", "2"]
    _import(database, "id,accounts,since\n1,,\n2,desk info,2025-01-15\n", at=20_200 * day)
    assert [_owner_at(database, "info", 20_103 * day + off) for off in (-1, 0)] == ["1", "2"]
    assert _owner_at(database, "desk", 20_103 * day) == "2"
    # The same file another night.
    assert _import(database, "id,accounts,since\n1,,\n2,desk info,2025-01-15\n", at=20_201 * day).changed == 0


def test_who_is_leaving_keeps_an_account_that_nobody_takes_over(database: Database) -> None:
    _import(database, "id,accounts,last working day\n1,ada desk,2026-11-30\n2,bob,\n")
    report = _import(database, "id,accounts\n1,\n2,bob desk\n", at=2000)
    assert [(note.value, note.message) for note in report.notes] == [
        ("ada", "no longer listed, and kept: the person is leaving, and nobody else has it")
    ]
    assert _owners(database, 3000) == {"ada": "1", "desk": "2", "bob": "2"}


def test_an_account_that_is_listed_again_is_as_if_it_always_had_been(database: Database) -> None:
    _import(database, "id,accounts\n1,ada\n", at=1000)
    _import(database, "id,accounts\n1,\n", at=2000)
    assert (_owner_at(database, "ada", 1500), _owner_at(database, "ada", 2500)) == ("1", None)
    _import(database, "id,accounts\n1,ada\n", at=3000)
    assert _owner_at(database, "ada", 2500) == "1"
