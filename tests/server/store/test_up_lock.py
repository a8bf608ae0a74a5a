"""The one place for a `leaver up` on a PostgreSQL database: held, lost, taken again, taken over."""

from __future__ import annotations

import pytest

from server.data_directory import AlreadyRunning
from server.store.database import Database, StoreUnavailable, open_database
from server.store.postgresql import LOCKS, UP
from server.store.up_lock import UpLock
from tests.postgres_server.server import PostgresServer

HELD = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = {LOCKS} AND objid = {UP}"


def _held(database: Database) -> int:
    with database.read() as connection:
        return int(connection.exec_driver_sql(HELD).scalar_one())


@pytest.mark.databases("sqlite")
def test_on_sqlite_the_data_directorys_lock_is_enough(database: Database) -> None:
    with UpLock(database) as first, UpLock(database) as second:
        assert not first.needed
        assert not second.needed


@pytest.mark.databases("postgresql")
def test_the_place_is_for_one_and_free_again_when_it_is_given_back(database: Database) -> None:
    with UpLock(database) as held:
        held.check()
        with pytest.raises(AlreadyRunning, match=r"in use by another leaver up \(process \d+ on "):
            UpLock(database)
        assert _held(database) == 1
    assert _held(database) == 0
    UpLock(database).close()


@pytest.mark.databases("postgresql")
def test_another_database_on_the_same_server_has_a_place_of_its_own(
    database: Database, postgres_server: PostgresServer
) -> None:
    name = postgres_server.new_database()
    other = open_database(postgres_server.url(name), clock=lambda: 0)
    with UpLock(database), UpLock(other):
        assert _held(other) == 2
    other.close()
    postgres_server.drop_database(name)


@pytest.mark.databases("postgresql")
def test_a_cut_connection_loses_the_place_and_the_next_look_takes_it_again(
    database: Database, postgres_server: PostgresServer
) -> None:
    with UpLock(database) as held:
        postgres_server.end_connections(str(database.url).partition("?")[0].rpartition("/")[2])
        with pytest.raises(StoreUnavailable):
            held.check()
        held.check()
        assert _held(database) == 1


@pytest.mark.databases("postgresql")
def test_our_own_ghost_is_ended(database: Database) -> None:
    held = UpLock(database)
    # As if the network had broken: the server still has the session, we do not.
    ghost, held._connection = held._connection, None
    held.check()
    assert _held(database) == 1
    assert ghost is not None
    ghost.invalidate()
    ghost.close()
    held.close()
