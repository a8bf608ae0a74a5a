"""Histories of all subjects, as models are trained on them, and of one, as its running day is scored."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, insert

from analytics.drift_features import HISTORY_DAYS
from analytics.measures import ACTIVITIES
from server.pipeline.activity_history import FEEDING, NEW_AFTER_DAYS, activity_history, flags
from server.pipeline.measuring import PLACE_KINDS
from server.pipeline.subject_state import load_subjects
from server.retention import EVER
from server.store.tables import activity_days, agents, collector_days, people, subject_agents
from server.training.activity_panel import activity_panel
from tests.server.pipeline.conftest import Server, server

__all__ = ["server"]

UNTIL = 20_500
FIRST = UNTIL - HISTORY_DAYS
ALL = range(FIRST, UNTIL)
SUBJECTS = ("account:svc@h", "person:p1", "person:p2", "person:p3")
AGENTS = ("laptop-1", "laptop-2", "mx")


def _fill(server: Server, dice: random.Random) -> None:
    """Four subjects on three machines, with days from before the range to after it."""
    days = range(FIRST - NEW_AFTER_DAYS - 5, UNTIL + 3)
    with server.database.begin() as connection:
        connection.execute(
            insert(people).values(
                id="p1", department="sales", job_role="clerk", time_zone="UTC", changed_at=0
            )
        )
        for name in AGENTS:
            connection.execute(insert(agents).values(name=name, created_at=0))
            ran = [
                {"agent": name, "collector": collector, "day": day}
                for collector in sorted(FEEDING)
                for day in days
                if dice.random() < 0.9 and (collector != "access_log" or day > UNTIL - 20)
            ]
            connection.execute(insert(collector_days), ran)
        for number, subject in enumerate(SUBJECTS):
            for agent in dice.sample(AGENTS[:2], number % 3):
                connection.execute(insert(subject_agents).values(subject=subject, agent=agent, first_time=0))
            begins = dice.choice(days[:100])
            found = [
                _row(dice, subject, activity, day)
                for activity in ACTIVITIES
                for day in days
                if day >= begins and dice.random() < 0.3
            ]
            connection.execute(insert(activity_days), found)


def _row(dice: random.Random, subject: str, activity: str, day: int) -> dict[str, Any]:
    new = {i for i, measure in enumerate(ACTIVITIES[activity]) if measure.novelty or measure.name == "hosts"}
    amounts = [0 if i in new else dice.randrange(10**6) for i in range(len(ACTIVITIES[activity]))]
    kinds = [sorted(dice.sample(range(9), dice.randrange(3))) for _ in PLACE_KINDS[activity]]
    return {
        "subject": subject,
        "activity": activity,
        "day": day,
        "day_type": "work",
        "amounts": str(amounts),
        "places": str(kinds if any(kinds) else []),
        "events": 1,
    }


@pytest.mark.parametrize("seed", range(3))
def test_one_subjects_history_is_its_part_of_everybodys(server: Server, seed: int) -> None:
    _fill(server, random.Random(seed))
    with server.database.read() as connection:
        panel = activity_panel(connection, UNTIL)
        assert panel.subjects == list(SUBJECTS)
        assert panel.peer_groups == ["", "sales / clerk", "", ""]
        assert panel.first_day == date(1970, 1, 1).toordinal() + FIRST
        assert panel.days == HISTORY_DAYS
        states = load_subjects(connection, SUBJECTS, activities_since=EVER)
        ran: dict[tuple[str, str], set[int]] = {}
        for row in connection.execute(collector_days.select()):
            ran.setdefault((row.agent, row.collector), set()).add(row.day)
        rows = connection.execute(subject_agents.select()).all()
        for number, subject in enumerate(SUBJECTS):
            seen_on = {row.agent for row in rows if row.subject == subject}
            own, company = (
                {
                    each: flags(
                        {day for (a, c), days in ran.items() if c == each and a in where for day in days},
                        FIRST,
                        HISTORY_DAYS,
                    )
                    for each in FEEDING
                }
                for where in (seen_on, set(AGENTS))
            )
            alone = activity_history(states[subject].activities, UNTIL, own, company)
            for activity in ACTIVITIES:
                together = panel.activity(activity)
                assert np.array_equal(together.values[number], alone[activity].values[0]), activity
                assert np.array_equal(together.seen[number], alone[activity].seen[0]), activity
                assert together.values[number].any()
                assert together.seen[number].sum() > 10


def _quiet(server: Server, ran: dict[str, dict[str, range]]) -> None:
    """Somebody of laptop-1 who did one thing, on the third day. `ran`: by agent and collector."""
    with server.database.begin() as connection:
        for agent, collectors in ran.items():
            connection.execute(insert(agents).values(name=agent, created_at=0))
            for collector, days in collectors.items():
                told = [{"agent": agent, "collector": collector, "day": day} for day in days]
                connection.execute(insert(collector_days), told)
        connection.execute(insert(subject_agents).values(subject="person:p1", agent="laptop-1", first_time=0))
        row = _row(random.Random(1), "person:p1", "printing", FIRST + 2)
        connection.execute(insert(activity_days).values(row))


def _seen(server: Server, activity: str, missing: dict[str, set[int]] | None = None) -> list[int]:
    with server.database.read() as connection:
        panel = activity_panel(connection, UNTIL, missing=missing)
        return np.flatnonzero(panel.activity(activity).seen[0]).tolist()


def test_a_silent_collector_is_missing_and_so_is_what_was_before_anything_is_known(server: Server) -> None:
    _quiet(
        server,
        {
            "laptop-1": {"removable_storage": range(FIRST, FIRST + 10), "uploads": ALL},
            "laptop-2": {"removable_storage": ALL, "screenshots": ALL},
            "mx": {"mail": range(FIRST + 5, UNTIL)},
        },
    )
    assert _seen(server, "removable_storage") == list(range(2, 10))
    assert _seen(server, "web_upload") == list(range(2, HISTORY_DAYS))
    assert _seen(server, "mail") == list(range(5, HISTORY_DAYS))
    assert _seen(server, "screenshots") == []
    assert _seen(server, "database") == []
    assert _seen(server, "printing") == [2]


def test_of_several_collectors_all_must_have_run_that_ever_do(server: Server) -> None:
    _quiet(
        server,
        {
            "laptop-1": {"removable_storage": ALL, "uploads": ALL, "sync_folders": range(FIRST, FIRST + 9)},
            "files": {"access_log": range(FIRST + 20, FIRST + 30)},
        },
    )
    assert _seen(server, "cloud") == list(range(2, 9))
    assert _seen(server, "messaging") == list(range(2, HISTORY_DAYS))
    assert _seen(server, "files") == list(range(20, 30))


def test_logins_are_watched_on_ones_own_machines_and_else_anywhere(server: Server) -> None:
    _quiet(server, {"laptop-1": {"logins": range(FIRST, FIRST + 4)}, "gateway": {"logins": ALL}})
    assert _seen(server, "logins") == [2, 3]
    with server.database.begin() as connection:
        connection.execute(delete(subject_agents))
    assert _seen(server, "logins") == list(range(2, HISTORY_DAYS))


def test_days_that_nobodys_usual_may_learn_from_are_not_seen(server: Server) -> None:
    _quiet(server, {"laptop-1": {"uploads": ALL}})
    missing = {"person:p1": {FIRST - 1, FIRST + 4, UNTIL}, "person:gone": {FIRST + 5}}
    assert 4 in _seen(server, "messaging")
    assert _seen(server, "messaging", missing) == [2, 3, *range(5, HISTORY_DAYS)]


def test_a_company_of_which_nothing_is_known_has_an_empty_panel(server: Server) -> None:
    with server.database.read() as connection:
        panel = activity_panel(connection, UNTIL)
        assert panel.activity("mail").values.shape == (0, HISTORY_DAYS, 3)
