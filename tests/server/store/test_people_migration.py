"""What was stored of people before version 6 is there afterwards, and says the same of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from event_schema.leaver_fields import PersonStatus
from server.people.directory import load_directory, people_version
from server.people.facts import Employment
from server.people.undo import list_imports
from server.store.database import Database, open_database, upgrade
from tests.postgres_server.server import PostgresServer

MIGRATIONS = Path(__file__).parents[3] / "server" / "store" / "migrations"
DAY = 86_400_000


@pytest.fixture
def old_database(request: pytest.FixtureRequest, dialect: str, tmp_path: Path) -> Iterator[Database]:
    """With the tables of version 5."""
    server: PostgresServer | None = None
    url = f"sqlite:///{tmp_path}/old.db"
    if dialect == "postgresql":
        server = request.getfixturevalue("postgres_server")
        name = server.new_database(migrated=False)
        url = server.url(name)
    database = open_database(url, clock=lambda: 0)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
    yield database
    database.close()
    if server is not None:
        server.drop_database(name)


def test_people_their_accounts_dates_names_and_imports_come_along(old_database: Database) -> None:
    with old_database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO people (id, department, manager_id, time_zone, notice_date, last_working_day,"
                " changed_at) VALUES ('1', 'Sales', '2', 'UTC', 20000, 20010, 5),"
                " ('2', NULL, NULL, 'Asia/Shanghai', NULL, NULL, 6), ('3', NULL, NULL, 'UTC', NULL, 20100, 7)"
            )
        )
        connection.execute(text("INSERT INTO person_names (person_id, name) VALUES ('1', 'Ada')"))
        connection.execute(
            text("INSERT INTO accounts (account, person_id) VALUES ('ada', '1'), ('desk', '2')")
        )
        connection.execute(
            text(
                "INSERT INTO people_imports"
                " (imported_at, imported_by, file_sha256, added, changed, unchanged)"
                " VALUES (5, 'cli:hr', 'abc', 3, 0, 0)"
            )
        )
    upgrade(old_database)
    with old_database.begin() as connection:
        directory = load_directory(connection)
        names = connection.execute(text("SELECT person_id, name FROM person_names")).all()
        (kept,) = list_imports(connection)
        added = connection.execute(
            text(
                "INSERT INTO people_imports"
                " (imported_at, imported_by, file_sha256, added, changed, unchanged, refused)"
                " VALUES (6, 'x', 'd', 0, 0, 0, 0) RETURNING id"
            )
        ).scalar_one()
    assert [tuple(row) for row in names] == [("1", "Ada")]
    assert (kept.id, kept.added, kept.refused, kept.stopped, added) == (1, 3, 0, None, 2)
    ada = directory.person("1")
    assert ada is not None
    assert (ada.department, ada.manager_id) == ("Sales", "2")
    assert ada.employments == (Employment(notice_day=20_000, last_day=20_010),)
    assert directory.status_at(ada, 20_005 * DAY) == (PersonStatus.NOTICE, 5)
    assert directory.status_at(ada, 20_011 * DAY) == (PersonStatus.LEFT, -1)
    owners = {record.name: directory.owner(record, 0) for record in directory.accounts()}
    assert {name: owner.id for name, owner in owners.items() if owner} == {"ada": "1", "desk": "2"}
    desk_owner = directory.person("2")
    assert desk_owner is not None
    assert desk_owner.employments == ()


OLD_WORKERS_PEOPLE = "SELECT id, notice_date, last_working_day FROM people"


@pytest.mark.parametrize(
    ("before", "after"), [({"id": "x"}, 1), ({"id": "x", "people_version": "41"}, 42), ({}, 0)]
)
def test_an_older_worker_that_was_left_running_takes_over_people_anew_and_fails(
    old_database: Database, before: dict[str, str], after: int
) -> None:
    with old_database.begin() as connection:
        for key, value in before.items():
            connection.execute(
                text("INSERT INTO installation (key, value) VALUES (:key, :value)"),
                {"key": key, "value": value},
            )
        connection.execute(text(OLD_WORKERS_PEOPLE))
    upgrade(old_database)
    with old_database.read() as connection:
        # Before each batch, and in each commit, it compares this with what it has.
        assert people_version(connection) == after
    with pytest.raises(DBAPIError), old_database.read() as connection:
        connection.execute(text(OLD_WORKERS_PEOPLE))
