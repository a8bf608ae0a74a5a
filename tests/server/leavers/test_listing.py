"""The console's list of leavers: order, pages, search, and what each role sees beside the rows."""

from __future__ import annotations

import msgspec
import pytest

from server.leavers.detail import leaver_detail
from server.leavers.listing import LeaverPage, last_days, list_leavers
from server.leavers.named import UnknownLeaver
from server.people.facts import LeaverFlag
from server.people.flags import FlagRefused, flag_person, last_change, undo_flag, unflag_person
from server.people.roles import NotAllowed, Role
from server.people.sign_offs import Item
from server.store.database import Database
from tests.server.leavers.company import NAMES, NOW, USED_AT, alert, make_company, use
from tests.server.people.directories import day

MINUTE = 60_000


def _list(database: Database, role: Role, **options: object) -> LeaverPage:
    return list_leavers(database, role, now=NOW, **options)  # type: ignore[arg-type]


def _acts(database: Database) -> None:
    use(database, "account:yanzm", USED_AT, person_id="E1001")
    alert(database, "person:E1001")
    alert(database, "person:E1004")


def test_those_to_come_stand_first_then_who_left_the_latest_first(database: Database) -> None:
    make_company(database)
    page = _list(database, Role.HR)
    assert [row.person for row in page.rows] == ["E1003", "E1004", "E1001", "E1002", "E1005", "E1008"]
    assert (page.total, page.next, page.seen) == (6, None, {})
    assert [row.person for row in _list(database, Role.HR, scope="all").rows][-1] == "E1006"


def test_a_row_says_names_dates_what_is_open_and_where_that_comes_from(database: Database) -> None:
    make_company(database)
    rows = {row.person: row for row in _list(database, Role.HR).rows}
    gone = rows["E1001"]
    assert (gone.name, gone.last_working_day, gone.last_hour) == ("Yan Zhuming", "2026-11-13", "17:30")
    assert (gone.matched, gone.open_accounts, gone.open_machines, gone.open_secrets) == (True, 3, 1, 1)
    assert gone.origin is not None
    assert (gone.origin.source, gone.origin.edited_by) == ("file", "test")
    assert rows["E1004"].origin is not None
    assert rows["E1004"].origin.source == "by_hand"
    assert rows["E1008"].unsigned == ()


def test_nothing_that_anybody_did_changes_what_hr_gets(database: Database) -> None:
    make_company(database)
    before = msgspec.json.encode(
        (_list(database, Role.HR), leaver_detail(database, Role.HR, "E1001", now=NOW))
    )
    _acts(database)
    after = msgspec.json.encode(
        (_list(database, Role.HR), leaver_detail(database, Role.HR, "E1001", now=NOW))
    )
    assert before == after


def test_analysts_see_pseudonyms_last_use_and_open_alerts(database: Database) -> None:
    make_company(database)
    _acts(database)
    page = _list(database, Role.ANALYST)
    written = msgspec.json.encode(page).decode().casefold()
    assert not [name for name in NAMES if name in written]
    third = page.rows[2]
    assert page.seen[third.person].used_at == USED_AT
    assert page.seen[third.person].open_alerts == 1
    assert [row.origin for row in page.rows] == [None] * 6
    found = _list(database, Role.ANALYST, text=third.person.lower())
    assert [row.person for row in found.rows] == [third.person]
    for name in NAMES:
        assert not _list(database, Role.ANALYST, text=name).rows


def test_administrators_see_last_use_and_no_alerts(database: Database) -> None:
    make_company(database)
    _acts(database)
    seen = _list(database, Role.ADMINISTRATOR).seen
    assert (seen["E1001"].used_at, seen["E1001"].open_alerts) == (USED_AT, None)


def test_pages_hold_every_row_once_whatever_was_taken_away_between(database: Database) -> None:
    make_company(database)
    first = _list(database, Role.HR, limit=2)
    assert first.next is not None
    with database.begin() as connection:
        unflag_person(connection, "E1004", actor="user:hr", at=NOW, reason="stays")
    rest = _list(database, Role.HR, limit=10, after=first.next)
    assert {row.person for row in rest.rows} >= {"E1001", "E1002", "E1005", "E1008"}
    for broken in ("x", "1.2", "1.2.zz", "0.1.ff", "9" * 400):
        assert _list(database, Role.HR, after=broken).rows


def test_where_an_analysts_next_page_begins_names_nobody_and_asks_about_nobody(database: Database) -> None:
    make_company(database)
    ids = [row.person for row in _list(database, Role.HR, scope="all").rows]
    seen: list[str] = []
    after = ""
    while True:
        page = _list(database, Role.ANALYST, scope="all", limit=1, after=after)
        seen += [row.person for row in page.rows]
        if page.next is None:
            break
        after = page.next
        for each in ids:
            assert each.casefold() not in after.casefold()
            assert each.encode().hex() not in after
    assert len(set(seen)) == len(ids)
    for made_up in (f"2.9.{b'E1001'.hex()}", "2.9.E1001", "2.9."):
        assert _list(database, Role.ANALYST, scope="all", after=made_up).rows[0].person == seen[0]


def test_search_is_by_name_id_and_department(database: Database) -> None:
    make_company(database)
    for text, ids in (
        ("zhuming", ["E1001"]),
        ("e1005", ["E1005"]),
        ("sales", ["E1004", "E1001"]),
        ("zz", []),
    ):
        assert [row.person for row in _list(database, Role.HR, text=text).rows] == ids


def test_the_strip_counts_last_days(database: Database) -> None:
    make_company(database)
    first = day("2026-11-22")
    assert last_days(database, now=NOW, first=first, days=14) == {first + 2: 1, first + 12: 1}
    one = _list(database, Role.HR, day=first + 2)
    assert [row.person for row in one.rows] == ["E1003"]


def test_security_s_look_at_activity_is_for_security(database: Database) -> None:
    make_company(database)
    for role in (Role.HR, Role.ADMINISTRATOR):
        found = leaver_detail(database, role, "E1008", now=NOW)
        assert Item.ACTIVITY not in found.items
        assert {each.item for each in found.sign_offs} == {Item.DATES, Item.ACCOUNTS}
    page = _list(database, Role.ANALYST)
    detail = leaver_detail(database, Role.ANALYST, page.rows[-1].person, now=NOW)
    assert Item.ACTIVITY in {each.item for each in detail.sign_offs}


def test_a_page_of_somebody_who_stays_is_hrs_and_not_the_analysts(database: Database) -> None:
    make_company(database)
    found = leaver_detail(database, Role.HR, "E1007", now=NOW)
    assert found.card is not None
    assert (found.card.name, found.row) == ("Bai Suzhen", None)
    with pytest.raises(UnknownLeaver):
        leaver_detail(database, Role.ANALYST, "E1007", now=NOW)
    with pytest.raises(UnknownLeaver):
        leaver_detail(database, Role.HR, "E9999", now=NOW)
    with pytest.raises(NotAllowed):
        leaver_detail(database, Role.AUDITOR, "E1007", now=NOW)


def test_corrections_and_withdrawals_are_told(database: Database) -> None:
    make_company(database)
    with database.begin() as connection:
        flag = LeaverFlag(day("2026-12-11"), leaving_type="resigned", note="moves to Xiamen")
        flag_person(connection, "E1004", flag, actor="user:anna", at=NOW + 1, reason=None, whole=True)
    found = leaver_detail(database, Role.HR, "E1004", now=NOW)
    assert found.flag is not None
    assert (found.flag.last_hour, found.flag.note) == (None, "moves to Xiamen")
    latest = found.history[0]
    assert (latest.by, latest.way, latest.rescinded) == ("user:anna", "flag", False)
    assert ("last_working_day", "2026-12-04 18:00", "2026-12-11") in {
        (field.column, field.before, field.after) for field in latest.fields
    }
    with database.begin() as connection:
        flag_person(
            connection, "E1007", LeaverFlag(day("2026-12-11")), actor="a", at=NOW, reason=None, whole=True
        )
        unflag_person(connection, "E1007", actor="user:anna", at=NOW + 2, reason="stays")
    assert leaver_detail(database, Role.HR, "E1007", now=NOW).history[0].rescinded


def test_a_flag_is_undone_by_who_set_it_soon_and_as_long_as_nothing_came_after(database: Database) -> None:
    make_company(database)
    with database.begin() as connection:
        flag_person(
            connection,
            "E1007",
            LeaverFlag(day("2026-12-11")),
            actor="user:a",
            at=NOW,
            reason=None,
            whole=True,
        )
        change = last_change(connection, "E1007")
    assert change is not None
    for actor, at in (("user:b", NOW + 1), ("user:a", NOW + 11 * MINUTE)):
        with pytest.raises(FlagRefused), database.begin() as connection:
            undo_flag(connection, "E1007", change, actor=actor, at=at)
    with database.begin() as connection:
        assert undo_flag(connection, "E1007", change, actor="user:a", at=NOW + 5).flag is None
    with pytest.raises(FlagRefused), database.begin() as connection:
        undo_flag(connection, "E1007", change, actor="user:a", at=NOW + 6)
    assert leaver_detail(database, Role.HR, "E1007", now=NOW).row is None
