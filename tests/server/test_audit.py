"""The audit trail is a chain: whatever was changed, taken out or put in shows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from server import audit
from server.store.database import Database
from server.store.tables import audit as audit_table


def _append(database: Database, count: int) -> None:
    for number in range(count):
        with database.begin() as connection:
            audit.append(
                connection,
                at=1000 + number,
                actor="cli:root",
                action="alert.close",
                object=f"alert:{number}",
                reason="因为 – known transfer",
                detail={"verdict": "expected", "nested": [1, None, {"ü": True}]},
            )


def _verify(database: Database) -> int | None:
    with database.read() as connection:
        return audit.verify(connection)


def test_untouched_chain_holds_and_its_numbers_have_no_gap(database: Database) -> None:
    assert _verify(database) is None
    _append(database, 5)
    assert _verify(database) is None
    with database.read() as connection:
        assert list(connection.execute(select(audit_table.c.seq)).scalars()) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "another reason"},
        {"reason": None},
        {"actor": "cli:someone"},
        {"at": 1},
        {"detail": {"verdict": "false"}},
        {"detail": None},
        {"object": "alert:99"},
        {"hash": "0" * 64},
        {"previous_hash": "f" * 64},
    ],
)
def test_changed_row_is_named(database: Database, change: dict[str, Any]) -> None:
    _append(database, 5)
    with database.begin() as connection:
        connection.execute(update(audit_table).where(audit_table.c.seq == 3).values(**change))
    assert _verify(database) == 3


def test_row_taken_out_is_named(database: Database) -> None:
    _append(database, 5)
    with database.begin() as connection:
        connection.execute(delete(audit_table).where(audit_table.c.seq == 2))
    assert _verify(database) == 2


def test_rows_that_swapped_places_are_named(database: Database) -> None:
    _append(database, 4)
    with database.begin() as connection:
        for old, new in ((2, 20), (3, 2), (20, 3)):
            connection.execute(update(audit_table).where(audit_table.c.seq == old).values(seq=new))
    assert _verify(database) == 2


def test_row_put_in_at_the_front_is_named(database: Database) -> None:
    _append(database, 2)
    with database.begin() as connection:
        first = connection.execute(select(audit_table).where(audit_table.c.seq == 1)).one()
        connection.execute(insert(audit_table).values(**{**first._mapping, "seq": 0}))
    assert _verify(database) == 1


def test_cut_off_end_shows_against_a_head_kept_elsewhere(database: Database) -> None:
    _append(database, 3)
    with database.read() as connection:
        kept = audit.head(connection)
    with database.begin() as connection:
        connection.execute(delete(audit_table).where(audit_table.c.seq == 3))
    assert _verify(database) is None
    with database.read() as connection:
        assert audit.head(connection) != kept


@pytest.mark.parametrize(
    "part",
    [
        {"actor": ""},
        {"actor": "x" * 257},
        {"action": "x" * 65},
        {"object": ""},
        {"reason": "x" * 5000},
        {"reason": "zero \0"},
        {"object": "half \udc80"},
        {"detail": {"share": 0.1}},
        {"detail": {"when": object()}},
        {"detail": {"big": "x" * 70_000}},
    ],
)
def test_part_that_does_not_fit_is_refused_and_nothing_is_written(
    database: Database, part: dict[str, Any]
) -> None:
    row: dict[str, Any] = {"actor": "a", "action": "b", "object": "c", **part}
    with pytest.raises((ValueError, TypeError)), database.begin() as connection:
        audit.append(connection, at=1, **row)
    with database.read() as connection:
        assert audit.head(connection) is None


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    detail=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), _plain, max_size=4)
)
def test_any_plain_detail_reads_back_to_the_same_hash(database: Database, detail: dict[str, Any]) -> None:
    with database.begin() as connection:
        audit.append(connection, at=1, actor="a", action="b", object="c", detail=detail)
    assert _verify(database) is None
