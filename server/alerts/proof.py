"""Checks again what the agents signed: whether an alert's stored evidence is what came from the endpoint.

A block is a wire record's value as it travelled, so a proof needs nothing but the block, the agent's public
key and event_schema/wire.py. Where events of others were erased from it, the agent's signature is checked
against the digest of what it signed, and this installation's seal against what is left (evidence_seal.py).
"""

from __future__ import annotations

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, select

from event_schema.wire import WireError, WireRecord, verify_signature
from server.alerts.evidence_blocks import EventBlock, alert_ranges, range_blocks
from server.evidence_seal import read_seal, seal_holds
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
    sealed: int = 0
    """Of the blocks, those from which something was erased: the agent's signature proves what they were,
    this installation's seal that what is left is a part of it."""


def verify_evidence(connection: Connection, alert_id: int) -> EvidenceProof:
    """Checks every block of the alert against all keys that its agent ever enrolled."""
    keys: dict[str, list[Ed25519PublicKey]] = {}
    faults: dict[int, BadBlock | None] = {}
    sealed: set[int] = set()
    proven = expected = 0
    for wanted in alert_ranges(connection, alert_id):
        expected += wanted.count
        if wanted.agent not in keys:
            keys[wanted.agent] = _agent_keys(connection, wanted.agent)
        next_seq = wanted.first_seq
        for block in range_blocks(connection, wanted):
            if block.id not in faults:
                faults[block.id], is_sealed = _fault(connection, block, keys[wanted.agent])
                if is_sealed:
                    sealed.add(block.id)
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
        sealed=len(sealed),
    )


def _agent_keys(connection: Connection, agent: str) -> list[Ed25519PublicKey]:
    rows = connection.execute(select(agent_keys.c.public_key).where(agent_keys.c.agent == agent))
    return [Ed25519PublicKey.from_public_bytes(row.public_key) for row in rows]


def _fault(
    connection: Connection, block: EventBlock, keys: list[Ed25519PublicKey]
) -> tuple[BadBlock | None, bool]:
    """(what is wrong, whether it rests on a seal)."""
    if not keys:
        return BadBlock(block.id, block.agent, "its agent has no key on record"), False
    record = block.record
    if _is_signed(record, keys):
        return None, False
    last = block.first_seq + block.count - 1
    seal = read_seal(connection, block.id)
    if seal is None or not _is_signed(record, keys, seal.original_digest):
        message = f"no key of its agent signed events {block.first_seq} to {last}"
        return BadBlock(block.id, block.agent, message), seal is not None
    if not seal_holds(connection, record, seal):
        message = f"events {block.first_seq} to {last} are not as they were sealed after an erasure"
        return BadBlock(block.id, block.agent, message), True
    return None, True


def _is_signed(record: WireRecord, keys: list[Ed25519PublicKey], digest: str | None = None) -> bool:
    for key in keys:
        try:
            verify_signature(record, key, digest=digest)
        except WireError:
            continue
        return True
    return False
