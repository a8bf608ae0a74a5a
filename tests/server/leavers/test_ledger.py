"""The leaver ledger as each role sees it: order, what is open, who is behind it, and what HR must not get."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import select

from server.alerts.view_types import Unmasking
from server.leavers.ledger import Ledger, LedgerRow, Urgency, ledger
from server.leavers.named import UnknownLeaver, person_named
from server.people.account_facts import AccountWords, declare_account
from server.people.leaver_ledger import passwords_known
from server.people.leaving import State
from server.people.pseudonyms import known_pseudonyms, unmask
from server.people.roles import NotAllowed, Role
from server.people.sign_offs import Item
from server.store.database import Database
from server.store.tables import audit
from tests.server.leavers.company import NAMES, NOW, USED_AT, alert, make_company, use

pytestmark = pytest.mark.databases("sqlite")
WHO_SEE_LEAVERS = (Role.HR, Role.ANALYST, Role.ADMINISTRATOR)
ALL = ("E1001", "E1002", "E1003", "E1004", "E1005", "E1006", "E1008")


def _ledger(database: Database, role: Role, **options: object) -> Ledger:
    return ledger(database, role, now=NOW, **options)  # type: ignore[arg-type]


def _by_id(found: Ledger) -> dict[str, LedgerRow]:
    return {row.person: row for row in found.rows}


def _active(database: Database) -> None:
    use(database, "account:yanzm", USED_AT, person_id="E1001")
    alert(database, "person:E1001")
    alert(database, "account:kefu@shipping", suspect="E1001")
    alert(database, "person:E1002", status="closed")
    alert(database, "person:E1004")


def test_it_is_ordered_by_urgency_and_holds_who_is_not_done(database: Database) -> None:
    make_company(database)
    _active(database)
    found = _ledger(database, Role.ADMINISTRATOR)
    assert [(row.person, row.urgency) for row in found.rows] == [
        ("E1001", Urgency.USED),
        ("E1002", Urgency.LEFT_OPEN),
        ("E1003", Urgency.LAST_WEEK),
        ("E1004", Urgency.NOTICE),
        ("E1005", Urgency.TO_SIGN),
    ]
    assert found.hidden == 2
    everybody = _ledger(database, Role.ADMINISTRATOR, everybody=True)
    assert {row.person for row in everybody.rows} == set(ALL)
    assert everybody.rows[-1].urgency is Urgency.DONE
    assert everybody.hidden == 0


def test_who_left_long_ago_is_back_on_it_when_something_of_theirs_is_used(database: Database) -> None:
    make_company(database)
    assert "E1006" not in _by_id(_ledger(database, Role.ADMINISTRATOR))
    assert "E1006" in _by_id(_ledger(database, Role.ADMINISTRATOR, days=1000))
    use(database, "account:kuangwl", USED_AT, person_id="E1006")
    row = _by_id(_ledger(database, Role.ADMINISTRATOR))["E1006"]
    assert (row.urgency, row.used_at, row.days_left) == (Urgency.USED, USED_AT, -601)


def test_a_row_says_what_is_open(database: Database) -> None:
    make_company(database)
    rows = _by_id(_ledger(database, Role.ADMINISTRATOR, everybody=True))
    gone = rows["E1001"]
    assert (gone.last_working_day, gone.last_hour, gone.days_left) == ("2026-11-13", "17:30", -9)
    assert [(each.account, each.kind, each.state) for each in gone.accounts] == [
        ("corp\\yanzm", "personal", State.OPEN),
        ("y@corp.example", "personal", State.OPEN),
        ("yanzm", "personal", State.OPEN),
    ]
    assert [(each.machine, each.state) for each in gone.machines] == [("yanzm-laptop", State.OPEN)]
    assert [(each.account, each.system, each.state) for each in gone.secrets] == [
        ("kefu", "shipping", State.OPEN)
    ]
    second = rows["E1002"]
    assert [each.state for each in second.accounts] == [State.CLOSED]
    assert [each.state for each in second.machines] == [State.HANDED_OVER]
    flagged = rows["E1004"]
    assert (flagged.last_working_day, flagged.last_hour, flagged.flagged) == ("2026-12-04", "18:00", True)
    assert rows["E1005"].unsigned == (Item.DATES, Item.ACCOUNTS, Item.ACTIVITY)
    assert rows["E1008"].unsigned == ()


def _used(database: Database) -> dict[str, int | None]:
    return {row.person: row.used_at for row in _ledger(database, Role.ADMINISTRATOR, everybody=True).rows}


def test_use_up_to_the_last_moment_is_work_and_after_it_is_not(database: Database) -> None:
    make_company(database)
    left_at = _by_id(_ledger(database, Role.ADMINISTRATOR))["E1001"].left_at
    assert left_at is not None
    use(database, "account:yanzm", left_at - 900, person_id="E1001", until=left_at - 1)
    use(database, "account:luxy", left_at - 900, person_id="E1002", until=left_at - 1)
    assert _used(database)["E1001"] is None
    # She had left a week before.
    assert _used(database)["E1002"] == left_at - 1
    use(database, "account:corp\\yanzm", left_at, person_id="E1001")
    assert _used(database)["E1001"] == left_at


def test_each_account_says_when_it_was_used_since(database: Database) -> None:
    make_company(database)
    use(database, "account:yanzm", USED_AT, person_id="E1001")
    use(database, "account:y@corp.example", USED_AT - 5)
    row = _by_id(_ledger(database, Role.ADMINISTRATOR))["E1001"]
    assert {each.account: each.used_at for each in row.accounts} == {
        "corp\\yanzm": None,
        "y@corp.example": USED_AT - 5,
        "yanzm": USED_AT,
    }
    assert row.used_at == USED_AT


def test_an_account_as_no_list_has_it_counts_for_whom_it_is_thought_to_be(database: Database) -> None:
    make_company(database)
    use(database, "account:yanzm@desk-9", USED_AT, person_id="E1001")
    assert _used(database)["E1001"] == USED_AT


def test_a_machine_that_was_not_given_back_is_used_by_whoever_uses_it_and_a_reissued_one_is_not(
    database: Database,
) -> None:
    make_company(database)
    use(database, "account:baisz", USED_AT, person_id="E1007", trait="host:yanzm-laptop")
    use(database, "account:baisz", USED_AT, person_id="E1007", trait="host:luxy-laptop")
    rows = _by_id(_ledger(database, Role.ADMINISTRATOR))
    assert (rows["E1001"].used_at, rows["E1001"].machines[0].used_at) == (USED_AT, USED_AT)
    assert (rows["E1002"].used_at, rows["E1002"].machines[0].used_at) == (None, None)


def test_a_shared_account_that_others_go_on_using_is_not_the_leavers_use(database: Database) -> None:
    make_company(database)
    use(database, "account:shipping\\kefu", USED_AT)
    assert set(_used(database).values()) == {None}


def test_whoever_used_a_shared_account_from_a_machine_of_theirs_knows_its_password(
    database: Database,
) -> None:
    make_company(database)
    with database.begin() as connection:
        desk = AccountWords("front", "desk", kind="shared", owner="E1007")
        declare_account(connection, desk, actor="test", at=NOW, reason=None)
    early = USED_AT - 90 * 86_400_000
    use(database, "account:desk\\front", early, trait="host:yanzm-laptop", until=USED_AT)
    # From a machine that was somebody else's by then, or after leaving, it says nothing of her.
    use(database, "account:desk\\front", USED_AT, trait="host:luxy-laptop")
    rows = _by_id(_ledger(database, Role.ADMINISTRATOR))
    assert [(each.account, each.by_use, each.state) for each in rows["E1001"].secrets] == [
        ("kefu", False, State.OPEN),
        ("front", True, State.OPEN),
    ]
    assert [each.account for each in rows["E1002"].secrets] == ["kefu"]
    assert [each.account for each in _by_id(_ledger(database, Role.HR))["E1001"].secrets] == ["kefu"]


# ---- roles ------------------------------------------------------------------------------------------------


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize("role", WHO_SEE_LEAVERS)
def test_each_role_sees_the_leavers(database: Database, role: Role) -> None:
    make_company(database)
    _active(database)
    found = _ledger(database, role, everybody=True)
    assert len(found.rows) == len(ALL)
    shows_ids = {row.person for row in found.rows} == set(ALL)
    assert shows_ids == (role is not Role.ANALYST)
    assert any(row.used_at is not None for row in found.rows) == (role is not Role.HR)
    assert any(row.open_alerts is not None for row in found.rows) == (role is Role.ANALYST)
    notes = [signed.note for row in found.rows for signed in row.sign_offs if signed.note]
    assert bool(notes) == (role is Role.ANALYST)


def test_hr_gets_the_same_to_the_last_byte_whatever_anybody_did(database: Database) -> None:
    make_company(database)
    quiet = msgspec.json.encode(_ledger(database, Role.HR, everybody=True))
    shown = msgspec.json.encode(_ledger(database, Role.HR))
    _active(database)
    use(database, "account:kuangwl", USED_AT, person_id="E1006")
    assert msgspec.json.encode(_ledger(database, Role.HR, everybody=True)) == quiet
    assert msgspec.json.encode(_ledger(database, Role.HR)) == shown
    assert b"4,000 files" not in quiet


def test_nothing_that_names_anybody_is_in_what_analysts_get(database: Database) -> None:
    make_company(database)
    _active(database)
    text = msgspec.json.encode(_ledger(database, Role.ANALYST, everybody=True)).decode().casefold()
    assert [name for name in NAMES if name in text] == []
    # The times are there all the same.
    assert str(USED_AT) in text


def test_pseudonyms_are_those_of_alerts_and_stay_the_same(database: Database) -> None:
    make_company(database)
    first = _ledger(database, Role.ANALYST, everybody=True)
    second = _ledger(database, Role.ANALYST, everybody=True)
    assert first == second
    with database.read() as connection:
        known = known_pseudonyms(connection, [f"person:{person_id}" for person_id in ALL])
    assert {row.person for row in first.rows} == set(known.values())
    accounts = {each.account for row in first.rows for each in row.accounts}
    assert all(account.startswith("A-") for account in accounts)
    secret = next(each.account for row in first.rows for each in row.secrets)
    with database.begin() as connection:
        assert unmask(connection, secret, actor="x", at=NOW, reason="case 9").accounts == ("kefu",)


def _why() -> Unmasking:
    return Unmasking("cli:ann", NOW, "case 9")


def test_unmasking_leaves_a_row_for_each_person_that_is_shown(database: Database) -> None:
    make_company(database)
    _active(database)
    found = _ledger(database, Role.ANALYST, unmasking=_why())
    row = _by_id(found)["E1001"]
    assert (row.name, row.open_alerts, row.machines[0].machine) == ("Yan Zhuming", 2, "yanzm-laptop")
    with database.read() as connection:
        rows = connection.execute(select(audit).where(audit.c.action == "pseudonym.unmask")).all()
    assert len(rows) == len(found.rows) == 5
    assert {(each.actor, each.reason) for each in rows} == {("cli:ann", "case 9")}


@pytest.mark.parametrize("role", [Role.HR, Role.ADMINISTRATOR])
def test_only_analysts_unmask(database: Database, role: Role) -> None:
    make_company(database)
    with pytest.raises(NotAllowed):
        _ledger(database, role, unmasking=_why())
    with database.read() as connection:
        assert connection.execute(select(audit).where(audit.c.action == "pseudonym.unmask")).all() == []


@pytest.mark.parametrize("role", WHO_SEE_LEAVERS)
def test_nobody_learns_who_is_behind_a_pseudonym_by_naming_somebody(database: Database, role: Role) -> None:
    make_company(database)
    with database.read() as connection:
        pseudonym = known_pseudonyms(connection, ["person:E1001"])["person:E1001"]
        right, wrong = (pseudonym, "E1001") if role is Role.ANALYST else ("E1001", pseudonym)
        assert person_named(connection, right, role) == "E1001"
        with pytest.raises(UnknownLeaver):
            person_named(connection, wrong, role)


def test_auditors_see_no_leavers(database: Database) -> None:
    with pytest.raises(NotAllowed):
        _ledger(database, Role.AUDITOR)


def test_alerts_count_for_the_subject_and_for_the_suspect_and_not_for_whose_account_it_was(
    database: Database,
) -> None:
    make_company(database)
    _active(database)
    rows = _by_id(_ledger(database, Role.ANALYST, everybody=True, unmasking=_why()))
    assert {person: row.open_alerts for person, row in rows.items()} == {
        **dict.fromkeys(ALL, 0),
        "E1001": 2,
        "E1004": 1,
    }


def test_status_counts_passwords_that_who_left_still_knows_until_they_are_changed(database: Database) -> None:
    make_company(database)
    with database.begin() as connection:
        assert passwords_known(connection, NOW) == 1
        changed = AccountWords("kefu", "shipping", rotated_at=NOW - 1)
        declare_account(connection, changed, actor="test", at=NOW, reason=None)
        assert passwords_known(connection, NOW) == 0
