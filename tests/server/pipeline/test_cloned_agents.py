"""Two machines that speak as one agent show, with spools of their own or a copied one; others do not."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from event_schema.control_records import Heartbeat
from server.store.tables import agent_findings
from tests.server.pipeline.conftest import NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file


@pytest.fixture
def original(server: Server) -> Endpoint:
    made = Endpoint()
    made.enrol(server.database)
    return made


def _copy_of(endpoint: Endpoint, *, epoch: str | None = None) -> Endpoint:
    made = copy.copy(endpoint)
    if epoch is not None:
        made.epoch, made.next_seq = epoch, 0
    return made


def _beat(endpoint: Endpoint, server: Server, *, late: int = 0) -> None:
    server.now += 15_000 + late
    server.take(
        endpoint.heartbeat(
            Heartbeat(
                sent_at=server.now - late,
                version="0.1.0",
                next_seq=endpoint.next_seq,
                backlog_events=0,
                backlog_bytes=0,
                lost_events=0,
                collectors=(),
            )
        )
    )


def _send(endpoint: Endpoint, server: Server, events: int = 1) -> None:
    server.now += 1000
    server.take(endpoint.record([copied_file(server.now) for _ in range(events)]))


def _findings(server: Server) -> dict[str, Any]:
    with server.database.read() as connection:
        return {row.kind: row for row in connection.execute(select(agent_findings))}


def test_two_spools_of_one_identity_that_take_turns_are_a_clone(server: Server, original: Endpoint) -> None:
    clone = _copy_of(original, epoch="f" * 16)
    _send(original, server)
    _send(clone, server)
    assert _findings(server).keys() == {"new_epoch"}
    for _ in range(3):
        _send(original, server)
        _send(clone, server)
    found = _findings(server)
    assert found.keys() == {"new_epoch", "cloned"}
    assert found["cloned"].count == 3
    assert original.epoch in found["cloned"].detail
    assert clone.epoch in found["cloned"].detail


def test_a_clone_that_only_says_that_it_lives_is_found_too(server: Server, original: Endpoint) -> None:
    clone = _copy_of(original, epoch="f" * 16)
    _send(original, server)
    _send(clone, server)
    _beat(original, server)
    assert _findings(server)["cloned"].count == 1


def test_a_copied_spool_is_found_by_its_heartbeats(server: Server, original: Endpoint) -> None:
    _send(original, server, 5)
    clone = _copy_of(original)
    for _ in range(2):
        _send(original, server, 3)
        _beat(original, server)
        _beat(clone, server)
    found = _findings(server)
    assert found.keys() == {"cloned"}
    assert found["cloned"].count == 2
    assert original.epoch in found["cloned"].detail


def test_a_rebuilt_spool_records_sent_twice_and_one_late_heartbeat_are_no_clone(
    server: Server, original: Endpoint
) -> None:
    _send(original, server, 5)
    last = original.record([copied_file(NOW)])
    server.take(last)
    given_up = _copy_of(original)
    _beat(original, server)
    _send(original, server)
    _beat(given_up, server, late=30_000)
    _beat(original, server)
    rebuilt = _copy_of(original, epoch="f" * 16)
    _send(rebuilt, server)
    # The last request of the old spool comes again: nothing in it is new.
    server.now += 1000
    server.take(msgspec.structs.replace(last))
    for _ in range(3):
        _beat(rebuilt, server)
        _send(rebuilt, server)
    assert _findings(server).keys() == {"new_epoch"}
