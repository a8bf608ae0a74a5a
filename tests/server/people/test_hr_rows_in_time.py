"""Who is meant by a row, which employment, and whose account it is from when on."""

from __future__ import annotations

import msgspec

from server.erasure.undone_imports import undo_import
from server.people.account_facts import AccountWords, declare_account
from server.people.dates import read_day
from server.people.directory import load_directory
from server.people.facts import Employment, Holding, LeaverFlag
from server.people.facts_store import load_facts, write_facts
from server.people.flags import flag_person
from server.people.machines import reissue_machine, return_machine
from server.store.database import Database
from tests.server.people.hr_files import counts, owners_of, people_of, take, why, workbook

# ---- who is who ---------------------------------------------------------------------------------------


def test_managers_that_go_round_are_refused_and_their_own_manager_is_nobody(database: Database) -> None:
    report = take(database, "id,manager\n1,2\n2,3\n3,1\n4,1\n5,5\n")
    assert {line: message for line, _, message in why(report)} == dict.fromkeys(
        (2, 3, 4), "managers go round: 1 → 2 → 3 → 1"
    )
    assert {key: person.manager_id for key, person in people_of(database).items()} == {"4": "1", "5": None}
    take(database, "id,manager\n1,\n2,1\n3,2\n")
    assert [line for line, _, _ in why(take(database, "id,manager\n1,3\n"))] == [2]
    assert people_of(database)["1"].manager_id is None


def test_a_manager_may_be_given_by_account_or_name_and_two_people_of_one_name_are_not_guessed(
    database: Database,
) -> None:
    take(database, "id,name,accounts\n1,王伟,wangw1\n2,王伟,wangw2\n3,李娜,lina\n")
    report = take(database, "id,上级\n4,WANGW2\n5,李娜\n6,王伟\n")
    assert {key: person.manager_id for key, person in people_of(database).items() if key > "3"} == {
        "4": "2",
        "5": "3",
    }
    assert why(report) == [(4, "manager", "2 people have this name (1, 2): give the id")]


def test_a_file_without_ids_is_matched_by_account_and_says_whom_it_cannot_match(database: Database) -> None:
    take(database, "id,accounts\n1,ada ada@x.example\n")
    text = "UserPrincipalName,LastWorkingDate\nADA@x.example,2026-11-30\nbob@x.example,2026-12-24\n"
    report = take(database, text)
    assert why(report) == [
        (3, "accounts", "cannot be matched: nobody has this account (--add-unmatched adds such people)")
    ]
    assert people_of(database)["1"].employments == (Employment(last_day=read_day("2026-11-30")),)
    assert owners_of(database) == {"ada": "1", "ada@x.example": "1"}
    assert take(database, text, add_unmatched=True).added == 1
    assert people_of(database)["bob@x.example"].employments == (Employment(last_day=read_day("2026-12-24")),)


# ---- joiners, movers, leavers ---------------------------------------------------------------------------


def test_a_file_without_ids_is_not_matched_by_the_name_of_one_system(database: Database) -> None:
    take(database, "id\n1\n")
    with database.begin() as connection:
        stored = load_facts(connection)["1"]
        own = msgspec.structs.replace(stored, accounts=(Holding("admin", system="erp"),))
        write_facts(connection, [(stored, own)], at=1000, actor="x", way="flag")
    report = take(database, "account,last working day\nadmin,2026-12-31\n")
    assert [message for _, _, message in why(report)] == [
        "cannot be matched: nobody has this account (--add-unmatched adds such people)"
    ]
    assert people_of(database)["1"].employments == ()


def test_a_moment_is_the_day_in_the_rows_zone_else_the_persons_else_the_companys(database: Database) -> None:
    take(
        database,
        "id,accounts,time zone\n1,ada,Asia/Shanghai\n2,bob,America/New_York\n",
        time_zone="Europe/Berlin",
    )
    evening = "2026-11-30T16:30:00Z"
    text = f"id,last working day\n1,{evening}\n2,{evening}\n3,{evening}\n"
    last = {"1": "2026-12-01", "2": "2026-11-30", "3": "2026-11-30"}
    take(database, text, time_zone="Europe/Berlin")
    for table in (
        workbook(["id", "last working day"], *([number, evening] for number in last)),
        text.replace("16:30", "23:30").encode(),
        text.replace("16:30:00Z", "18:30:00+02:00").encode(),
    ):
        later = b"23:30" in table
        take(database, table, time_zone="Europe/Berlin")
        assert {key: person.employments for key, person in people_of(database).items()} == {
            key: (Employment(last_day=read_day("2026-12-01" if later and key == "3" else day)),)
            for key, day in last.items()
        }
    night = "2026-12-05T03:00:00Z"
    take(database, f"accounts,LastWorkingDate\nbob,{night}\nada,{night}\n")
    take(database, f"id,time zone,last working day\n3,UTC-5,{night}\n")
    assert [person.employments[0].last_day for _, person in sorted(people_of(database).items())] == [
        read_day("2026-12-05"),
        read_day("2026-12-04"),
        read_day("2026-12-04"),
    ]


def test_a_rehire_is_a_further_employment_and_the_same_file_again_changes_nothing(database: Database) -> None:
    take(database, "id,start date,last working day\n1,2020-01-01,2025-05-31\n")
    again = "id,start date,last working day\n1,2026-06-01,\n"
    assert take(database, again).changed == 1
    assert take(database, again).unchanged == 1
    first, second = people_of(database)["1"].employments
    assert (first.number, first.last_day) == (1, read_day("2025-05-31"))
    assert (second.number, second.start_day, second.last_day) == (2, read_day("2026-06-01"), None)
    # Its dates are corrected by its start.
    take(database, "id,start date,last working day\n1,2020-01-01,2025-06-30\n")
    assert people_of(database)["1"].employments[0].last_day == read_day("2025-06-30")


def test_a_nightly_row_about_an_older_employment_changes_nothing(database: Database) -> None:
    header = "id,start date,last working day\n"
    old = header + "E5,2019-05-01,2026-10-31\n"
    take(database, old)
    rehired = take(database, header + "E5,2026-11-20,\n")
    for _ in range(2):
        again = take(database, old)
        assert (counts(again), again.changes) == ((0, 0, 1, 0), ())
    both = take(database, old + "E5,2026-11-20,\n")
    assert counts(both) == (0, 0, 1, 0)
    with database.begin() as connection:
        assert rehired.import_id is not None
        undo_import(connection, rehired.import_id, actor="test", at=5000)
    assert [each.number for each in people_of(database)["E5"].employments] == [1]


def test_a_storage_device_in_the_column_of_machines_is_one_and_keeps_the_case_of_its_serial_number(
    database: Database,
) -> None:
    take(database, "id,devices\nE7,Laptop-7; Device:0951:1666:aBC host:PC-8\n")
    with database.read() as connection:
        held = load_facts(connection, ["E7"])["E7"].traits
    assert [each.name for each in held] == ["device:0951:1666:aBC", "host:laptop-7", "host:pc-8"]
    with database.begin() as connection:
        return_machine(connection, "E7", "device:0951:1666:abc", when=2000, actor="cli:root", at=2000)
    again = take(database, "id,devices\nE7,Laptop-7; device:0951:1666:aBC host:PC-8\n", at=3000)
    assert counts(again) == (0, 0, 1, 0)
    refused = take(database, "id,devices\nE8,device:\n")
    assert why(refused) == [(2, "devices", "a storage device is written device:UID")]


def test_several_rows_of_a_person_are_several_employments_when_they_say_which(database: Database) -> None:
    text = (
        "id,employment,accounts,department,start date,last working day\n"
        "1,C1,shop1,Shop,2020-01-01,2026-11-30\n"
        "1,C2,desk1,Office,2023-01-01,\n"
        "2,,x,,,\n"
        "2,,y,,,\n"
    )
    report = take(database, text)
    assert why(report) == [(5, "id", "line 4 has the same id; that one counts")]
    person = people_of(database)["1"]
    assert person.department == "Office"
    assert [(each.reference, each.last_day) for each in person.employments] == [
        ("C1", read_day("2026-11-30")),
        ("C2", None),
    ]
    assert owners_of(database) == {"shop1": "1", "desk1": "1", "x": "2"}
    assert take(database, text).unchanged == 2


def test_a_date_that_does_not_fit_what_is_stored_is_refused(database: Database) -> None:
    take(database, "id,notice date\n1,2026-11-20\n")
    report = take(database, "id,last working day\n1,2026-11-10\n")
    assert why(report) == [
        (
            2,
            "last_working_day",
            "the last working day 2026-11-10 is before the notice date 2026-11-20 that is stored",
        )
    ]


def test_a_flag_stands_over_the_file_and_says_so(database: Database) -> None:
    take(database, "id\n1\n")
    with database.begin() as connection:
        flag_person(connection, "1", LeaverFlag(20_400), actor="x", at=5, reason="case 9")
    report = take(database, "id,last working day\n1,2026-12-31\n")
    (note,) = report.notes
    assert "flagged by hand with 2025-11-08" in note.message
    person = people_of(database)["1"]
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
    take(database, "id,accounts,tz\n1,desk info,UTC\n", at=20_000 * day)
    take(database, "id,accounts,tz\n1,info,UTC\n2,desk,UTC\n", at=20_100 * day)
    assert [_owner_at(database, "desk", 20_100 * day + off) for off in (-1, 0)] == ["1", "2"]
    take(database, "id,accounts,since\n1,,\n2,desk info,2025-01-15\n", at=20_200 * day)
    assert [_owner_at(database, "info", 20_103 * day + off) for off in (-1, 0)] == ["1", "2"]
    assert _owner_at(database, "desk", 20_103 * day) == "2"
    # The same file another night.
    assert take(database, "id,accounts,since\n1,,\n2,desk info,2025-01-15\n", at=20_201 * day).changed == 0


def test_who_is_leaving_keeps_an_account_that_nobody_takes_over(database: Database) -> None:
    take(database, "id,accounts,last working day\n1,ada desk,2026-11-30\n2,bob,\n")
    report = take(database, "id,accounts\n1,\n2,bob desk\n", at=2000)
    assert [(note.value, note.message) for note in report.notes] == [
        ("ada", "no longer listed, and kept: the person is leaving, and nobody else has it")
    ]
    assert owners_of(database, 3000) == {"ada": "1", "desk": "2", "bob": "2"}


def test_an_account_that_is_listed_again_is_as_if_it_always_had_been(database: Database) -> None:
    take(database, "id,accounts\n1,ada\n", at=1000)
    take(database, "id,accounts\n1,\n", at=2000)
    assert (_owner_at(database, "ada", 1500), _owner_at(database, "ada", 2500)) == ("1", None)
    take(database, "id,accounts\n1,ada\n", at=3000)
    assert _owner_at(database, "ada", 2500) == "1"


def test_what_only_a_hand_gave_is_not_taken_by_a_file_that_never_knew_it(database: Database) -> None:
    take(database, "id,accounts,devices\n1,ada,pc-1\n2,bob,\n")
    with database.begin() as connection:
        said = AccountWords("kefu", kind="shared", owner="1")
        declare_account(connection, said, actor="x", at=1500, reason=None)
        reissue_machine(connection, "tablet", "1", when=1500, actor="x", at=1500, was_seen=True)
    report = take(database, "id,accounts,devices\n1,ada,pc-1\n2,bob,\n", at=2000)
    assert (report.changed, report.notes) == (0, ())
    assert owners_of(database, 3000) == {"ada": "1", "kefu": "1", "bob": "2"}
    # Somebody else's row takes it, as any other.
    take(database, "id,accounts,devices\n1,ada,pc-1\n2,bob kefu,tablet\n", at=2500)
    assert owners_of(database, 3000) == {"ada": "1", "kefu": "2", "bob": "2"}
    with database.read() as connection:
        holder = load_directory(connection).holder("host:tablet", 3000)
    assert holder is not None
    assert holder.id == "2"
