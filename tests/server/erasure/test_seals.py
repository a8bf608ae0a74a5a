"""What is left of blocks is sealed: what the seal shows, and what it does not prove."""

from __future__ import annotations

import random

import msgspec
import pytest
from sqlalchemy import insert, select, update

from server.alerts.evidence_blocks import EventBlock
from server.alerts.proof import verify_evidence
from server.evidence_seal import value_digest
from server.ingest.redaction import without_events
from server.store.tables import (
    alerts,
    block_seals,
    event_blocks,
)
from tests.server.erasure.shared_machine import (
    SEAL_KEY,
    erase,
    file_of,
    prepare,
)
from tests.server.pipeline.conftest import Server
from tests.server.pipeline.endpoint import Endpoint


@pytest.mark.parametrize("when", ["after", "between two erasures"])
def test_what_is_tampered_with_after_an_erasure_still_shows(server: Server, when: str) -> None:
    desk = Endpoint("desk-4")
    prepare(server, [desk])
    dice = random.Random(4)
    server.take(
        desk.record([file_of(account, dice) for account in ("bob", "xanthippe", "bob", "carol", "bob")])
    )
    erase(server)
    with server.database.begin() as connection:
        bobs = connection.execute(select(alerts.c.id).where(alerts.c.subject == "person:E2")).scalar_one()
        assert verify_evidence(connection, bobs).good
        forged = desk.record([file_of("bob", dice) for _ in range(5)]).value
        connection.execute(update(event_blocks).values(value=forged))
    if when != "after":
        erase(server, person="E3")
    with server.database.read() as connection:
        proof = verify_evidence(connection, bobs)
        assert not proof.good
        assert "not as they were sealed" in proof.bad[0].message


def test_an_event_that_a_seal_says_is_gone_is_not_proven(server: Server) -> None:
    desk = Endpoint("desk-4")
    prepare(server, [desk])
    dice = random.Random(4)
    server.take(desk.record([file_of("bob", dice) for _ in range(5)]))
    with server.database.begin() as connection:
        bobs = connection.execute(select(alerts.c.id).where(alerts.c.subject == "person:E2")).scalar_one()
        columns = [event_blocks.c[name] for name in EventBlock.__struct_fields__]
        block = EventBlock(*connection.execute(select(*columns)).one())
        rest = without_events(block.record, range(1, block.count))
        seal = SEAL_KEY.seal(rest, value_digest(block.value), erased=block.count - 1, at=1)
        SEAL_KEY.register(connection, at=1)
        connection.execute(update(event_blocks).values(value=rest.value))
        connection.execute(insert(block_seals).values(block=block.id, **msgspec.structs.asdict(seal)))
        proof = verify_evidence(connection, bobs)
        assert (proof.good, proof.bad, proof.sealed) == (False, (), 1)
        assert (proof.events, proof.missing) == (1, 4)
        # Nor is a seal on what is no record at all.
        odd = msgspec.structs.replace(rest, value=b"odd")
        seal = SEAL_KEY.seal(odd, value_digest(block.value), erased=4, at=1)
        connection.execute(update(event_blocks).values(value=odd.value))
        connection.execute(update(block_seals).values(msgspec.structs.asdict(seal)))
        proof = verify_evidence(connection, bobs)
        assert (proof.good, len(proof.bad), proof.sealed, proof.missing) == (False, 1, 1, 5)


def test_two_erasures_from_one_block_leave_one_seal_that_holds(server: Server) -> None:
    desk = Endpoint("desk-4")
    prepare(server, [desk])
    dice = random.Random(4)
    server.take(desk.record([file_of(account, dice) for account in ("bob", "xanthippe", "carol", "bob")]))
    erase(server)
    erase(server, person="E3")
    with server.database.read() as connection:
        bobs = connection.execute(select(alerts.c.id).where(alerts.c.subject == "person:E2")).scalar_one()
        proof = verify_evidence(connection, bobs)
        assert (proof.good, proof.events, proof.sealed) == (True, 2, 1)
        assert connection.execute(select(block_seals.c.erased)).scalar_one() == 2
