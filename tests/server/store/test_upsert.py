"""Many rows or few, on both databases, by whichever way: the same rows stand there in the end."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Table, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from server.store.column_types import WHOLE_MAX
from server.store.database import Database
from server.store.tables import (
    agents,
    anomaly_days,
    collector_days,
    dead_letters,
    event_blocks,
    models,
    subject_agents,
)
from server.store.upsert import insert_missing, insert_new, upsert

MANY, FEW = 300, 3


def _day(number: int, **other: Any) -> dict[str, Any]:
    row = {
        "subject": f"person:{number}",
        "day": number - 5,
        "points": number / 7,
        "uncalmed": float(number),
        "slow_points": -1e-300 * number,
        "family": "off" if number % 2 else "work",
        "slow_family": "",
        "evidence": f'{{"mail": {number}}}',
        "uncalmed_evidence": "{}",
        "model_id": None if number % 3 else WHOLE_MAX - number,
    }
    return row | other


def _stored(database: Database, table: Table) -> list[dict[str, Any]]:
    with database.read() as connection:
        rows = connection.execute(select(table).order_by(*table.primary_key))
        return [dict(row._mapping) for row in rows]


@pytest.mark.parametrize("count", [FEW, MANY])
def test_rows_are_added_or_changed_and_others_stay(database: Database, count: int) -> None:
    first = [_day(number) for number in range(count)]
    with database.begin() as connection:
        upsert(connection, anomaly_days, [_day(10_000)])
        upsert(connection, anomaly_days, first)
    assert len(_stored(database, anomaly_days)) == count + 1
    second = [_day(number, points=99.5, model_id=7, family="数") for number in range(count // 2, count + 5)]
    with database.begin() as connection:
        upsert(connection, anomaly_days, second)
    expected = {row["subject"]: row for row in [_day(10_000), *first, *second]}
    assert _stored(database, anomaly_days) == sorted(expected.values(), key=lambda row: row["subject"])


@pytest.mark.parametrize("count", [FEW, MANY])
def test_several_upserts_of_one_transaction_add_up_and_one_rolled_back_leaves_nothing(
    database: Database, count: int
) -> None:
    rows = [_day(number) for number in range(count)]
    with pytest.raises(RuntimeError), database.begin() as connection:
        upsert(connection, anomaly_days, rows)
        raise RuntimeError("power cut")
    assert _stored(database, anomaly_days) == []
    for _ in range(2):
        with database.begin() as connection:
            upsert(connection, anomaly_days, rows)
            upsert(connection, anomaly_days, [_day(number, uncalmed=7.0) for number in range(1, count)])
    assert [row["uncalmed"] for row in _stored(database, anomaly_days)] == [0] + [7] * (count - 1)


@pytest.mark.parametrize("count", [FEW, MANY])
def test_what_exists_stays_as_it_is_by_any_unique_index(database: Database, count: int) -> None:
    days = [{"agent": "a", "collector": "c", "day": day} for day in range(count)]
    letters = [
        {
            "partition": 0,
            "offset": offset,
            "event_index": -1,
            "agent": None,
            "received_at": 1,
            "reason": "bad_event",
            "message": "first",
            "size": 1,
            "data": b"\0\xff",
        }
        for offset in range(count)
    ]
    with database.begin() as connection:
        # The same one twice in one call counts once.
        insert_missing(connection, collector_days, [*days, *days])
        insert_missing(connection, dead_letters, letters)
        insert_missing(connection, dead_letters, [row | {"message": "second"} for row in letters])
        insert_missing(connection, dead_letters, [letters[0] | {"offset": 10_000}])
    assert _stored(database, collector_days) == days
    found = _stored(database, dead_letters)
    assert len(found) == count + 1
    assert {row["message"] for row in found} == {"first"}


@pytest.mark.parametrize("count", [FEW, MANY])
def test_odd_values_read_back_as_from_any_other_insert(database: Database, count: int) -> None:
    odd = {"version": "\0é", "numbers": [1, None, 2**60, 0.1, True]}
    with database.begin() as connection:
        upsert(
            connection,
            agents,
            [
                {
                    "name": f"a{number}",
                    "created_at": 0,
                    "clock_offset": -(2**63),
                    "heartbeat": odd,
                    "revoked_reason": "zero \0 half \udc80 'quotes' \\ \t\n",
                }
                for number in range(count)
            ],
        )
        insert_new(
            connection,
            models,
            [
                {
                    "kind": "k",
                    "created_at": n,
                    "active": n == 1,
                    "summary": odd,
                    "state": bytes([n % 256]) * 50_000,
                }
                for n in range(count)
            ],
        )
    for row in _stored(database, agents):
        assert row["revoked_reason"] == "zero \ufffd half \ufffd 'quotes' \\ \t\n"
        assert (row["heartbeat"], row["clock_offset"], row["enrolled_at"]) == (odd, -(2**63), None)
    stored = _stored(database, models)
    assert [row["active"] for row in stored] == [n == 1 for n in range(count)]
    assert all(row["state"] == bytes([n % 256]) * 50_000 for n, row in enumerate(stored))
    assert len({row["id"] for row in stored}) == count


def test_a_megabyte_a_row_goes_in_whole(database: Database) -> None:
    value = bytes(range(256)) * 4096
    rows = [
        {
            "agent": "a",
            "epoch": "0" * 16,
            "first_seq": number,
            "count": 1,
            "received_at": 1,
            "last_day": 1,
            "signature": b"s" * 64,
            "value": value,
            "leaver": b"",
        }
        for number in range(20)
    ]
    with database.begin() as connection:
        insert_new(connection, event_blocks, rows)
    with database.read() as connection:
        sizes = connection.execute(select(func.sum(func.length(event_blocks.c.value)))).scalar_one()
        some = connection.execute(select(event_blocks.c.value).limit(1)).scalar_one()
    assert (int(sizes), some) == (20 << 20, value)


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_key_that_exists_or_a_value_that_does_not_fit_is_the_databases_error(
    database: Database, count: int
) -> None:
    rows = [{"subject": f"s{n}", "agent": "a", "first_time": n} for n in range(count)]
    with database.begin() as connection:
        insert_new(connection, subject_agents, rows)
    with pytest.raises(IntegrityError), database.begin() as connection:
        insert_new(connection, subject_agents, rows)
    with pytest.raises(DBAPIError), database.begin() as connection:
        upsert(connection, subject_agents, [row | {"first_time": None} for row in rows])
    # The connection is as good as before.
    with database.begin() as connection:
        upsert(connection, subject_agents, [row | {"first_time": 9} for row in rows])
    assert {row["first_time"] for row in _stored(database, subject_agents)} == {9}


def test_no_rows_are_no_statement(database: Database) -> None:
    with database.begin() as connection:
        for write in (upsert, insert_missing, insert_new):
            write(connection, subject_agents, [])
    assert _stored(database, subject_agents) == []
