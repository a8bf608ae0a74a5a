"""A made-up company's days by activity in a database, of any size: what the training benchmark learns from.

Everybody has a machine of their own that ran on working days, does half of the twelve activities, each on
every other working day, at places of which one in twenty is new. A hundred people to a department, in three
roles. From a seed; SQLite only, by its own statements, for there are ten million rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
from sqlalchemy import Connection, insert, text

from analytics.measures import ACTIVITIES
from server.people.calendar import day_type
from server.pipeline.activity_history import ANYWHERE, FEEDING
from server.pipeline.measuring import PLACE_KINDS
from server.store.database import Database
from server.store.tables import installation
from tests.analytics.company_days import company

AT_ONCE = 2_000
_OF_DEPARTMENT = 100
_ROLES = ("clerk", "engineer", "manager")
_PLACES_KNOWN = 8
_NEW_EVERY = 20


def make_company(database: Database, *, people: int, days: int, end: int, seed: int = 5) -> None:
    """The `days` local days before `end` (since 1970-01-01)."""
    with database.begin() as connection:
        connection.execute(insert(installation).values(key="people_version", value="1"))
        _watched(connection, people, days, end)
    for first in range(0, people, AT_ONCE):
        with database.begin() as connection:
            rows = _rows(seed + first, first, min(AT_ONCE, people - first), days, end)
            connection.exec_driver_sql(
                "INSERT INTO activity_days (subject, activity, day, day_type, amounts, places, events)"
                " VALUES (?, ?, ?, ?, ?, ?, 1)",
                list(rows),
            )


def subject(number: int) -> str:
    return f"person:p{number:05d}"


def _watched(connection: Connection, people: int, days: int, end: int) -> None:
    """People, their machines, and the days on which these ran."""
    numbers = range(people)
    connection.exec_driver_sql(
        "INSERT INTO people (id, department, job_role, time_zone, changed_at) VALUES (?, ?, ?, 'UTC', 0)",
        [(f"p{i:05d}", f"department {i // _OF_DEPARTMENT}", _ROLES[i % len(_ROLES)]) for i in numbers],
    )
    connection.exec_driver_sql(
        "INSERT INTO agents (name, created_at, enrolled_at, clock_offset) VALUES (?, 0, 0, 0)",
        [(f"pc-{i:05d}",) for i in numbers],
    )
    connection.exec_driver_sql(
        "INSERT INTO subject_agents (subject, agent, first_time) VALUES (?, ?, 0)",
        [(subject(i), f"pc-{i:05d}") for i in numbers],
    )
    working = [day for day in range(end - days, end) if day_type(day) == "work"]
    ran = {"collectors": json.dumps(sorted(FEEDING - ANYWHERE | {"logins"})), "days": json.dumps(working)}
    connection.execute(
        text(
            "INSERT INTO collector_days (agent, collector, day) SELECT agents.name, ran.value, each.value"
            " FROM agents, json_each(:collectors) AS ran, json_each(:days) AS each"
        ),
        ran,
    )
    anywhere = {"collectors": json.dumps(sorted(ANYWHERE)), "days": json.dumps(list(range(end - days, end)))}
    for into in (
        "INSERT INTO days_watched_anywhere (collector, day) SELECT ran.value, each.value",
        "INSERT INTO collector_days (agent, collector, day) SELECT 'server', ran.value, each.value",
    ):
        connection.execute(
            text(into + " FROM json_each(:collectors) AS ran, json_each(:days) AS each"), anywhere
        )


def _rows(seed: int, first: int, people: int, days: int, end: int) -> Iterator[tuple[object, ...]]:
    history = company(seed, people, days)
    source = np.random.default_rng(seed)
    types = [day_type(end - days + day) for day in range(days)]
    for name in ACTIVITIES:
        values = history[name].values
        kinds = len(PLACE_KINDS[name])
        found = np.argwhere(values.any(axis=2))
        places = source.integers(_PLACES_KNOWN, size=(len(found), kinds))
        new = source.integers(_NEW_EVERY, size=(len(found), kinds)) == 0
        for number, (row, day) in enumerate(found.tolist()):
            used = [
                [2**40 + number if new[number, kind] else row * _PLACES_KNOWN + int(places[number, kind])]
                for kind in range(kinds)
            ]
            yield (
                subject(first + row),
                name,
                end - days + day,
                types[day],
                json.dumps(values[row, day].tolist()),
                json.dumps(used),
            )
