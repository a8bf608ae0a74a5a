"""A real database and a real embedded log, with a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from event_schema.wire import WireRecord
from server.log.embedded import EmbeddedLog
from server.people.pseudonyms import keep_pseudonym_key
from server.pipeline.worker import PipelineWorker
from server.retention import ACTIVITY_DAYS
from server.store.database import Database, open_database
from server.store.tables import (
    account_bindings,
    accounts,
    activity_days,
    employments,
    installation,
    people,
    person_names,
)
from tests.server.conftest import NewDatabaseUrl

NOW = 1_795_000_000_000
"""2026-11-18T11:06:40Z, a Wednesday."""
DAY = 86_400_000
KEY = bytes(range(32))
"""The same for all: numbers of places compare."""


class Server:
    """The server's chain without its HTTPS side: log, worker, database."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.now = NOW
        self.database: Database = open_database(url, clock=self.clock)
        with self.database.begin() as connection:
            keep_pseudonym_key(connection, KEY)
        self.log = EmbeddedLog(folder / "log.db", clock=self.clock)

    def use_key(self, key: bytes) -> None:
        """Places of activities are numbered with it."""
        is_key = installation.c.key == "pseudonym_key"
        with self.database.begin() as connection:
            connection.execute(installation.update().values(value=key.hex()).where(is_key))

    def clock(self) -> int:
        return self.now

    def worker(
        self,
        records_per_batch: int = 100,
        *,
        events_days: int | None = None,
        uses_days: int | None = None,
        activity_days: int = ACTIVITY_DAYS,
    ) -> PipelineWorker:
        return PipelineWorker(
            self.database,
            self.log,
            clock=self.clock,
            records_per_batch=records_per_batch,
            events_days=events_days,
            uses_days=uses_days,
            activity_days=activity_days,
        )

    def take(self, *records: WireRecord, records_per_batch: int = 100) -> None:
        """Appends, and works until the log is empty."""
        if records:
            self.log.append(records)
        worker = self.worker(records_per_batch)
        while worker.step(0).records:
            pass

    def employ(
        self,
        person_id: str = "p1",
        account: str = "alice",
        *,
        department: str = "sales",
        notice_date: int | None = None,
        last_working_day: int | None = None,
    ) -> None:
        with self.database.begin() as connection:
            connection.execute(
                people.insert().values(id=person_id, department=department, time_zone="UTC", changed_at=0)
            )
            connection.execute(
                employments.insert().values(
                    person_id=person_id,
                    number=1,
                    kind="employee",
                    notice_day=notice_date,
                    last_day=last_working_day,
                )
            )
            connection.execute(person_names.insert().values(person_id=person_id, name="Alice Example"))
            named = {"system": "", "account": account}
            connection.execute(
                accounts.insert().values(kind="personal", source="import", changed_at=0, **named)
            )
            connection.execute(
                account_bindings.insert().values(
                    person_id=person_id, relation="owner", source="import", confidence=1.0, **named
                )
            )
            connection.execute(installation.delete().where(installation.c.key == "people_version"))
            connection.execute(installation.insert().values(key="people_version", value=person_id[1:]))

    def close(self) -> None:
        self.log.close()
        self.database.close()


def known_since(server: Server, subject: str, day: int) -> None:
    """Before the first day of which anything is known of a subject, silence says nothing."""
    row = {"activity": "screenshots", "day_type": "work", "amounts": "[1]", "places": "[]", "events": 1}
    with server.database.begin() as connection:
        connection.execute(activity_days.insert().values(subject=subject, day=day, **row))


@pytest.fixture
def server(tmp_path: Path, database_url: str) -> Iterator[Server]:
    opened = Server(tmp_path, database_url)
    yield opened
    opened.close()


NewServer = Callable[[], Server]


@pytest.fixture
def new_server(
    new_database_url: NewDatabaseUrl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NewServer]:
    """Each on an empty database of its own, of one kind."""
    made: list[Server] = []

    def make() -> Server:
        folder = tmp_path_factory.mktemp("run")
        made.append(Server(folder, new_database_url(folder)))
        return made[-1]

    yield make
    for server in made:
        server.close()
