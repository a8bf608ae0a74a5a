"""A name is seen by one user, for one hour, on the record, and by nobody else."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server import audit
from server.people.facts import Holding, PersonFacts
from server.people.facts_store import write_facts
from server.people.pseudonyms import UnknownPseudonym, give_pseudonyms
from server.people.unmaskings import UNMASKED_MS, grant, hide_again, live_grants, unmask_log
from server.store.database import Database
from server.store.tables import unmaskings
from tests.server.conftest import NOW

ANNA, OTTO = "person:E1", "person:E2"
OMAR, MIRA = "user:omar", "user:mira"


def _people(database: Database) -> dict[str, str]:
    changes = [
        (None, PersonFacts("E1", "UTC", "Anna Weber", accounts=(Holding("aweber"),))),
        (None, PersonFacts("E2", "UTC", "Otto Weber")),
    ]
    with database.begin() as connection:
        write_facts(connection, changes, at=NOW, actor="cli:hr", way="import")
        return give_pseudonyms(connection, [ANNA, OTTO, "account:bob@pc"])


def test_a_name_is_shown_to_whoever_asked_for_an_hour(database: Database) -> None:
    shown = _people(database)
    with database.begin() as connection:
        given = grant(connection, shown[ANNA], actor=OMAR, at=NOW, reason=" case 7 ", case_id=7)
    assert (given.name, given.accounts, given.until) == ("Anna Weber", ("aweber",), NOW + UNMASKED_MS)
    with database.read() as connection:
        assert live_grants(connection, OMAR, NOW + UNMASKED_MS - 1) == {ANNA: given}
        assert live_grants(connection, OMAR, NOW + UNMASKED_MS) == {}
        assert live_grants(connection, MIRA, NOW + 1) == {}
        [entry] = unmask_log(connection, [ANNA])
        [row] = [each for each in audit.newest(connection, limit=9) if each.action == "pseudonym.unmask"]
    assert (entry.actor, entry.reason, entry.case_id) == (OMAR, "case 7", 7)
    assert (row.actor, row.object, row.reason) == (OMAR, shown[ANNA], "case 7")


def test_hidden_again_it_is_gone_and_that_is_on_the_record(database: Database) -> None:
    shown = _people(database)
    with database.begin() as connection:
        grant(connection, shown[ANNA], actor=OMAR, at=NOW, reason="x")
        grant(connection, shown[OTTO], actor=OMAR, at=NOW, reason="y")
        assert hide_again(connection, shown[ANNA].lower(), actor=OMAR, at=NOW + 5)
        assert not hide_again(connection, shown[ANNA], actor=OMAR, at=NOW + 6)
        assert not hide_again(connection, shown[OTTO], actor=MIRA, at=NOW + 6)
    with database.read() as connection:
        assert set(live_grants(connection, OMAR, NOW + 7)) == {OTTO}
        assert audit.newest(connection, limit=1)[0].action == "pseudonym.hide"


def test_asking_twice_makes_one_grant_with_the_later_end(database: Database) -> None:
    shown = _people(database)
    with database.begin() as connection:
        grant(connection, shown[ANNA], actor=OMAR, at=NOW, reason="x")
        grant(connection, shown[ANNA], actor=OMAR, at=NOW + 1000, reason="y")
        assert connection.execute(select(unmaskings.c.until).order_by(unmaskings.c.id)).scalars().all() == [
            NOW + 1000,
            NOW + 1000 + UNMASKED_MS,
        ]


def test_an_account_of_nobody_is_unmasked_by_its_name(database: Database) -> None:
    shown = _people(database)
    with database.begin() as connection:
        given = grant(connection, shown["account:bob@pc"], actor=OMAR, at=NOW, reason="x")
        assert live_grants(connection, OMAR, NOW) == {"account:bob@pc": given}
    assert (given.name, given.accounts) == (None, ("bob@pc",))


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001, "a\0b", "\ud800"])
def test_without_a_proper_reason_nothing_is_shown_and_nothing_written(
    database: Database, reason: str
) -> None:
    shown = _people(database)
    with pytest.raises(ValueError), database.begin() as connection:
        grant(connection, shown[ANNA], actor=OMAR, at=NOW, reason=reason)
    with database.read() as connection:
        assert unmask_log(connection, [ANNA]) == []


def test_who_is_no_pseudonym_is_nobody(database: Database) -> None:
    _people(database)
    for given in ("E1", "P-00000", "aweber"):
        with pytest.raises(UnknownPseudonym), database.begin() as connection:
            grant(connection, given, actor=OMAR, at=NOW, reason="x")
