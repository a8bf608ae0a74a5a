"""What is declared of a person goes with the person: from all tables, and from what was declared before."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import select

from server.erasure.counting import count_rows
from server.erasure.erasing import carry_out
from server.erasure.plan import NotFound, account_target, person_target
from server.erasure.undone_imports import undo_import
from server.people.account_facts import AccountWords, declare_account
from server.people.facts import LeaverFlag
from server.people.facts_store import load_facts
from server.people.flags import flag_person
from server.people.leaver_ledger import load_leaver
from server.people.pseudonyms import known_pseudonyms
from server.people.roles import Role
from server.people.sign_offs import Item, sign_off
from server.people.undo import CannotUndo
from server.people.unmaskings import grant
from server.store.tables import accounts, audit, metadata, people_changes, unmaskings
from tests.server.erasure.shared_machine import (
    PERSON,
    SEAL_KEY,
    erase,
    file_of,
    prepare,
    quiet,
    start,
    take_over,
    traces_in_rows,
)
from tests.server.pipeline.conftest import DAY, Server
from tests.server.pipeline.endpoint import Endpoint


def _declare(server: Server, said: AccountWords) -> None:
    with server.database.begin() as connection:
        declare_account(connection, said, actor="test", at=server.now, reason=None)


def test_nothing_of_what_was_declared_and_corrected_is_left(server: Server) -> None:
    desk = Endpoint("desk-4")
    prepare(server, [desk])
    take_over(server, f"id,devices,start date,job role\n{PERSON},xan-stick-pc,2020-01-01,quixotry lead\n")
    take_over(server, f"id,manager,department\nE2,,x\nE3,{PERSON},y\n")
    _declare(server, AccountWords("kefu", "shipping", kind="shared", owner="E2", knows=(PERSON,)))
    with server.database.begin() as connection:
        flag_person(connection, PERSON, LeaverFlag(server.now // DAY), actor="t", at=server.now, reason=None)
        gone = load_leaver(connection, PERSON, server.now)
        assert gone is not None
        note = "Xanthippe keeps the quixotry mail until May"
        sign_off(connection, gone, Item.DATES, role=Role.HR, actor="test", at=server.now, note=note)
        shown = known_pseudonyms(connection, [f"person:{PERSON}"])
    assert any("people_changes.before" in trace for trace in traces_in_rows(server))
    assert any("leaver_sign_offs.note" in trace for trace in traces_in_rows(server))
    server.take(desk.record([file_of("xanthippe", random.Random(1))]))
    removed = erase(server)
    assert traces_in_rows(server) == []
    assert {name: removed[name] for name in ("people", "employments", "leaver_flags", "trait_bindings")} == {
        "people": 1,
        "employments": 1,
        "leaver_flags": 1,
        "trait_bindings": 1,
    }
    assert (removed["people_changes"], removed["account_bindings"], removed["accounts"]) == (3, 4, 3)
    assert removed["leaver_sign_offs"] == 1
    with server.database.read() as connection:
        trail = connection.execute(select(audit.c.action).where(audit.c.object.in_(shown.values())))
        assert "leaver.sign_off" in trail.scalars().all()
        assert set(load_facts(connection)) == {"E2", "E3"}
        assert set(connection.execute(select(accounts.c.account)).scalars()) == {"bob", "carol", "kefu"}
        history = connection.execute(select(people_changes.c.person_id, people_changes.c.before)).all()
    assert any(row.before is not None for row in history)


def test_an_import_of_which_somebody_was_erased_is_not_undone(server: Server) -> None:
    prepare(server, [])
    erase(server)
    with (
        server.database.begin() as connection,
        pytest.raises(CannotUndo, match="history of 1 people is gone"),
    ):
        undo_import(connection, 1, actor="test", at=server.now)


def test_whom_an_undone_import_took_away_is_erased_with_what_was_kept_of_their_names(server: Server) -> None:
    prepare(server, [])
    take_over(server, f"id,name,accounts\n{PERSON},Xanthippe Older,xanthippe xan-old\n")
    reason = "asked by Xanthippe Zymborska, or Older (xan-old), about Bob"
    with server.database.begin() as connection:
        for number in (2, 1):
            undo_import(connection, number, actor="test", at=server.now)
        shown = known_pseudonyms(connection, ["person:E2"])["person:E2"]
        grant(connection, shown, actor="user:omar", at=server.now, reason=reason)
    assert any("removed_people.told" in trace for trace in traces_in_rows(server))
    with server.database.read() as connection:
        target = person_target(connection, PERSON)
    assert target.plan.name == "Xanthippe Zymborska"
    counted = count_rows(server.database, target.plan)
    removed = erase(server)
    assert [trace for trace in traces_in_rows(server) if not trace.startswith("audit")] == []
    with server.database.read() as connection:
        told = connection.execute(select(unmaskings.c.reason)).scalars().all()
    assert told == ["asked by [name], or [name] ([name]), about Bob"]
    for rows in (counted, removed):
        assert (rows["removed_people"], rows["unmaskings_texts"], rows["pseudonyms"]) == (2, 1, 1)


def test_an_account_that_only_was_declared_is_erased_too(server: Server) -> None:
    prepare(server, [])
    _declare(server, AccountWords("xanthippe-svc", kind="service", knows=("E3",)))
    with server.database.begin() as connection:
        target = account_target(connection, "xanthippe-svc")
    removed = carry_out(
        server.database, start(server, target), seal_key=SEAL_KEY, actor="test", progress=quiet
    )
    assert removed == {"accounts": 1, "pseudonyms": 1}
    with server.database.read() as connection:
        assert "xanthippe-svc" not in set(connection.execute(select(accounts.c.account)).scalars())
    with server.database.begin() as connection, pytest.raises(NotFound, match="nothing is kept"):
        account_target(connection, "never-heard-of")


def test_every_table_that_names_people_is_looked_at(server: Server) -> None:
    naming = {table.name for table in metadata.sorted_tables if "person_id" in table.c}
    assert naming == {
        "person_names",
        "employments",
        "leaver_flags",
        "leaver_sign_offs",
        "account_bindings",
        "trait_bindings",
        "people_changes",
        "removed_people",
        "look_backs",
        "suspect_traits",
        "scim_users",
    }
