"""HR's file becomes people: bad rows are named and left out, the others are in."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from server import audit
from server.people.csv_encoding import UnreadableFile
from server.people.dates import read_day
from server.people.directory import PersonRecord, load_directory, people_version
from server.people.facts import Employment
from server.store.database import Database
from server.store.tables import audit as audit_table
from server.store.tables import people_imports, person_names
from tests.server.people.hr_files import HEADER, counts, owners_of, people_of, take, why


def test_good_rows_arrive_whole(database: Database) -> None:
    report = take(
        database,
        HEADER
        + "1,Ada Boss,ada,Board,,Europe/Berlin,,\n"
        + "2,王小明,wangxm；CORP\\WangXM wang@corp.example,销售部,1,北京时间,2026年11月1日,28.11.2026\n",
    )
    assert counts(report) == (2, 0, 0, 0)
    assert people_of(database)["2"] == PersonRecord(
        id="2",
        department="销售部",
        manager_id="1",
        time_zone="Asia/Shanghai",
        employments=(Employment(notice_day=read_day("2026-11-01"), last_day=read_day("2026-11-28")),),
    )
    assert owners_of(database) == {"ada": "1", "wangxm": "2", "corp\\wangxm": "2", "wang@corp.example": "2"}
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
        "10,Jo,jo,,,Asia/Shanghai,,03/04/2026",
        "1.23E+11,Kim,kim,,,,,",
        "12,Lo\x07,lo,,,,,",
        "13,Moe,moe,,2,,,",
        "14,Nil,-,无,N/A,null,-,9999-12-31",
        "15,Ola,ola,,,Asia/Shangai,,2026-11-30T16:00:00Z",
    ]
    report = take(database, HEADER + "\n".join(rows) + "\n")
    assert why(report) == [
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
        (16, "time_zone", "not a time zone of the IANA database; did you mean Asia/Shanghai?"),
    ]
    assert "two ways" in report.problems[8].message
    assert all(len(problem.value) <= 60 for problem in report.problems)
    # A manager whose own row is refused is known all the same.
    assert set(people_of(database)) == {"1", "13", "14"}
    assert counts(report) == (3, 0, 0, 12)
    assert people_of(database)["14"] == PersonRecord("14")


def test_same_file_again_changes_nothing(database: Database) -> None:
    text = HEADER + "1,Ada,ada b,Board,,Europe/Berlin,2026-11-01,2026-11-28\n2,Bob,bob,,1,,,\n"
    take(database, text)
    with database.read() as connection:
        before = people_version(connection)
    report = take(database, text)
    assert counts(report) == (0, 0, 2, 0)
    assert report.people_version == before == 1
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(people_imports)).scalar_one() == 2


def test_people_missing_from_the_file_and_columns_missing_from_it_stay(database: Database) -> None:
    take(database, HEADER + "1,Ada,ada,Board,,Europe/Berlin,2026-11-01,2026-11-28\n2,Bob,bob,,,,,\n")
    report = take(database, "id,last working day\n1,2026-12-31\n")
    assert counts(report) == (0, 1, 0, 0)
    assert report.people_version == 2
    ada = people_of(database)["1"]
    assert (ada.department, ada.time_zone) == ("Board", "Europe/Berlin")
    assert ada.employments == (
        Employment(notice_day=read_day("2026-11-01"), last_day=read_day("2026-12-31")),
    )
    assert owners_of(database) == {"ada": "1", "bob": "2"}


def test_empty_cell_takes_a_rescinded_date_back_but_keeps_the_time_zone(database: Database) -> None:
    take(database, HEADER + "1,Ada,ada,Board,,Europe/Berlin,2026-11-01,2026-11-28\n")
    take(database, HEADER + "1,Ada,ada,,,,,\n")
    assert people_of(database)["1"] == PersonRecord("1", time_zone="Europe/Berlin")


def test_account_moves_when_its_old_owner_gives_it_up_in_the_same_file(database: Database) -> None:
    take(database, "id,accounts\n1,desk ada\n2,bob\n")
    report = take(database, "id,accounts\n2,bob desk\n1,ada\n")
    assert counts(report) == (0, 2, 0, 0)
    assert owners_of(database) == {"desk": "2", "ada": "1", "bob": "2"}


def test_two_people_can_swap_accounts(database: Database) -> None:
    take(database, "id,accounts\n1,x\n2,y\n")
    assert counts(take(database, "id,accounts\n1,y\n2,x\n")) == (0, 2, 0, 0)
    assert owners_of(database) == {"x": "2", "y": "1"}


def test_account_of_a_stored_person_who_keeps_it_is_refused(database: Database) -> None:
    take(database, "id,accounts\n1,desk\n")
    report = take(database, "id,accounts\n2,desk\n3,cy\n")
    assert why(report) == [(2, "accounts", "this account belongs to 1, who is stored and keeps it")]
    assert owners_of(database) == {"desk": "1", "cy": "3"}


def test_refused_row_claims_its_stored_account_back_from_the_row_that_took_it(database: Database) -> None:
    take(database, "id,accounts\n1,desk\n2,bob\n3,cy\n")
    # 2 takes desk from 1, 1 takes cy from 3, 3 gives cy up but wants an account that 2 keeps.
    report = take(database, "id,accounts\n2,bob desk\n1,cy\n3,bob\n")
    assert {line: message for line, _, message in why(report)} == {
        4: "line 2 (id 2) has this account; that one counts",
        3: "this account stays with 3, whose own row was refused",
        2: "this account stays with 1, whose own row was refused",
    }
    assert owners_of(database) == {"desk": "1", "bob": "2", "cy": "3"}


def test_dry_run_says_the_same_and_changes_nothing(database: Database) -> None:
    text = HEADER + "1,Ada,ada,,,,,\n2,Bob,bob,,,,soon,\n"
    dry = take(database, text, dry_run=True)
    assert people_of(database) == {}
    real = take(database, text)
    assert counts(dry) == counts(real) == (1, 0, 0, 1)
    assert dry.problems == real.problems


def test_unreadable_file_changes_nothing(database: Database) -> None:
    with pytest.raises(UnreadableFile):
        take(database, b"name\nAlice\n")
    with database.read() as connection:
        assert people_version(connection) == 0
        assert audit.head(connection) is None


def test_import_is_on_the_audit_trail_without_any_name(database: Database) -> None:
    take(database, HEADER + "1,Ada Lovelace,ada,,,,,\n")
    with database.read() as connection:
        row = connection.execute(select(audit_table)).one()
        assert audit.verify(connection) is None
    assert (row.actor, row.action) == ("cli:hr", "people.import")
    assert row.detail == {"import": 1, "added": 1, "changed": 0, "unchanged": 0, "refused": 0}
    assert row.object.startswith("file:sha256:")
    assert "ada" not in str(row).casefold()


def test_default_zone_is_for_new_people_without_one(database: Database) -> None:
    take(database, "id,tz\n1,\n2,utc+8\n3,europe/BERLIN\n4,GMT-03:00\n", time_zone="Asia/Tokyo")
    assert {key: person.time_zone for key, person in people_of(database).items()} == {
        "1": "Asia/Tokyo",
        "2": "Etc/GMT-8",
        "3": "Europe/Berlin",
        "4": "Etc/GMT+3",
    }


def test_too_many_or_too_long_accounts_are_refused(database: Database) -> None:
    many = " ".join(f"a{number}" for number in range(65))
    report = take(database, f"id,accounts\n1,{many}\n2,{'x' * 257}\n3,{'y' * 256}\n")
    assert [(line, column) for line, column, _ in why(report)] == [(2, "accounts"), (3, "accounts")]
    assert owners_of(database) == {"y" * 256: "3"}


def test_a_thousand_people_in_gbk(database: Database) -> None:
    rows = "".join(f"{n},员工{n},yuangong{n},研发部,,Asia/Shanghai,,\n" for n in range(1000))
    report = take(database, (HEADER + rows).encode("gbk"))
    assert report.encoding == "GBK/GB18030"
    assert counts(report) == (1000, 0, 0, 0)
    with database.read() as connection:
        assert load_directory(connection).person_by_account("YUANGONG77", None, 1) is not None


# ---- all or nothing, and what stops an import -----------------------------------------------------------


def test_one_bad_row_stops_all_of_it_and_is_on_the_record(database: Database) -> None:
    report = take(database, HEADER + "1,Ada,ada,,,,,\n2,Bob,bob,,,,soon,\n", skip_bad_rows=False)
    assert (report.applied, counts(report)) == (False, (1, 0, 0, 1))
    assert report.stopped is not None
    assert "1 of its rows are bad" in report.stopped
    assert people_of(database) == {}
    with database.read() as connection:
        row = connection.execute(select(people_imports)).one()
        assert (row.stopped, row.refused) == (report.stopped, 1)
        assert connection.execute(select(audit_table.c.action)).scalar_one() == "people.import_stopped"


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("last workng day", "last working day"),
        ("Terminatoin Date", "end date"),
        ("ResignationDates", "notice date"),
        ("leaving_typ", "leaving type"),
    ],
)
def test_a_slip_in_the_name_of_a_date_stops_until_that_is_meant(
    database: Database, header: str, column: str
) -> None:
    text = f"id,{header},Gehalt\n1,x,9\n"
    report = take(database, text)
    assert report.answer == "ignore_columns=true"
    assert report.stopped is not None
    assert f"called almost as: {column}; rename it" in report.stopped
    assert header not in report.stopped
    assert [(note.line, note.value, note.message) for note in report.notes] == [
        (0, header, f"not read; did you mean {column}?")
    ]
    assert take(database, text, ignore_columns=True).applied


@pytest.mark.parametrize(
    "header",
    [
        "Termination Code",
        "termination reason code",
        "contact number",
        "last name",
        "birth date",
        "notice days",
        "离职申请人",
    ],
)
def test_a_column_of_something_else_stops_nothing(database: Database, header: str) -> None:
    assert take(database, f"id,{header}\n1,x\n").applied


def test_a_slip_in_another_name_gets_a_note_where_the_column_is_missing(database: Database) -> None:
    report = take(database, "id,departmnt,job role,job rolle\n1,x,y,z\n")
    assert (report.applied, [note.value for note in report.notes]) == (True, ["departmnt"])


@pytest.mark.parametrize("data", [b"id,last working day\n", b"id\n\n,\n"])
def test_a_file_without_rows_is_refused(database: Database, data: bytes) -> None:
    with pytest.raises(UnreadableFile, match="there are no rows below the header"):
        take(database, data)


def test_a_row_that_is_there_twice_and_somebody_who_leads_themselves_get_a_note(database: Database) -> None:
    rows = "1,Ada,ada,,1,,,\n" * 2 + "2,Bob,bob,,1,,,\n"
    report = take(database, HEADER + rows, skip_bad_rows=False)
    assert (report.applied, counts(report)) == (True, (2, 0, 0, 0))
    assert [(note.line, note.message) for note in report.notes] == [
        (2, "named as their own manager, which counts as none"),
        (3, "says what line 2 says"),
    ]


def _roster(count: int, leaving: int) -> str:
    rows = (f"{n},{'2026-12-31' if n < leaving else ''}\n" for n in range(count))
    return "id,last working day\n" + "".join(rows)


def test_a_roster_that_would_mark_a_large_part_as_leaving_stops_until_that_is_meant(
    database: Database,
) -> None:
    take(database, _roster(100, 2))
    few = take(database, _roster(100, 11), dry_run=True)
    assert (few.stopped, few.new_leavers, few.active) == (None, 9, 98)
    report = take(database, _roster(100, 50))
    assert report.stopped == (
        "it would mark 48 of 98 people as leaving; if that is meant: --expect-leavers 48"
    )
    assert not take(database, _roster(100, 50), expect_leavers=47).applied
    assert take(database, _roster(100, 50), expect_leavers=48).applied


def test_a_small_team_may_all_leave_without_a_question(database: Database) -> None:
    assert take(database, _roster(5, 5)).applied


def test_a_roster_whose_dates_went_missing_stops_until_that_is_meant(database: Database) -> None:
    take(database, _roster(100, 10), expect_leavers=10)
    report = take(database, _roster(100, 4))
    assert report.stopped is not None
    assert "take back the leaving dates of 6 of 10 people" in report.stopped
    assert take(database, _roster(100, 4), expect_withdrawn=6).withdrawn == 6


def test_dates_that_move_far_away_are_taken_back_too(database: Database) -> None:
    take(database, _roster(100, 10), expect_leavers=10)
    assert take(database, _roster(100, 10).replace("2026-12-31", "2027-06-29"), dry_run=True).withdrawn == 0
    report = take(database, _roster(100, 10).replace("2026-12-31", "2099-12-31"))
    assert (report.applied, report.withdrawn) == (False, 10)
    assert report.answer == "expect_withdrawn=10"


@pytest.mark.parametrize("shift", [None, 1])
def test_an_accounts_column_that_is_empty_or_has_slipped_stops_until_that_is_meant(
    database: Database, shift: int | None
) -> None:
    head = "id,accounts\n"
    take(database, head + "".join(f"{n},a{n}\n" for n in range(100)))
    few = head + "".join(f"{n},{f'a{n}' if n > 9 else ''}\n" for n in range(100))
    assert take(database, few, dry_run=True).stopped is None
    wrong = head + "".join(f"{n},{'' if shift is None else f'a{(n + shift) % 100}'}\n" for n in range(100))
    report = take(database, wrong)
    assert report.stopped == (
        "it would take the last account of 100 of 100 people, or give one away;"
        " if that is meant: --expect-accounts 100"
    )
    assert len(owners_of(database)) == 100
    assert not take(database, wrong, expect_accounts=99).applied
    assert take(database, wrong, expect_accounts=100).without_accounts == 100


def test_the_report_says_by_row_what_would_change_and_names_nobody(database: Database) -> None:
    take(database, HEADER + "1,Ada,ada,Board,,UTC,,\n2,Bob,bob,,,UTC,,\n")
    report = take(
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
