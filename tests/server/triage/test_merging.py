"""Merging: nothing is lost from the lists, whatever comes of the main alert."""

from __future__ import annotations

import threading

import pytest

from server.alerts.parts import highest_scores, set_free, set_orphans_free
from server.alerts.queries import Verdict
from server.housekeeping import drop_old
from server.retention import ACTIVITY_DAYS
from server.store.database import Database
from server.store.tables import alerts
from server.triage.judging import close
from server.triage.merging import NoMain, merge, unmerge
from server.triage.outcome import Outcome, Why
from server.triage.undoing import UNDO_MS, CannotUndo, undo
from server.triage.verbs import assign
from tests.server.alerts.recorded_leak import NOW
from tests.server.triage.queue import EVE, KEEPING, OMAR, column, everything, listed, lost, of, queue, write


def test_parts_stand_in_no_list_and_the_main_alert_shows_the_highest_score(database: Database) -> None:
    queue(database, 4)
    with database.begin() as connection:
        found = merge(connection, of(1, 2, 3), 1)
    assert (found.done, found.refused, found.changed) == ((2, 3), (), (2, 3, 1))
    assert (listed(database), lost(database)) == ([1, 4], [])
    write(database, 3, score=87)
    with database.read() as connection:
        assert highest_scores(connection, [1, 4]) == {1: 87}


def test_parts_of_what_is_merged_come_along_and_a_part_stands_for_its_main_alert(database: Database) -> None:
    queue(database, 4)
    with database.begin() as connection:
        merge(connection, of(2), 1)
    before = everything(database)
    with database.begin() as connection:
        first = merge(connection, of(1), 3)
        merge(connection, of(4), 2)
    assert column(database, "merged_into") == {1: 3, 2: 3, 3: None, 4: 3}
    with database.begin() as connection:
        undone = undo(connection, first.group or 0, OMAR, NOW, keeping=KEEPING)
    assert set(undone.done) == {1, 2}
    assert column(database, "merged_into") == {1: None, 2: 1, 3: None, 4: 3}
    write(database, 4, merged_into=None)
    assert everything(database) == before


def test_nothing_is_merged_into_what_is_not_open(database: Database) -> None:
    queue(database)
    write(database, 2, status="held")
    with database.begin() as connection:
        close(connection, of(1, actor=EVE), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
        for into, why in ((1, Why.CLOSED), (2, Why.NOT_OPEN), (99, Why.UNKNOWN), (2**70, Why.UNKNOWN)):
            with pytest.raises(NoMain) as raised:
                merge(connection, of(3), into)
            assert raised.value.refused.why is why
        found = merge(connection, of(1, 2, 3), 3)
    assert [(each.id, each.why) for each in found.refused] == [(1, Why.CLOSED), (2, Why.NOT_OPEN)]


def test_what_is_taken_out_stands_by_itself_also_after_undoing(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        merge(connection, of(2), 1)
        found = unmerge(connection, of(2, 3))
    assert (found.done, [each.why for each in found.refused]) == ((2,), [Why.NOT_MERGED])
    assert listed(database) == [1, 2, 3]
    with database.begin() as connection:
        undo(connection, found.group or 0, OMAR, NOW, keeping=KEEPING)
    assert (listed(database), lost(database)) == ([1, 3], [])


def test_undoing_never_leads_back_to_a_main_alert_that_was_closed(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        merge(connection, of(2), 1)
        found = unmerge(connection, of(2))
        close(connection, of(1, actor=EVE), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
        undone = undo(connection, found.group or 0, OMAR, NOW, keeping=KEEPING)
    assert [(each.id, each.why, each.values) for each in undone.refused] == [(2, Why.GONE, {"alert": 1})]
    assert (listed(database), lost(database)) == ([2, 3], [])


def test_undoing_never_leaves_parts_at_an_alert_that_becomes_a_part_again(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        merge(connection, of(2), 1)
        found = unmerge(connection, of(2))
        merge(connection, of(3, actor=EVE), 2)
        undone = undo(connection, found.group or 0, OMAR, NOW, keeping=KEEPING)
    assert [each.why for each in undone.refused] == [Why.HAS_PARTS]
    assert (listed(database), lost(database)) == ([1, 2], [])


def test_a_main_alert_that_is_withdrawn_or_erased_lets_its_parts_go(database: Database) -> None:
    queue(database, 4)
    with database.begin() as connection:
        merge(connection, of(2), 1)
        merge(connection, of(4), 3)
    write(database, 1, status="held")
    with database.begin() as connection:
        set_free(connection, [1], NOW)
        connection.execute(alerts.delete().where(alerts.c.id == 3))
        set_orphans_free(connection, NOW)
    assert (listed(database), lost(database)) == ([2, 4], [])


def test_only_what_was_done_is_undone_and_later_changes_stay(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        mine = assign(connection, of(1, 2, 3), "omar")
        assign(connection, of(2, actor=EVE), "eve")
        # There and back again is a change too.
        assign(connection, of(3, actor=EVE), None)
        assign(connection, of(3, actor=EVE), "omar")
        merge(connection, of(1, actor=EVE), 2)
        undone = undo(connection, mine.group or 0, OMAR, NOW, keeping=KEEPING)
    assert undone.done == (1,)
    assert [(each.id, each.message) for each in undone.refused] == [
        (2, "Alert 2 was changed by eve meanwhile."),
        (3, "Alert 3 was changed by eve meanwhile."),
    ]
    assert column(database, "owner") == {1: None, 2: "eve", 3: "omar"}
    assert column(database, "merged_into")[1] == 2


def test_one_after_the_other_is_undone_and_each_once(database: Database) -> None:
    queue(database, 1)
    before = everything(database)
    with database.begin() as connection:
        first = assign(connection, of(1), "omar")
        second = assign(connection, of(1), "eve")
        early = undo(connection, first.group or 0, OMAR, NOW, keeping=KEEPING)
        assert [each.why for each in early.refused] == [Why.CHANGED]
        assert undo(connection, second.group or 0, OMAR, NOW, keeping=KEEPING).done == (1,)
        assert undo(connection, first.group or 0, OMAR, NOW, keeping=KEEPING).done == (1,)
        again = undo(connection, first.group or 0, OMAR, NOW, keeping=KEEPING)
        assert [each.why for each in again.refused] == [Why.UNDONE]
    assert everything(database) == before


def test_only_who_did_it_undoes_it_and_not_for_long(database: Database) -> None:
    queue(database, 1)
    with database.begin() as connection:
        group = assign(connection, of(1), "omar").group or 0
        for number, actor in ((group, EVE), (group + 1, OMAR), (-1, OMAR), (2**70, OMAR)):
            with pytest.raises(CannotUndo, match="nothing of yours"):
                undo(connection, number, actor, NOW, keeping=KEEPING)
        with pytest.raises(CannotUndo, match="10 minutes"):
            undo(connection, group, OMAR, NOW + UNDO_MS + 1, keeping=KEEPING)
        connection.execute(alerts.delete())
        with pytest.raises(CannotUndo, match="is there any more"):
            undo(connection, group, OMAR, NOW, keeping=KEEPING)


def test_a_part_outlives_a_main_alert_that_retention_drops(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        merge(connection, of(2), 1)
        mine = assign(connection, of(3), "omar")
        close(connection, of(1), Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)
    later = NOW + 1000 * 86_400_000
    write(database, 2, last_time=later)
    keep = {"events_days": 90, "alerts_days": 730, "uses_days": 730}
    dropped = drop_old(database, now=later, **keep, stop=threading.Event())
    assert (dropped["alerts"], dropped["triage_groups"]) == (1, 3)
    assert (listed(database, "closed"), lost(database)) == ([2], [])
    with pytest.raises(CannotUndo), database.begin() as connection:
        undo(connection, mine.group or 0, OMAR, NOW, keeping=KEEPING)


def test_two_who_close_at_once_are_told_apart(database: Database) -> None:
    queue(database, 1)
    both = threading.Barrier(2)
    outcomes: dict[str, Outcome] = {}

    def work(actor: str, verdict: Verdict) -> None:
        both.wait()
        with database.begin() as connection:
            change = of(1, actor=actor, versions={1: 0})
            outcomes[actor] = close(connection, change, verdict, "seen", activity_days=ACTIVITY_DAYS)

    threads = [
        threading.Thread(target=work, args=who) for who in ((OMAR, Verdict.FALSE), (EVE, Verdict.CONFIRMED))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (first,) = (actor for actor, found in outcomes.items() if found.done)
    (second,) = (found for found in outcomes.values() if not found.done)
    assert [(each.why, each.values["by"]) for each in second.refused] == [
        (Why.CLOSED, first.removeprefix("user:"))
    ]
