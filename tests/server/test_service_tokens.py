"""Tokens of service accounts: shown once, kept as a digest, ended by time or by hand, on the record."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.service_tokens import (
    DAY_MS,
    TokenRefused,
    TokenRole,
    create_token,
    ending_tokens,
    find_token,
    list_tokens,
    note_use,
    revoke_token,
)
from server.store.database import Database
from server.store.tables import audit, service_tokens

NOW = 1_795_305_600_000


def _create(database: Database, name: str = "workday", *, days: int = 30, now: int = NOW) -> str:
    with database.begin() as connection:
        return create_token(connection, name, TokenRole.HR_IMPORT, days=days, now=now, actor="cli:root")


def test_a_token_is_found_by_what_was_shown_and_stored_as_a_digest_only(database: Database) -> None:
    token = _create(database)
    assert len(token) > 40
    with database.read() as connection:
        found = find_token(connection, token)
        assert found is not None
        assert (found.name, found.role, found.expires_at) == (
            "workday",
            TokenRole.HR_IMPORT,
            NOW + 30 * DAY_MS,
        )
        assert token not in repr(connection.execute(select(service_tokens)).all())
        for wrong in ("", token[:-1], token.upper(), token + "x" * 200, "leaver_", "leaver_\ud800"):
            assert find_token(connection, wrong) is None


def test_a_name_has_one_token_that_holds(database: Database) -> None:
    first = _create(database)
    with pytest.raises(TokenRefused, match="workday has a token that holds"):
        _create(database)
    _create(database, "workday-2027")
    _create(database, now=NOW + 30 * DAY_MS)
    for name in ("", "Workday", "a b", "-x", "x" * 65, "ü"):
        with pytest.raises(TokenRefused, match="small letters"):
            _create(database, name)
    with database.begin() as connection:
        revoke_token(connection, "workday", now=NOW, actor="cli:root", reason="lost")
        assert find_token(connection, first) is None
        states = [(token.name, token.state_at(NOW)) for token in list_tokens(connection)]
    assert states == [("workday", "revoked"), ("workday-2027", "holds"), ("workday", "revoked")]


def test_revoking_names_who_and_why_and_needs_a_token_that_holds(database: Database) -> None:
    _create(database)
    with database.begin() as connection:
        revoke_token(connection, "workday", now=NOW, actor="cli:root", reason="left a laptop")
    with database.begin() as connection, pytest.raises(TokenRefused, match="no token of the name workday"):
        revoke_token(connection, "workday", now=NOW, actor="cli:root", reason="again")
    with database.read() as connection:
        rows = connection.execute(select(audit.c.action, audit.c.object, audit.c.reason)).all()
    assert [tuple(row) for row in rows] == [
        ("token.create", "token:workday", None),
        ("token.revoke", "token:workday", "left a laptop"),
    ]


def test_use_is_noted_to_the_hour(database: Database) -> None:
    token = _create(database)
    with database.begin() as connection:
        found = find_token(connection, token)
        assert found is not None
        assert found.is_use_worth_noting(NOW)
        note_use(connection, found, now=NOW)
        again = find_token(connection, token)
    assert again is not None
    assert (again.is_use_worth_noting(NOW + 3_599_999), again.is_use_worth_noting(NOW + 3_600_000)) == (
        False,
        True,
    )


def test_those_in_use_that_end_within_two_weeks_are_told(database: Database) -> None:
    used, unused, long, gone = (
        _create(database, name, days=days) for name, days in (("a", 20), ("b", 20), ("c", 200), ("d", 20))
    )
    assert unused
    with database.begin() as connection:
        for token in (used, long, gone):
            found = find_token(connection, token)
            assert found is not None
            note_use(connection, found, now=NOW)
        revoke_token(connection, "d", now=NOW, actor="cli:root", reason="replaced")
        told = [
            [token.name for token in ending_tokens(connection, now=NOW + days * DAY_MS)]
            for days in (5, 7, 20, 33, 35)
        ]
    assert told == [[], ["a"], ["a"], ["a"], []]
