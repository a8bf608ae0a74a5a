"""Cases: alerts gathered, noted, closed with an outcome; every change is on record, not what was typed."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select, update

from server.cases.changing import (
    add_alerts,
    add_note,
    assign,
    close_case,
    open_case,
    open_or_join_case,
    remove_alerts,
    rename,
    reopen_case,
)
from server.cases.reading import (
    CasePlace,
    alert_ids_of,
    case_alerts_of,
    case_entries,
    cases_of_alerts,
    count_cases,
    get_case,
    list_cases,
)
from server.cases.records import ALERTS_MAX, CaseChanged, CaseRefused, Outcome, UnknownCase
from server.store.database import Database
from server.store.tables import alerts, audit, case_history, cases
from tests.server.alerts.recorded_leak import NOW, enrolled_agent, open_alert

OMAR = "user:omar"


def _alerts(database: Database, *ids: int) -> None:
    enrolled_agent(database)
    for number in ids:
        open_alert(database, events=3, subject=f"person:E{number}", alert_id=number, score=50 + number)


def test_alerts_are_gathered_noted_and_closed_with_an_outcome(database: Database) -> None:
    _alerts(database, 1, 2, 3)
    with database.begin() as connection:
        made = open_or_join_case(connection, [1, 2], actor=OMAR, at=NOW, title="  The long goodbye ")
        again = open_or_join_case(connection, [2, 3, 9], actor="user:lin", at=NOW + 1, case_id=made.case)
        add_note(connection, made.case, "Alice Wang was asked about it", actor=OMAR, at=NOW + 2)
        assign(connection, made.case, "omar", actor="user:lin", at=NOW + 3)
        rename(connection, made.case, "Customers on a stick", actor=OMAR, at=NOW + 4)
        close_case(connection, made.case, Outcome.CONFIRMED, "handed to HR", actor=OMAR, at=NOW + 5)
    assert (made.opened, made.added, made.refused) == (True, (1, 2), {})
    assert (again.opened, again.added) == (False, (3,))
    assert again.refused == {2: "alert 2 is in this case already", 9: "there is no alert 9"}
    with database.read() as connection:
        case = get_case(connection, made.case)
        assert (case.title, case.status, case.outcome, case.owner) == (
            "Customers on a stick",
            "closed",
            "confirmed",
            "omar",
        )
        assert [found.id for found in case_alerts_of(connection, case.id)] == [3, 2, 1]
        assert cases_of_alerts(connection, [1, 3, 7]) == {1: case.id, 3: case.id}
        told = [
            (entry.verb, entry.actor, entry.text, entry.alerts) for entry in case_entries(connection, case.id)
        ]
        assert told == [
            ("open", OMAR, "The long goodbye", ()),
            ("add", OMAR, None, (1, 2)),
            ("add", "user:lin", None, (3,)),
            ("note", OMAR, "Alice Wang was asked about it", ()),
            ("assign", "user:lin", None, ()),
            ("rename", OMAR, "Customers on a stick", ()),
            ("close", OMAR, "handed to HR", ()),
        ]
        rows = connection.execute(select(audit).order_by(audit.c.seq)).all()
        of_case = [row for row in rows if row.object == f"case:{case.id}"]
        assert [row.action for row in of_case] == [
            *("case.open", "case.add", "case.add", "case.note", "case.assign", "case.rename", "case.close")
        ]
        # Each alert's own custody tells of the case too.
        of_alerts = [(row.action, row.object, row.detail) for row in rows if row not in of_case]
        into = {"case": case.id}
        assert of_alerts == [("alert.escalate", f"alert:{number}", into) for number in (1, 2, 3)]
        # What people typed can be erased from the case, never from the trail.
        assert not any(word in str(row) for row in rows for word in ("Alice", "goodbye", "stick", "HR"))


def test_a_closed_case_takes_notes_and_nothing_else_until_it_is_reopened(database: Database) -> None:
    _alerts(database, 1, 2)
    with database.begin() as connection:
        case = open_or_join_case(connection, [1], actor=OMAR, at=NOW).case
        close_case(connection, case, Outcome.EXPECTED, "agreed with sales", actor=OMAR, at=NOW)
    for refused in (
        lambda c: add_alerts(c, case, [2], actor=OMAR, at=NOW),
        lambda c: remove_alerts(c, case, [1], actor=OMAR, at=NOW),
        lambda c: assign(c, case, "omar", actor=OMAR, at=NOW),
        lambda c: close_case(c, case, Outcome.FALSE, "again", actor=OMAR, at=NOW),
    ):
        with pytest.raises(CaseRefused, match=r"was closed as expected by user:omar"), database.begin() as c:
            refused(c)
    with database.begin() as connection:
        add_note(connection, case, "one more thing", actor=OMAR, at=NOW)
        reopen_case(connection, case, "it goes on", actor=OMAR, at=NOW + 1)
        add_alerts(connection, case, [2], actor=OMAR, at=NOW + 1)
        found = get_case(connection, case)
        assert (found.status, found.outcome, found.reason, found.closed_by) == ("open", None, None, None)
        assert alert_ids_of(connection, case) == [1, 2]
        assert remove_alerts(connection, case, [1, 7], actor=OMAR, at=NOW + 2) == (1,)
        assert alert_ids_of(connection, case) == [2]


def test_who_saw_an_older_case_is_told_and_changes_nothing(database: Database) -> None:
    _alerts(database, 1)
    with database.begin() as connection:
        case = open_or_join_case(connection, [1], actor=OMAR, at=NOW).case
        seen = get_case(connection, case).version
        add_note(connection, case, "a note is no conflict", actor="user:lin", at=NOW)
        assign(connection, case, "lin", actor="user:lin", at=NOW, version=seen)
    with pytest.raises(CaseChanged, match="changed meanwhile"), database.begin() as connection:
        close_case(connection, case, Outcome.FALSE, "mine", actor=OMAR, at=NOW, version=seen)
    with database.read() as connection:
        assert get_case(connection, case).status == "open"


@pytest.mark.parametrize("title", ["", "   ", "x" * 201, "a\x00b", "half \ud800"])
def test_a_title_that_cannot_be_kept_is_refused(database: Database, title: str) -> None:
    with pytest.raises(CaseRefused), database.begin() as connection:
        open_case(connection, title, actor=OMAR, at=NOW)


def test_nothing_is_opened_where_no_alert_can_go_in(database: Database) -> None:
    _alerts(database, 1)
    with database.begin() as connection:
        first = open_or_join_case(connection, [1], actor=OMAR, at=NOW, title="one").case
    for ids, message in (
        ([1], f"alert 1 is in case {first} already"),
        ([77], "there is no alert 77"),
        ([], "1 to 500"),
        (range(ALERTS_MAX + 1), "1 to 500"),
    ):
        with pytest.raises(CaseRefused, match=message), database.begin() as connection:
            open_or_join_case(connection, ids, actor=OMAR, at=NOW, title="two")
    with pytest.raises(UnknownCase), database.begin() as connection:
        open_or_join_case(connection, [1], actor=OMAR, at=NOW, case_id=99)
    with database.read() as connection:
        assert count_cases(connection) == {"open": 1, "closed": 0}


def test_lists_are_paged_without_loss_and_filtered(database: Database) -> None:
    _alerts(database, 1)
    with database.begin() as connection:
        made = [open_case(connection, f"case {n}", actor=OMAR, at=NOW + n // 3) for n in range(10)]
        assign(connection, made[4], "omar", actor=OMAR, at=NOW)
        close_case(connection, made[7], Outcome.FALSE, "no", actor=OMAR, at=NOW)
        open_or_join_case(connection, [1], actor=OMAR, at=NOW, case_id=made[0])
    with database.read() as connection:
        seen: list[int] = []
        after = None
        while page := list_cases(connection, "all", after=after, limit=3):
            seen += [line.case.id for line in page]
            after = CasePlace(page[-1].case.updated_at, page[-1].case.id)
        assert sorted(seen) == made
        [mine] = list_cases(connection, "open", owner="omar")
        [closed] = list_cases(connection, "closed")
        assert (mine.case.id, closed.case.id) == (made[4], made[7])
        assert len(list_cases(connection, "open", unowned=True)) == 8
        [full] = list_cases(connection, "all", ids=[made[0]])
        assert (full.alerts, full.people, full.score) == (1, 1, 51)


def test_an_alert_that_goes_leaves_its_case(database: Database) -> None:
    _alerts(database, 1, 2)
    with database.begin() as connection:
        case = open_or_join_case(connection, [1, 2], actor=OMAR, at=NOW).case
        connection.execute(delete(alerts).where(alerts.c.id == 1))
    with database.begin() as connection:
        assert alert_ids_of(connection, case) == [2]
        connection.execute(update(cases).values(updated_at=NOW + 9))
        connection.execute(delete(cases))
        assert connection.execute(select(case_history)).all() == []
