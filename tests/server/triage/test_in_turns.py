"""One act in several short transactions: one count, one undo, and nothing that was not done goes untold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, select

from server import audit
from server.alerts.queries import Verdict
from server.retention import ACTIVITY_DAYS
from server.store.database import Database, StoreUnavailable
from server.store.tables import triage_groups
from server.triage import in_turns as turns
from server.triage.in_turns import in_turns, undo_in_turns
from server.triage.judging import close
from server.triage.merging import NoMain, merge
from server.triage.outcome import Change, Outcome, Why
from server.triage.verbs import assign
from tests.server.alerts.recorded_leak import NOW
from tests.server.triage.queue import EVE, KEEPING, OMAR, column, everything, lost, of, queue


@pytest.fixture(autouse=True)
def _two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_ALERTS", 2)


class Counted(Database):
    """Knows its write transactions; from `fails_at` on they fail."""

    def __init__(self, database: Database, fails_at: int | None = None) -> None:
        super().__init__(database._engine, database.clock)
        self.writes = 0
        self.fails_at = fails_at

    @contextmanager
    def begin(self, **how: Any) -> Iterator[Connection]:
        self.writes += 1
        if self.fails_at is not None and self.writes >= self.fails_at:
            raise StoreUnavailable("away")
        with super().begin(**how) as connection:
            yield connection


def _close(connection: Connection, change: Change) -> Outcome:
    return close(connection, change, Verdict.EXPECTED, "a release", activity_days=ACTIVITY_DAYS)


def _nothing() -> None:
    pass


def test_many_are_closed_in_short_transactions_and_undone_as_one_act(database: Database) -> None:
    queue(database, 5)
    before = everything(database)
    counted = Counted(database)
    found = in_turns(counted, of(3, 1, 9, 2, 5, 4), _close, between=_nothing)
    assert counted.writes == 3
    assert (found.done, [each.id for each in found.refused]) == ((3, 1, 2, 5, 4), [9])
    with database.read() as connection:
        assert [(row.id, row.alerts) for row in connection.execute(select(triage_groups))] == [
            (found.group, 5)
        ]
        assert audit.verify(connection) is None
    assert found.group is not None
    counted = Counted(database)
    undone = undo_in_turns(counted, found.group, OMAR, NOW + 1, keeping=KEEPING, between=_nothing)
    assert (counted.writes, sorted(undone.done), undone.refused) == (3, [1, 2, 3, 4, 5], ())
    assert everything(database) == before


def test_others_write_between_two_turns_and_are_not_written_over(database: Database) -> None:
    queue(database, 4)
    paused = []

    def eve() -> None:
        paused.append(1)
        with database.begin() as connection:
            close(connection, of(4, actor=EVE), Verdict.CONFIRMED, "a leak", activity_days=ACTIVITY_DAYS)

    found = in_turns(database, of(1, 2, 3, 4, versions={4: 0}), _close, between=eve)
    assert (paused, found.done) == ([1], (1, 2, 3))
    assert [(each.id, each.why, each.values["by"]) for each in found.refused] == [(4, Why.CLOSED, "eve")]
    assert column(database, "verdict")[4] == "confirmed"
    assert found.group is not None
    undone = undo_in_turns(database, found.group, OMAR, NOW, keeping=KEEPING, between=_nothing)
    assert sorted(undone.done) == [1, 2, 3]


def test_what_the_database_did_not_reach_is_told_and_the_rest_can_be_undone(database: Database) -> None:
    queue(database, 5)
    found = in_turns(Counted(database, fails_at=3), of(1, 2, 3, 4, 5), _close, between=_nothing)
    assert found.done == (1, 2, 3, 4)
    assert [(each.id, each.why) for each in found.refused] == [(5, Why.NOT_REACHED)]
    assert column(database, "status")[5] == "open"
    assert found.group is not None
    failing = Counted(database, fails_at=2)
    half = undo_in_turns(failing, found.group, OMAR, NOW, keeping=KEEPING, between=_nothing)
    assert (half.done, {each.why for each in half.refused}) == ((1, 2), {Why.NOT_REACHED})
    # The rest is undone by asking again; what is undone already is told.
    rest = undo_in_turns(database, found.group, OMAR, NOW, keeping=KEEPING, between=_nothing)
    assert (rest.done, {each.why for each in rest.refused}) == ((3, 4), {Why.UNDONE})
    assert set(column(database, "status").values()) == {"open"}
    with pytest.raises(StoreUnavailable):
        in_turns(Counted(database, fails_at=1), of(1, 2, 3), _close, between=_nothing)


def test_a_part_goes_with_its_main_alert(database: Database) -> None:
    queue(database, 5)
    with database.begin() as connection:
        merge(connection, of(2), 5)
    found = in_turns(database, of(2, 1, 3, 5, 4), _close, between=_nothing)
    assert (found.done, found.refused, lost(database)) == ((2, 1, 3, 5, 4), (), [])


def test_a_main_alert_that_is_closed_in_the_middle_takes_no_more(database: Database) -> None:
    queue(database, 5)

    def eve() -> None:
        with database.begin() as connection:
            _close(connection, of(5, actor=EVE))

    found = in_turns(database, of(1, 2, 3, 4), lambda c, change: merge(c, change, 5), between=eve)
    assert found.done == (1, 2)
    assert [(each.id, each.why, each.values) for each in found.refused] == [
        (3, Why.WITH_MAIN, {"alert": 5}), (4, Why.WITH_MAIN, {"alert": 5}),
    ]  # fmt: skip
    assert lost(database) == []
    with pytest.raises(NoMain):
        in_turns(database, of(1, 2, 3, 4), lambda c, change: merge(c, change, 99), between=_nothing)


def test_a_main_alert_named_last_with_what_was_seen_of_it_is_not_called_changed_by_its_own_merge(
    database: Database,
) -> None:
    queue(database, 6)
    seen = of(1, 2, 3, 4, 5, versions=dict.fromkeys(range(1, 6), 0))
    found = in_turns(database, seen, lambda c, change: merge(c, change, 5), main=5, between=_nothing)
    assert (found.done, found.refused) == ((1, 2, 3, 4), ())
    with database.begin() as connection:
        merge(connection, of(5), 6)
    # A part named as the main alert stands for its own, which is looked at first as well.
    found = in_turns(
        database, of(1, 2, 6, 5), lambda c, change: merge(c, change, 5), main=5, between=_nothing
    )
    assert (found.done, found.refused) == ((1, 2, 5), ())


def test_what_changes_nothing_leaves_no_group(database: Database) -> None:
    queue(database, 4)
    first = in_turns(database, of(3, 4), lambda c, change: assign(c, change, "omar"), between=_nothing)
    # The first turn finds it so already: the group begins with the second one.
    found = in_turns(database, of(3, 4, 1, 2), lambda c, change: assign(c, change, "omar"), between=_nothing)
    again = in_turns(database, of(1, 2, 3, 4), lambda c, change: assign(c, change, "omar"), between=_nothing)
    assert (found.done, found.changed) == ((3, 4, 1, 2), (1, 2))
    assert (again.done, again.changed, again.group) == ((1, 2, 3, 4), (), None)
    with database.read() as connection:
        assert list(connection.execute(select(triage_groups.c.id)).scalars()) == [first.group, found.group]
