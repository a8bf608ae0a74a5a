"""Checks again what the agents signed: whether an alert's stored evidence is what came from the endpoint.

A block is a wire record's value as it travelled, so a proof needs nothing but the block, the agent's public
key and event_schema/wire.py.
"""

from __future__ import annotations

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, select

from event_schema.wire import WireError, verify_signature
from server.alerts.evidence_blocks import EventBlock, alert_ranges, range_blocks
from server.store.tables import agent_keys


class BadBlock(msgspec.Struct, frozen=True):
    """A stored block that no key of its agent signed; `message` names neither agent nor person."""

    block: int
    agent: str
    message: str


class EvidenceProof(msgspec.Struct, frozen=True):
    """What checking the signatures gave."""

    good: bool
    """There is evidence, all of it is there, and all of it is well signed."""
    events: int
    """Events of the alert that lie in well-signed blocks."""
    missing: int
    """Events of the alert that lie in none."""
    blocks: int
    bad: tuple[BadBlock, ...]


def verify_evidence(connection: Connection, alert_id: int) -> EvidenceProof:
    """Checks every block of the alert against all keys that its agent ever enrolled."""
    keys: dict[str, list[Ed25519PublicKey]] = {}
    faults: dict[int, BadBlock | None] = {}
    proven = expected = 0
    for wanted in alert_ranges(connection, alert_id):
        expected += wanted.count
        if wanted.agent not in keys:
            keys[wanted.agent] = _agent_keys(connection, wanted.agent)
        next_seq = wanted.first_seq
        for block in range_blocks(connection, wanted):
            if block.id not in faults:
                faults[block.id] = _fault(block, keys[wanted.agent])
            if faults[block.id] is None:
                first = max(next_seq, block.first_seq)
                last = min(wanted.last_seq, block.first_seq + block.count - 1)
                proven += max(0, last - first + 1)
                next_seq = max(next_seq, last + 1)
    bad = tuple(fault for fault in faults.values() if fault is not None)
    return EvidenceProof(
        good=not bad and 0 < expected == proven,
        events=proven,
        missing=expected - proven,
        blocks=len(faults),
        bad=bad,
    )


def _agent_keys(connection: Connection, agent: str) -> list[Ed25519PublicKey]:
    rows = connection.execute(select(agent_keys.c.public_key).where(agent_keys.c.agent == agent))
    return [Ed25519PublicKey.from_public_bytes(row.public_key) for row in rows]


def _fault(block: EventBlock, keys: list[Ed25519PublicKey]) -> BadBlock | None:
    if not keys:
        return BadBlock(block.id, block.agent, "its agent has no key on record")
    record = block.record
    for key in keys:
        try:
            verify_signature(record, key)
        except WireError:
            continue
        return None
    last = block.first_seq + block.count - 1
    return BadBlock(block.id, block.agent, f"no key of its agent signed events {block.first_seq} to {last}")
