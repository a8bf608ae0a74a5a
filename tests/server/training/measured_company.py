"""A small company whose days stand in a real database, as the pipeline writes them."""

from __future__ import annotations

import json

import numpy as np
from sqlalchemy import insert

from analytics.measures import ACTIVITIES
from server.people.calendar import day_type
from server.pipeline.activity_history import ANYWHERE
from server.store.database import Database
from server.store.tables import (
    activity_days,
    agents,
    collector_days,
    days_watched_anywhere,
    installation,
    people,
    subject_agents,
)
from server.store.upsert import insert_new
from tests.analytics.company_days import GROUPS, company
from tests.server.conftest import NOW

DAY = 86_400_000
END = NOW // DAY - 1
"""The first day that may still run somewhere at NOW, midnight UTC."""
AT_ONCE = 2_000
COLLECTORS = (
    "access_log",
    "export_folders",
    "logins",
    "mail",
    "mariadb",
    "postgresql",
    "printing",
    "removable_storage",
    "screenshots",
    "sync_folders",
    "uploads",
)


def measured_company(
    database: Database, *, seed: int = 5, subjects: int = 60, days: int = 95, end: int = END
) -> None:
    """Days before local day `end`, everybody watched on all of them by one machine."""
    with database.begin() as connection:
        connection.execute(insert(agents).values(name="m1", created_at=0, enrolled_at=0))
        connection.execute(insert(installation).values(key="people_version", value="1"))
        connection.execute(
            insert(collector_days),
            [
                {"agent": "m1", "collector": collector, "day": end - days + day}
                for collector in COLLECTORS
                for day in range(days + 2)
            ],
        )
        insert_new(
            connection,
            days_watched_anywhere,
            [
                {"collector": collector, "day": end - days + day}
                for collector in sorted(ANYWHERE)
                for day in range(days + 2)
            ],
        )
    for number, first in enumerate(range(0, subjects, AT_ONCE)):
        _people(database, seed + number, first, min(AT_ONCE, subjects - first), days, end)


def _people(database: Database, seed: int, first: int, subjects: int, days: int, end: int) -> None:
    history = company(seed, subjects, days)
    rows = []
    for name in ACTIVITIES:
        values = history[name].values
        for row, day in zip(*np.nonzero(values.any(axis=2)), strict=True):
            local = end - days + int(day)
            rows.append(
                {
                    "subject": subject(first + int(row)),
                    "activity": name,
                    "day": local,
                    "day_type": day_type(local),
                    "amounts": json.dumps(values[row, day].tolist()),
                    "places": "[]",
                    "events": 1,
                }
            )
    numbers = range(first, first + subjects)
    named = [
        {"id": f"p{i:04d}", "department": GROUPS[i % 4], "time_zone": "UTC", "changed_at": 0} for i in numbers
    ]
    with database.begin() as connection:
        insert_new(connection, people, named)
        seen = [{"subject": subject(i), "agent": "m1", "first_time": 0} for i in numbers]
        insert_new(connection, subject_agents, seen)
        insert_new(connection, activity_days, rows)


def act(database: Database, row: int, day: int, activity: str, *amounts: int) -> None:
    """One more day of a subject, or in place of what it did."""
    at = activity_days.c
    key = {"subject": subject(row), "activity": activity, "day": day}
    same = (at.subject == key["subject"], at.activity == activity, at.day == day)
    with database.begin() as connection:
        connection.execute(activity_days.delete().where(*same))
        connection.execute(
            insert(activity_days).values(
                **key, day_type=day_type(day), amounts=json.dumps(amounts), places="[]", events=1
            )
        )


def subject(row: int) -> str:
    return f"person:p{row:04d}"
