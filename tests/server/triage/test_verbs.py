"""Taking, snoozing and noting alerts: each refused by itself, on the record, as one group to undo."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import insert, select

from server import audit
from server.alerts.history import history_of
from server.alerts.queries import Verdict, close_alert
from server.retention import ACTIVITY_DAYS
from server.store.database import Database
from server.store.tables import alert_notes, alerts, triage_groups
from server.triage.judging import close
from server.triage.outcome import BULK_MAX, Change, Outcome, Shown, TooMany, Why
from server.triage.reading import NOTES_MAX, notes_of
from server.triage.sleep import asleep, sleeps
from server.triage.undoing import UNDO_MS, CannotUndo, undo
from server.triage.verbs import NOTE_CHARACTERS, SNOOZE_MS_MAX, assign, note, snooze, wake
from tests.server.alerts.recorded_leak import NOW
from tests.server.triage.queue import EVE, KEEPING, OMAR, column, of, queue, write

HOUR = 3_600_000


def test_a_note_is_withdrawn_by_who_wrote_it_and_that_stays_on_record(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        kept = note(connection, of(1, 2, actor=EVE), "another one's")
        made = note(connection, of(1, 2), "about the wrong person")
        assert made.group is not None
        with pytest.raises(CannotUndo):
            undo(connection, made.group, EVE, NOW, keeping=KEEPING)
        with pytest.raises(CannotUndo):
            undo(connection, made.group, OMAR, NOW + UNDO_MS + 1, keeping=KEEPING)
        assert undo(connection, made.group, OMAR, NOW + UNDO_MS, keeping=KEEPING).done == (1, 2)
        with pytest.raises(CannotUndo):
            undo(connection, made.group, OMAR, NOW + UNDO_MS, keeping=KEEPING)
    with database.read() as connection:
        assert [each.text for each in notes_of(connection, 1)] == ["another one's"]
        (step,) = history_of(connection, 2)
        assert (step.verb, step.actor, step.undoes) == ("undo", OMAR, made.group)
        told = [(e.actor, e.action, e.object) for e in audit.newest(connection, limit=9)]
        assert audit.verify(connection) is None
    assert (OMAR, "alert.note", "alert:1") in told
    assert (OMAR, "alert.undo", "alert:1") in told
    assert "wrong" not in str(told)
    assert column(database, "triage_version") == {1: 0, 2: 0, 3: 0}
    assert kept.group != made.group


def sleeping(database: Database, now: int) -> list[int]:
    """By the database and by rows alike."""
    with database.read() as connection:
        found = list(connection.execute(select(alerts.c.id).where(asleep(now))).scalars())
        rows = connection.execute(select(alerts)).all()
    parts = {row.id: tuple(each for each in rows if each.merged_into == row.id) for row in rows}
    assert sorted(found) == [row.id for row in rows if sleeps(row, now, parts[row.id])]
    return sorted(found)


def test_an_owner_is_set_and_told_with_what_was_before(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        first = assign(connection, of(1, 2), "omar")
        second = assign(connection, of(2, 1, actor=EVE), "eve")
        third = assign(connection, of(2), None)
    assert (first.done, first.changed, first.refused) == ((1, 2), (1, 2), ())
    assert column(database, "owner") == {1: "eve", 2: None, 3: None}
    assert column(database, "triage_version") == {1: 2, 2: 3, 3: 0}
    assert len({first.group, second.group, third.group} - {None}) == 3
    with database.read() as connection:
        newest, *_ = history_of(connection, 1)
        told = [(e.actor, e.action, e.object, e.detail) for e in audit.newest(connection, limit=5)]
        assert audit.verify(connection) is None
    assert (newest.actor, newest.verb, newest.changes.columns) == (EVE, "assign", {"owner": ("omar", "eve")})
    assert (EVE, "alert.assign", "alert:2", {"before": "omar", "after": "eve"}) in told
    assert len(told) == 5


def test_what_is_so_already_is_done_without_a_trace(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        assign(connection, of(1), "omar")
        again = assign(connection, of(1), "omar")
        assert again == Outcome("assign", (1,))
        assert len(history_of(connection, 1)) == 1
        assert len(connection.execute(select(triage_groups)).all()) == 1


def test_unknown_and_closed_alerts_are_refused_and_the_others_go_through(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        close_alert(connection, 2, Verdict.EXPECTED, "a release", EVE, NOW)
        found = assign(connection, of(1, 2, 99, 2**70, -1), "omar")
    assert found.done == (1,)
    assert [(each.id, each.why) for each in found.refused] == [
        (2, Why.CLOSED), (99, Why.UNKNOWN), (2**70, Why.UNKNOWN), (-1, Why.UNKNOWN),
    ]  # fmt: skip
    assert found.refused[0].message == "Alert 2 was closed by eve as expected."


def test_a_change_of_what_was_not_seen_is_refused(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        assign(connection, of(1, actor=EVE), "eve")
        found = assign(connection, of(1, 2, versions={1: 0, 2: 0}), "omar")
    assert found.done == (2,)
    assert [each.message for each in found.refused] == ["Alert 1 was changed by eve meanwhile."]
    assert column(database, "owner") == {1: "eve", 2: "omar", 3: None}


@pytest.mark.parametrize("owner", ["", "Omar Li", "x" * 65, "a\x00b", "<b>"])
def test_no_account_is_called_so(database: Database, owner: str) -> None:
    queue(database, 1)
    with pytest.raises(ValueError, match="no account"), database.begin() as connection:
        assign(connection, of(1), owner)


def test_bulk_is_bounded() -> None:
    with pytest.raises(TooMany, match=f"not 1 to {BULK_MAX}"):
        Change(OMAR, NOW, tuple(range(1, BULK_MAX + 2)))
    with pytest.raises(TooMany, match="0 alerts"):
        Change(OMAR, NOW, ())


def test_one_of_score_100_wakes_at_its_time_and_with_anything_new(database: Database) -> None:
    queue(database, 4)
    for number in (1, 2, 3):
        write(database, number, score=100 if number < 3 else 60)
    with database.begin() as connection:
        assert snooze(connection, of(1, 2, 3), NOW + HOUR).done == (1, 2, 3)
    assert sleeping(database, NOW + HOUR - 1) == [1, 2, 3]
    write(database, 1, events=4)
    assert sleeping(database, NOW + HOUR - 1) == [2, 3]
    # Fewer events by an erasure, and then a new one: there are no more than before, but a later one.
    write(database, 2, events=2, last_time=NOW + HOUR)
    assert sleeping(database, NOW + HOUR - 1) == [3]
    write(database, 3, score=61)
    assert sleeping(database, NOW + HOUR - 1) == []
    write(database, 3, score=60)
    assert sleeping(database, NOW + HOUR - 1) == [3]
    assert sleeping(database, NOW + HOUR) == []


def test_a_main_alert_wakes_with_its_parts(database: Database) -> None:
    queue(database, 2)
    write(database, 2, merged_into=1)
    with database.begin() as connection:
        assert snooze(connection, of(1, 2), NOW + HOUR).done == (1, 2)
    assert sleeping(database, NOW) == [1, 2]
    write(database, 2, score=99)
    assert sleeping(database, NOW) == []


def test_waking_ends_a_snooze_and_needs_one(database: Database) -> None:
    queue(database, 2)
    with database.begin() as connection:
        snooze(connection, of(1), NOW + HOUR)
        found = wake(connection, of(1, 2))
    assert (found.done, [each.why for each in found.refused]) == ((1,), [Why.NOT_ASLEEP])
    assert sleeping(database, NOW) == []


@pytest.mark.parametrize("until", [NOW, NOW - 1, NOW + SNOOZE_MS_MAX + 1])
def test_a_time_that_is_not_ahead_or_too_far_is_refused(database: Database, until: int) -> None:
    queue(database, 1)
    with pytest.raises(ValueError, match="ahead"), database.begin() as connection:
        snooze(connection, of(1), until)


def test_held_alerts_do_not_sleep(database: Database) -> None:
    queue(database, 1)
    write(database, 1, status="held")
    with database.begin() as connection:
        assert [each.why for each in snooze(connection, of(1), NOW + HOUR).refused] == [Why.NOT_OPEN]


def test_notes_are_kept_in_order_also_of_closed_alerts_and_not_in_the_trail(database: Database) -> None:
    queue(database, 2)
    with database.begin() as connection:
        close_alert(connection, 2, Verdict.EXPECTED, "a release", EVE, NOW)
        found = note(connection, of(1, 2, 9), "  asked Berta Braun  ")
        note(connection, of(1, actor=EVE), "she agreed")
    assert (found.done, [each.why for each in found.refused]) == ((1, 2), [Why.UNKNOWN])
    with database.read() as connection:
        assert [(each.actor, each.text) for each in notes_of(connection, 1)] == [
            (EVE, "she agreed"), (OMAR, "asked Berta Braun"),
        ]  # fmt: skip
        rows = audit.newest(connection, limit=10)
    assert "Berta" not in str(rows)
    assert column(database, "triage_version")[1] == 0


def test_notes_are_bounded(database: Database) -> None:
    queue(database, 2)
    with database.begin() as connection:
        row = {"at": NOW, "actor": OMAR, "text": "a note", "alert": 1}
        connection.execute(insert(alert_notes), [row] * NOTES_MAX)
        found = note(connection, of(1, 2), "one more")
    assert (found.done, [each.why for each in found.refused]) == ((2,), [Why.FULL])


@pytest.mark.parametrize("text", ["", " \n ", "x" * (NOTE_CHARACTERS + 1), "a\x00b", "\ud800"])
def test_a_note_that_cannot_be_kept_is_refused(database: Database, text: str) -> None:
    queue(database, 1)
    with pytest.raises(ValueError, match="a note"), database.begin() as connection:
        note(connection, of(1), text)


def test_notes_and_history_go_with_their_alert(database: Database) -> None:
    queue(database, 2)
    with database.begin() as connection:
        note(connection, of(1, 2), "a note")
        assign(connection, of(1, 2), "omar")
        connection.execute(alerts.delete().where(alerts.c.id == 1))
    with database.read() as connection:
        assert (notes_of(connection, 1), history_of(connection, 1)) == ([], [])
        assert len(notes_of(connection, 2)) == len(history_of(connection, 2)) == 1


@pytest.mark.parametrize("grown", [{"events": 7}, {"score": 70}, {"last_time": NOW + HOUR}])
def test_what_came_since_it_was_shown_is_not_closed_or_snoozed_with_it(
    database: Database, grown: dict[str, int]
) -> None:
    queue(database, 3)
    write(database, 2, merged_into=1)
    shown = {1: Shown(6, 52, column(database, "last_time")[1])}
    change = msgspec.structs.replace(of(1, 2, 3), shown=shown)
    write(database, 2, **grown)
    with database.begin() as connection:
        for found in (
            close(connection, change, Verdict.FALSE, "nothing", activity_days=ACTIVITY_DAYS),
            snooze(connection, msgspec.structs.replace(change, alerts=(1, 2)), NOW + HOUR),
        ):
            assert [(each.id, each.why) for each in found.refused] == [(1, Why.GREW), (2, Why.WITH_MAIN)]
    assert column(database, "status") == {1: "open", 2: "open", 3: "closed"}
    events, score = 3 + grown.get("events", 3), grown.get("score", 52)
    assert found.refused[0].message == (
        f"Alert 1 grew since you looked: 6 → {events} events, 52 → {score} points."
    )
    # Looked at again, and anything else goes on meanwhile.
    shown = {1: Shown(events, score, max(column(database, "last_time").values()))}
    with database.begin() as connection:
        assert assign(connection, change, "omar").done == (1, 2)
        again = msgspec.structs.replace(of(1), shown=shown)
        assert close(connection, again, Verdict.FALSE, "x", activity_days=ACTIVITY_DAYS).done == (1,)


def test_a_part_does_not_count_as_done_where_its_main_alert_is_refused(database: Database) -> None:
    queue(database, 2)
    write(database, 2, merged_into=1)
    with database.begin() as connection:
        found = assign(connection, of(2, 1, versions={1: 7}), "omar")
    assert (found.done, [(each.id, each.why) for each in found.refused]) == (
        (), [(2, Why.WITH_MAIN), (1, Why.CHANGED)],
    )  # fmt: skip
