"""Erasure reaches what looking back wrote, and looking back brings nothing back that was erased."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select, update

from server.erasure.erasing import begin
from server.erasure.plan import person_target
from server.people.hr_import import import_people
from server.pipeline.leaver_entries import unpacked
from server.store.tables import erasures, event_blocks, leaver_versions, look_backs
from tests.server.erasure.shared_machine import erase
from tests.server.look_back.company import STAYS, TODAY, archive, date_of, enrolled, flag, take_over
from tests.server.look_back.outcomes import known, look_back, looking_back, outcome, rows
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint

pytestmark = pytest.mark.databases("sqlite")


def _shared_block(server: Server, *accounts: str) -> None:
    """One record with an event of each."""
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    server.take(endpoint.record([archive(NOW - DAY, account=account) for account in accounts]))


def _written(server: Server) -> bytes:
    """All that is known of events, in whatever version."""
    with server.database.read() as connection:
        blobs = [*connection.execute(select(event_blocks.c.leaver)).scalars()]
        blobs += connection.execute(select(leaver_versions.c.leaver)).scalars()
    return b"\n".join(map(unpacked, blobs))


def test_later_versions_go_with_the_person(server: Server) -> None:
    _shared_block(server, "alice", "bob")
    flag(server)
    flag(server, person="E2")
    assert look_back(server) == 2
    others = {key: entry for key, entry in known(server).items() if entry[1]["person"]["id"] == "E2"}
    erase(server, person="E1")
    assert b'"E1"' not in _written(server)
    assert known(server) == others
    assert {row["person_id"] for row in rows(server, look_backs)} == {"E2"}
    assert len(rows(server, leaver_versions)) == 1


def test_what_an_account_did_goes_with_whom_it_turned_out_to_be(server: Server) -> None:
    _shared_block(server, "nobody", "bob")
    take_over(server, "id,accounts\nE9,nobody\n")
    assert look_back(server) == 1
    assert {entry[1]["person"]["id"] for entry in known(server).values()} == {"E9", "E2"}
    erase(server, person="E9")
    assert {entry[1]["person"]["id"] for entry in known(server).values()} == {"E2"}
    assert b"E9" not in _written(server)


def test_who_was_thought_to_have_done_it_is_forgotten_and_the_event_stays(server: Server) -> None:
    _shared_block(server, "alice", "bob")
    with server.database.begin() as connection:
        import_people(
            connection,
            f"id,accounts,since\nE1,,\nE3,carol alice,{date_of(NOW // DAY - 5)}\n".encode(),
            actor="HR",
            at=NOW,
        )
    assert look_back(server) == 1
    before = known(server)
    assert {entry[1]["person"]["id"] for entry in before.values()} == {"E3", "E2"}
    assert b'"E1"' in _written(server)
    erase(server, person="E1")
    assert b'"E1"' not in _written(server)
    assert known(server) == before


def test_it_waits_while_an_erasure_is_unfinished(server: Server) -> None:
    _shared_block(server, "alice")
    flag(server)
    with server.database.begin() as connection:
        row = {"kind": "days", "first_day": 0, "last_day": 1, "begun_at": NOW, "next_block": 1}
        connection.execute(insert(erasures).values(row | {"removed": {}, "plan": {}}))
    assert looking_back(server).step() == 0
    with server.database.begin() as connection:
        connection.execute(update(erasures).values(finished_at=NOW))
    assert looking_back(server).step() == 1


def test_an_erasure_that_begins_meanwhile_takes_the_person_out_of_what_is_looked_at(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _shared_block(server, "alice", "bob")
    flag(server)
    worker = looking_back(server)
    erased: list[Any] = []

    def meanwhile() -> None:
        if not erased:
            erased.append(erase(server, person="E1"))

    monkeypatch.setattr(worker._pulse, "beat", meanwhile)
    assert worker.step() == 0
    assert worker.step() == 0
    assert rows(server, look_backs) == []
    assert b'"E1"' not in _written(server)
    assert {row["subject"] for row in outcome(server)["days"]} == {"person:E2"}


def test_what_was_written_before_an_erasure_began_does_not_outlive_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after its portions, before its end."""
    _shared_block(server, "alice", "bob")
    flag(server)
    worker = looking_back(server)
    monkeypatch.setattr("server.look_back.attempt.Attempt._end", _dies)
    with pytest.raises(ConnectionResetError):
        worker.step()
    assert len(rows(server, leaver_versions)) == 1
    monkeypatch.undo()
    with server.database.begin() as connection:
        target = person_target(connection, "E1")
        begin(connection, target, actor="x", reason="r", at=NOW, blocked_until=NOW + DAY)
    assert looking_back(server).step() == 0
    erase(server, person="E1")
    assert b'"E1"' not in _written(server)
    assert rows(server, leaver_versions) == []


def test_what_it_had_written_aside_about_others_does_not_count_once_the_person_is_being_erased(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    server.take(endpoint.record([archive(NOW - 20 * DAY)]))
    server.take(endpoint.record([archive(NOW - 2 * DAY, account="bob")]))
    before = known(server, whole=True)
    flag(server, TODAY - 12, notice=TODAY - 40)
    monkeypatch.setattr("server.look_back.attempt.Attempt._end", _dies)
    with pytest.raises(ConnectionResetError):
        looking_back(server).step()
    assert len(rows(server, leaver_versions)) == 2
    with server.database.begin() as connection:
        target = person_target(connection, "E1")
        begin(connection, target, actor="x", reason="r", at=NOW, blocked_until=NOW + DAY)
    assert known(server, whole=True) == before
    erase(server, person="E1")
    assert [entry for entry in before.values() if entry[1]["person"]["id"] == "E2"] == list(
        known(server, whole=True).values()
    )


def _dies(*_arguments: Any) -> None:
    raise ConnectionResetError
