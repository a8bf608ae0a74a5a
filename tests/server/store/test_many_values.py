"""A long list is one parameter, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select

from server.store.database import Database
from server.store.many_values import any_of
from server.store.tables import installation

NAMES = ("plain", "Müller \u202e王", 'it\'s "quoted" \\ [1,2]', "%_")


@pytest.mark.parametrize("wanted", [(), NAMES[:1], NAMES[1:3], (*NAMES, *(f"x{n}" for n in range(5_000)))])
def test_of_a_list_those_are_found_that_are_in_it(database: Database, wanted: tuple[str, ...]) -> None:
    with database.begin() as connection:
        connection.execute(insert(installation), [{"key": name, "value": "x"} for name in NAMES])
        query = select(installation.c.key).where(installation.c.key.in_(any_of(wanted)))
        assert set(connection.execute(query).scalars()) == set(NAMES) & set(wanted)
        assert len(query.compile().params) == 1
