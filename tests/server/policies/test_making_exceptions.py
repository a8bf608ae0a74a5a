"""One way to make exceptions: prepared and counted by reading, then kept; renewed by another last day."""

from __future__ import annotations

import datetime

import pytest

from policies.errors import PolicyErrors
from server.policies.making_exceptions import (
    Wanted,
    checked_last_day,
    extended,
    keep_exception,
    names_somebody,
    prepare_exception,
)
from server.policies.versions import UnknownPolicy, current_versions, save
from server.store.database import Database
from tests.server.conftest import NOW
from tests.server.policies.rule_texts import COPIED, RULE

UNTIL = datetime.date(2026, 12, 31)


def test_what_was_prepared_is_kept_with_its_count(database: Database) -> None:
    with database.begin() as connection:
        save(connection, COPIED, file="a.yml", actor="cli:lin", reason="first", now=NOW)
    with database.read() as connection:
        rules = [current_versions(connection)[RULE]]
        found = prepare_exception(
            connection,
            Wanted(destination="partner.example"),
            rules,
            until=UNTIL,
            owner="lin",
            reason="contract 17",
            now=NOW,
        )
    assert (found.told, found.counted.hits) == (True, 0)
    with database.begin() as connection:
        kept = keep_exception(connection, found, file="x", actor="user:lin", reason="contract 17", now=NOW)
    assert (kept.rule_id, kept.kind) == (found.exception_id, "exception")
    assert kept.preview is not None and kept.preview["days"] == 30
    renewed = extended(kept, datetime.date(2027, 1, 31))
    assert "until: 2027-01-31" in renewed
    assert len(renewed.splitlines()) == len(found.text.splitlines())
    with database.begin() as connection:
        later = save(connection, renewed, file="x", actor="user:lin", reason="goes on", now=NOW)
        rule = current_versions(connection)[RULE]
    assert (later.rule_id, later.number) == (found.exception_id, 2)
    with pytest.raises(PolicyErrors, match="already"):
        extended(later, datetime.date(2027, 1, 31))
    with pytest.raises(UnknownPolicy):
        extended(rule, UNTIL)


@pytest.mark.databases("sqlite")
def test_an_exception_from_everything_is_none(database: Database) -> None:
    with database.begin() as connection:
        save(connection, COPIED, file="a.yml", actor="cli:lin", reason="first", now=NOW)
    with database.read() as connection, pytest.raises(ValueError, match="left out"):
        rules = [current_versions(connection)[RULE]]
        prepare_exception(connection, Wanted(), rules, until=UNTIL, owner="lin", reason="x", now=NOW)


@pytest.mark.parametrize("given", ["2026-11-21", "2028-01-01", "soon", "", "31.12.2026", "2026-02-30"])
def test_a_last_day_lies_within_a_year(given: str) -> None:
    with pytest.raises(ValueError, match=r"day|between"):
        checked_last_day(given, NOW)
    assert checked_last_day(" 2026-12-31 ", NOW) == UNTIL


def test_counts_are_not_told_of_whom_a_name_tells() -> None:
    assert names_somebody(Wanted(person="p1"), by_pseudonym=False)
    assert not names_somebody(Wanted(person="p1"), by_pseudonym=True)
    assert names_somebody(Wanted(account="alice"), by_pseudonym=True)
    assert names_somebody(Wanted(fields=(("user.name|endswith", "x"),)), by_pseudonym=True)
    assert not names_somebody(Wanted(destination="partner.example"), by_pseudonym=False)
