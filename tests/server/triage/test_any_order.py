"""Whatever two analysts, the pipeline and an erasure do in whatever order: no alert is ever in no list, and
what is undone at once is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select, update

from server import audit
from server.alerts.parts import set_free, set_orphans_free
from server.alerts.queries import Verdict
from server.retention import ACTIVITY_DAYS
from server.store.database import Database
from server.store.tables import alerts
from server.triage.judging import close, reopen
from server.triage.merging import NoMain, merge, unmerge
from server.triage.outcome import Outcome
from server.triage.undoing import CannotUndo, undo
from server.triage.verbs import assign, note, snooze, wake
from tests.server.alerts.recorded_leak import NOW
from tests.server.triage.queue import EVE, KEEPING, OMAR, everything_in, lost_in, of, queue

COUNT = 5
Act = tuple[str, str, tuple[int, ...], int]
"""What, who, which, and a number for the rest."""
_numbers = st.integers(1, COUNT + 2)
_verbs = st.sampled_from(
    [
        "assign",
        "snooze",
        "wake",
        "note",
        "close",
        "close",
        "reopen",
        "merge",
        "merge",
        "unmerge",
        "undo",
        "undo",
    ]
)
_pipeline = st.sampled_from(["rise", "withdraw", "open", "another", "erase"])
_acts = st.tuples(
    st.one_of(_verbs, _verbs, _pipeline),
    st.sampled_from([OMAR, EVE]),
    st.lists(_numbers, min_size=1, max_size=3).map(tuple),
    st.integers(0, 10),
)


@contextmanager
def taken_back(database: Database) -> Iterator[Connection]:
    """A write transaction of which nothing stays."""

    class Enough(Exception):
        pass

    with pytest.raises(Enough), database.begin() as connection:
        yield connection
        raise Enough


def judge(connection: Connection, act: Act) -> Outcome | None:
    verb, actor, numbers, more = act
    change = of(*numbers, actor=actor)
    ways: dict[str, Callable[[], Outcome]] = {
        "assign": lambda: assign(connection, change, ("omar", "eve", None)[more % 3]),
        "snooze": lambda: snooze(connection, change, NOW + 1 + more),
        "wake": lambda: wake(connection, change),
        "note": lambda: note(connection, change, "a note"),
        "close": lambda: close(
            connection, change, list(Verdict)[more % 4], "a reason", activity_days=ACTIVITY_DAYS
        ),
        "reopen": lambda: reopen(connection, change, keeping=KEEPING),
        "merge": lambda: merge(connection, change, more),
        "unmerge": lambda: unmerge(connection, change),
        "undo": lambda: undo(connection, more + 1, actor, NOW, keeping=KEEPING),
    }
    try:
        return ways[verb]()
    except (NoMain, CannotUndo):
        return None


def pipeline(connection: Connection, act: Act) -> None:
    """As it changes alerts by itself."""
    verb, _, (number, *_), more = act
    mine = alerts.c.id == number
    if verb == "rise":
        connection.execute(update(alerts).where(mine, alerts.c.status != "closed").values(score=90 + more))
    elif verb == "withdraw":
        if connection.execute(
            update(alerts).where(mine, alerts.c.status == "open").values(status="held")
        ).rowcount:
            set_free(connection, [number], NOW)
    elif verb == "open":
        connection.execute(update(alerts).where(mine, alerts.c.status == "held").values(status="open"))
    elif verb == "erase":
        connection.execute(alerts.delete().where(mine))
        set_orphans_free(connection, NOW)
    elif verb == "another":
        row = connection.execute(select(alerts).where(mine)).first()
        same = alerts.c.subject == (row.subject if row is not None else "")
        taken = connection.execute(select(alerts.c.id).where(same, alerts.c.status != "closed")).first()
        if row is not None and taken is None:
            columns = (
                "subject",
                "family",
                "score",
                "traits",
                "sentence",
                "shares",
                "facts",
                "policy_version",
            )
            times = ("first_time", "last_time", "events", "opened_at", "updated_at")
            values = {name: row._mapping[name] for name in (*columns, *times)}
            connection.execute(insert(alerts).values(values | {"status": "open"}))


@pytest.mark.databases("sqlite")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(_acts, max_size=14))
def test_no_alert_is_ever_lost_and_what_is_undone_at_once_is_as_it_was(
    database: Database, acts: list[Act]
) -> None:
    with taken_back(database) as connection:
        if connection.execute(select(alerts.c.id)).first() is None:
            pytest.fail("the queue is empty")
        for act in acts:
            if act[0] in ("rise", "withdraw", "open", "another", "erase"):
                pipeline(connection, act)
            else:
                before = everything_in(connection)
                found = judge(connection, act)
                if found is not None and found.group is not None:
                    savepoint = connection.begin_nested()
                    undone = undo(connection, found.group, act[1], NOW, keeping=KEEPING)
                    assert undone.refused == (), act
                    assert everything_in(connection) == before, act
                    savepoint.rollback()
                elif found is None:
                    assert everything_in(connection) == before
            assert lost_in(connection) == [], act
        assert audit.verify(connection) is None


@pytest.fixture(autouse=True)
def _filled(database: Database) -> None:
    queue(database, COUNT)
