"""What identity providers say of users beside what HR says of people: HR stands; shut is not left."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from event_schema.leaver_fields import PersonStatus
from server.erasure.undone_imports import undo_import
from server.leavers.account_list import list_accounts
from server.people.account_facts import close_account
from server.people.directory import Directory, load_directory, people_version
from server.people.facts import PersonFacts
from server.people.facts_store import load_facts
from server.people.undo import CannotUndo
from server.scim.provisioning import NameTaken, deprovision, provision
from server.scim.user_store import StoredUser
from server.scim.user_words import MailAddress, UnusableWord, UserWords
from server.store.database import Database
from server.store.tables import accounts, audit, people_changes
from tests.server.people.hr_files import counts, take

DAY = 86_400_000
START = 20_000 * DAY


def _say(
    database: Database, before: StoredUser | None = None, *, at: int = START, **words: Any
) -> StoredUser:
    """Another word where `before` is given."""
    said = {"user_name": "wang@corp.example", **words}
    if before is not None:
        said = {name: getattr(before.words, name) for name in UserWords.__struct_fields__} | words
    with database.begin() as connection:
        return provision(
            connection, before, UserWords(**said), at=at, actor="token:entra", time_zone="Europe/Berlin"
        )


def _directory(database: Database) -> Directory:
    with database.read() as connection:
        return load_directory(connection)


def _facts(database: Database, person_id: str = "E1") -> PersonFacts:
    with database.read() as connection:
        return load_facts(connection)[person_id]


def _closed_at(database: Database, account: str = "wang@corp.example") -> int | None:
    with database.read() as connection:
        row = connection.execute(select(accounts.c.closed_at).where(accounts.c.account == account)).one()
        return None if row.closed_at is None else int(row.closed_at)


def _whose(database: Database, account: str, at: int) -> str | None:
    person = _directory(database).person_by_account(account, None, at)
    return None if person is None else person.id


def _version(database: Database) -> int:
    with database.read() as connection:
        return people_version(connection)


def test_a_new_employee_number_is_a_new_person_with_what_was_said(database: Database) -> None:
    _say(
        database,
        employee_number="E1",
        display_name="王小明",
        department="Sales",
        job_title="Lead",
        time_zone="Asia/Shanghai",
        login="WangXM",
        emails=(MailAddress("wxm@corp.example", "work"), MailAddress("wang@private.example", "home")),
    )
    person = _facts(database)
    assert (person.name, person.department, person.job_role) == ("王小明", "Sales", "Lead")
    assert person.time_zone == "Asia/Shanghai"
    assert person.employments == ()
    assert [(held.name, held.since, held.source) for held in person.accounts] == [
        (name, None, "scim") for name in ("wang@corp.example", "wangxm", "wxm@corp.example")
    ]
    assert _whose(database, "wangxm", START - 900 * DAY) == "E1"
    assert _whose(database, "wang@private.example", START) is None
    with database.read() as connection:
        row = connection.execute(select(people_changes)).one()
    assert (row.changed_by, row.way, row.before) == ("token:entra", "scim", None)


def test_hrs_word_stands_and_what_hr_leaves_open_is_filled(database: Database) -> None:
    take(database, "id,name,account,department\nE1,Wang Xiaoming,wangxm,Sales\n")
    user = _say(database, employee_number="E1", display_name="Ming", department="Legal", job_title="Lead")
    person = _facts(database)
    assert (person.name, person.department, person.job_role) == ("Wang Xiaoming", "Sales", "Lead")
    assert person.scim_fields == ("job_role",)
    user = _say(database, user, job_title="Head", department="Board", time_zone="Asia/Shanghai")
    person = _facts(database)
    assert (person.department, person.job_role, person.time_zone) == ("Sales", "Head", "UTC")
    assert counts(take(database, "id,job title\nE1,Manager\n")) == (0, 1, 0, 0)
    _say(database, user, job_title="Chief")
    assert _facts(database).job_role == "Manager"
    assert counts(take(database, "id,job title\nE1,Manager\n")) == (0, 0, 1, 0)


def test_hr_takes_over_a_person_whom_the_provider_brought(database: Database) -> None:
    user = _say(database, employee_number="E1", display_name="Ming", department="Legal", job_title="Lead")
    row = "id,name,account,department,last working day\nE1,Wang,wangxm,Sales,2030-01-31\n"
    assert counts(take(database, row, at=START)) == (0, 1, 0, 0)
    assert counts(take(database, row, at=START + 1)) == (0, 0, 1, 0)
    _say(database, user, display_name="X", department="Y", job_title="Z")
    person = _facts(database)
    assert (person.name, person.department, person.job_role) == ("Wang", "Sales", "Z")
    assert person.employments[0].last_day is not None


def test_a_shut_account_is_no_leaving_date_and_stays_the_persons(database: Database) -> None:
    user = _say(database, employee_number="E1")
    version = _version(database)
    user = _say(database, user, active=False, at=START + DAY)
    assert _version(database) == version, "a reload of all people is not for this"
    directory = _directory(database)
    person = directory.person("E1")
    assert person is not None
    assert directory.status_at(person, START + 9 * DAY) == (PersonStatus.ACTIVE, None)
    assert _whose(database, "wang@corp.example", START + 9 * DAY) == "E1"
    assert _closed_at(database) == START + DAY
    user = _say(database, user, department="Sales", at=START + 2 * DAY)
    assert _closed_at(database) == START + DAY
    _say(database, user, active=True, at=START + 4 * DAY)
    assert _closed_at(database) is None
    with database.read() as connection:
        trail = [tuple(row) for row in connection.execute(select(audit.c.action, audit.c.actor))]
        objects = connection.execute(select(audit.c.object)).scalars().all()
    assert trail == [("scim.shut", "token:entra"), ("scim.open", "token:entra")]
    assert all(each.startswith("P-") for each in objects), "the trail is kept for good, so it names nobody"


def test_an_account_that_was_closed_by_hand_is_opened_by_a_word_about_that_alone(database: Database) -> None:
    user = _say(database, employee_number="E1")
    with database.begin() as connection:
        close_account(connection, "wang@corp.example", "", when=START, actor="t", at=START, reason=None)
    user = _say(database, user, department="Sales", at=START + DAY)
    assert _closed_at(database) == START
    user = _say(database, user, active=False, at=START + 2 * DAY)
    assert _closed_at(database) == START
    _say(database, user, active=True, at=START + 3 * DAY)
    assert _closed_at(database) is None


def test_a_deleted_user_takes_nothing_along_and_may_come_again(database: Database) -> None:
    user = _say(database, employee_number="E1", department="Sales")
    other = _say(database, user_name="adm-wang@corp.example", employee_number="E1")
    with database.begin() as connection:
        deprovision(connection, user, at=START + DAY, actor="token:entra")
    _say(database, other, login="adm-wang", at=START + 2 * DAY)
    assert _facts(database).department == "Sales"
    assert _whose(database, "wang@corp.example", START + 9 * DAY) == "E1"
    assert _closed_at(database) == START + DAY
    _say(database, employee_number="E1", at=START + 3 * DAY)
    assert _closed_at(database) is None
    assert len(_facts(database).accounts) == 3


def test_who_hr_knows_by_the_account_is_that_person(database: Database) -> None:
    take(database, "id,accounts,department\nHR-7,wangxm wang@corp.example,Sales\n")
    user = _say(database, employee_number="4711", login="wangxm")
    assert user.person_id == "HR-7"
    assert {person.id for person in _directory(database).people()} == {"HR-7"}
    assert _say(database, user_name="li@corp.example", employee_number="HR-7").person_id == "HR-7"


def test_an_account_of_nobody_is_a_task_until_hr_lists_it(database: Database) -> None:
    user = _say(database)
    assert user.person_id is None
    with database.read() as connection:
        unowned = list_accounts(connection, load_directory(connection), now=START, unowned=True)
    assert [each.account for each in unowned] == ["wang@corp.example"]
    take(database, "id,account\nE1,wang@corp.example\n")
    assert _whose(database, "wang@corp.example", START) == "E1"
    assert _say(database, user, department="Sales").person_id == "E1"
    assert _facts(database).department == "Sales"


def test_hrs_file_neither_ends_what_the_provider_binds_nor_is_bound_by_it(database: Database) -> None:
    take(database, "id,account\nE1,wangxm\nE2,li\n")
    _say(database, employee_number="E1")
    again = take(database, "id,account\nE1,wangxm\nE2,li\n", at=START + DAY)
    assert counts(again) == (0, 0, 2, 0)
    assert _whose(database, "wang@corp.example", START + 2 * DAY) == "E1"
    given = take(database, "id,account\nE1,wangxm\nE2,li wang@corp.example\n", at=START + 3 * DAY)
    assert counts(given) == (0, 1, 1, 0)
    assert _whose(database, "wang@corp.example", START) == "E2", "HR's word stands over the provider's"
    back = take(database, "id,account\nE1,wangxm\nE2,li\n", at=START + 5 * DAY)
    assert counts(back) == (0, 1, 1, 0)
    assert _whose(database, "wang@corp.example", START + 6 * DAY) == "E1"
    assert _whose(database, "wang@corp.example", START + 4 * DAY) == "E2"


def test_a_file_without_ids_is_matched_by_a_providers_account(database: Database) -> None:
    _say(database, employee_number="E1")
    report = take(database, "UserPrincipalName,LastWorkingDate\nwang@corp.example,2030-01-31\n")
    assert counts(report) == (0, 1, 0, 0)
    assert _facts(database).employments[0].last_day is not None


def test_a_renamed_account_ends_unless_its_owner_is_leaving(database: Database) -> None:
    user = _say(database, employee_number="E1")
    user = _say(database, user, user_name="fox@corp.example", at=START + DAY)
    assert _whose(database, "wang@corp.example", START) == "E1"
    assert _whose(database, "wang@corp.example", START + DAY) is None
    assert _whose(database, "fox@corp.example", START) == "E1"
    take(database, "id,last working day\nE1,2030-01-31\n")
    _say(database, user, user_name="gone-fox@corp.example", at=START + 2 * DAY)
    assert _whose(database, "fox@corp.example", START + 9 * DAY) == "E1"


def test_a_name_that_is_given_to_somebody_else_is_theirs_from_then_on(database: Database) -> None:
    first = _say(database, employee_number="E1", emails=(MailAddress("sales@corp.example", "work"),))
    _say(database, first, emails=(), at=START + DAY)
    second: dict[str, Any] = {"user_name": "li@corp.example", "employee_number": "E2"}
    _say(database, **second, emails=(MailAddress("sales@corp.example", "work"),), at=START + 2 * DAY)
    found = [_whose(database, "sales@corp.example", START + days * DAY) for days in (0, 1, 2)]
    assert found == ["E1", None, "E2"]


def test_a_second_account_for_administration_adds_up_and_says_nothing_else(database: Database) -> None:
    first = _say(database, employee_number="E1", display_name="Wang", department="Sales")
    second: dict[str, Any] = {
        "user_name": "adm-wang@corp.example",
        "employee_number": "E1",
        "display_name": "Wang (admin)",
    }
    _say(database, **second, at=START + 1)
    person = _facts(database)
    assert (person.name, person.department) == ("Wang", "Sales")
    assert [held.name for held in person.accounts] == ["adm-wang@corp.example", "wang@corp.example"]
    _say(database, first, display_name="Wang Fox", at=START + 2)
    assert _facts(database).name == "Wang Fox"
    assert len(_facts(database).accounts) == 2


def test_a_corrected_employee_number_moves_the_accounts_from_then_on(database: Database) -> None:
    user = _say(database, employee_number="E1", department="Sales")
    moved = _say(database, user, employee_number="E2", at=START + DAY)
    assert moved.person_id == "E2"
    assert [_whose(database, "wang@corp.example", START + days * DAY) for days in (0, 1)] == ["E1", "E2"]
    assert _facts(database, "E2").department == "Sales"


def test_managers_are_found_by_id_number_or_account_and_never_go_round(database: Database) -> None:
    boss = _say(database, user_name="boss@corp.example", employee_number="B1")
    user = _say(database, employee_number="E1")
    for said in (boss.id, "B1", "BOSS@corp.example"):
        user = _say(database, user, manager=said)
        assert _facts(database).manager_id == "B1", said
        user = _say(database, user, manager=None)
        assert _facts(database).manager_id is None
    user = _say(database, user, manager=boss.id)
    boss = _say(database, boss, manager=user.id)
    assert _facts(database, "B1").manager_id is None
    _say(database, user, manager=user.id)
    assert _facts(database).manager_id is None


def test_the_same_word_again_changes_no_person(database: Database) -> None:
    user = _say(database, employee_number="E1", department="Sales")
    version = _version(database)
    _say(database, user, external_id="new")
    assert _version(database) == version


def test_an_import_is_not_undone_below_what_a_provider_changed(database: Database) -> None:
    report = take(database, "id,account\nE1,wangxm\n")
    _say(database, employee_number="E1")
    with database.begin() as connection, pytest.raises(CannotUndo, match="E1 \\(scim\\)"):
        undo_import(connection, report.import_id or 0, actor="cli:hr", at=START)


def test_unusable_words_change_nothing(database: Database) -> None:
    _say(database, employee_number="E1")
    wrong: list[dict[str, Any]] = [
        {"user_name": " "},
        {"user_name": "x" * 257},
        {"user_name": "x", "employee_number": "9" * 121},
        {"user_name": "x", "department": "a\nb"},
        {"user_name": "x", "emails": tuple(MailAddress(f"{n}@x") for n in range(65))},
    ]
    for words in wrong:
        with pytest.raises(UnusableWord):
            _say(database, **words)
    with pytest.raises(NameTaken):
        _say(database, user_name="WANG@CORP.EXAMPLE")
    assert {person.id for person in _directory(database).people()} == {"E1"}


def test_words_that_name_no_zone_leave_the_companys(database: Database) -> None:
    user = _say(database, employee_number="E1", time_zone="Mars/Olympus")
    assert _facts(database).time_zone == "Europe/Berlin"
    _say(database, user, time_zone="asia/shanghai")
    assert _facts(database).time_zone == "Asia/Shanghai"


@pytest.mark.parametrize("goes", ["disabled", "deleted", "renamed"])
def test_an_address_that_another_active_user_lists_stays_open(database: Database, goes: str) -> None:
    mail = (MailAddress("Wang.Team@corp.example", "work"), MailAddress("corp\\wang", "work"))
    main = _say(database, employee_number="E1", emails=mail)
    second = _say(database, user_name="wang-adm@corp.example", employee_number="E1", emails=mail)
    if goes == "disabled":
        second = _say(database, second, at=START + 1, active=False)
    elif goes == "renamed":
        second = _say(database, second, at=START + 1, emails=(), user_name="x@corp.example")
    else:
        with database.begin() as connection:
            deprovision(connection, second, at=START + 1, actor="x")
    assert _closed_at(database, "wang-adm@corp.example") == START + 1
    assert _closed_at(database, "wang.team@corp.example") is None
    assert _closed_at(database, "corp\\wang") is None
    main = _say(database, main, at=START + 2, active=False)
    assert _closed_at(database) == START + 2
    assert _closed_at(database, "wang.team@corp.example") == START + 2


def test_a_users_own_name_is_shut_with_it_whoever_lists_it_as_an_address(database: Database) -> None:
    main = _say(database, employee_number="E1")
    mail = (MailAddress("wang@corp.example", "work"),)
    second = _say(database, user_name="wang-adm@corp.example", emails=mail)
    assert second.person_id is None
    _say(database, second, at=START + 1, active=False)
    assert _closed_at(database) is None
    _say(database, _say(database, second, at=START + 2, active=True), at=START + 2, display_name="Admin")
    _say(database, main, at=START + 3, active=False)
    assert _closed_at(database) == START + 3
