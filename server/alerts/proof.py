"""Checks again what the agents signed: whether an alert's stored evidence is what came from the endpoint.

A block is a wire record's value as it travelled, so a proof needs nothing but the block, the agent's public
key and event_schema/wire.py. Where events were erased from it, the agent's signature is checked against the
digest of what it signed, and this installation's seal against what is left (evidence_seal.py); an event that
is no longer in it is not proven. Such a one is missing, unless it may lie on days whose erasure is on record.
"""

from __future__ import annotations

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, select

from event_schema.wire import WireError, WireRecord, verify_signature
from server.alerts.event_ranges import EventRange
from server.alerts.evidence_blocks import EventBlock, alert_ranges, erased_ranges, range_blocks
from server.evidence_seal import read_seal, seal_holds
from server.ingest.redaction import NOTHING, raw_events
from server.store.tables import agent_keys

_ABSENT, _DOUBTED, _PROVEN = range(3)
"""What is known of an event; a bytearray of them begins as all absent."""


class BadBlock(msgspec.Struct, frozen=True):
    """A stored block that no key of its agent signed; `message` names neither agent nor person."""

    block: int
    agent: str
    message: str


class EvidenceProof(msgspec.Struct, frozen=True):
    """What checking the signatures gave."""

    good: bool
    """There is evidence, all of it is there or on record as erased, and all that is there is well signed."""
    events: int
    """Events of the alert that lie in well-signed blocks."""
    missing: int
    """Events of the alert that lie in none, and that no erasure of days accounts for."""
    blocks: int
    bad: tuple[BadBlock, ...]
    sealed: int = 0
    """Of the blocks, those from which something was erased: the agent's signature proves what they were,
    this installation's seal that what is left is a part of it."""
    erased: int = 0
    """Events of the alert that are gone, and may lie on days that were erased."""


def verify_evidence(connection: Connection, alert_id: int) -> EvidenceProof:
    """Checks every block of the alert against all keys that its agent ever enrolled."""
    keys: dict[str, list[Ed25519PublicKey]] = {}
    faults: dict[int, BadBlock | None] = {}
    left: dict[int, bytes | None] = {}
    gone = erased_ranges(connection, alert_id)
    proven = expected = erased = 0
    for wanted in alert_ranges(connection, alert_id):
        expected += wanted.count
        if wanted.agent not in keys:
            keys[wanted.agent] = _agent_keys(connection, wanted.agent)
        marks = bytearray(wanted.count)
        for block in range_blocks(connection, wanted):
            if block.id not in faults:
                faults[block.id], left[block.id] = _fault(connection, block, keys[wanted.agent])
            _mark(marks, wanted, block, left[block.id], faults[block.id] is None)
        proven += marks.count(_PROVEN)
        erased += sum(_absent(marks, wanted, part) for part in gone)
    bad = tuple(fault for fault in faults.values() if fault is not None)
    return EvidenceProof(
        good=not bad and 0 < proven == expected - erased,
        events=proven,
        missing=expected - proven - erased,
        blocks=len(faults),
        bad=bad,
        sealed=sum(events is not None for events in left.values()),
        erased=erased,
    )


def _mark(marks: bytearray, wanted: EventRange, block: EventBlock, left: bytes | None, good: bool) -> None:
    """Notes which events of the range the block proves, or would, were it `good`. `left`: as of _fault."""
    first = max(wanted.first_seq, block.first_seq)
    last = min(wanted.last_seq, block.first_seq + block.count - 1)
    for seq in range(first, last + 1):
        place = seq - wanted.first_seq
        if not good:
            marks[place] = marks[place] or _DOUBTED
        elif left is None or left[seq - block.first_seq]:
            marks[place] = _PROVEN


def _absent(marks: bytearray, wanted: EventRange, part: EventRange) -> int:
    """How many events of `part` are in no block of the range."""
    if (part.agent, part.epoch) != (wanted.agent, wanted.epoch):
        return 0
    first = max(wanted.first_seq, part.first_seq) - wanted.first_seq
    last = min(wanted.last_seq, part.last_seq) - wanted.first_seq
    return marks.count(_ABSENT, first, last + 1) if first <= last else 0


def _agent_keys(connection: Connection, agent: str) -> list[Ed25519PublicKey]:
    rows = connection.execute(select(agent_keys.c.public_key).where(agent_keys.c.agent == agent))
    return [Ed25519PublicKey.from_public_bytes(row.public_key) for row in rows]


def _fault(
    connection: Connection, block: EventBlock, keys: list[Ed25519PublicKey]
) -> tuple[BadBlock | None, bytes | None]:
    """(what is wrong; where it rests on a seal a byte for each event, 1 for those that are left)."""
    if not keys:
        return BadBlock(block.id, block.agent, "its agent has no key on record"), None
    record = block.record
    if _is_signed(record, keys):
        return None, None
    last = block.first_seq + block.count - 1
    seal = read_seal(connection, block.id)
    if seal is None or not _is_signed(record, keys, seal.original_digest):
        message = f"no key of its agent signed events {block.first_seq} to {last}"
        return BadBlock(block.id, block.agent, message), None if seal is None else b""
    left = _left(record) if seal_holds(connection, record, seal) else None
    if left is None:
        message = f"events {block.first_seq} to {last} are not as they were sealed after an erasure"
        return BadBlock(block.id, block.agent, message), b""
    return None, left


def _left(record: WireRecord) -> bytes | None:
    try:
        raws = raw_events(record)
    except (WireError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return bytes(raw != NOTHING for raw in raws) if len(raws) == record.count else None


def _is_signed(record: WireRecord, keys: list[Ed25519PublicKey], digest: str | None = None) -> bool:
    for key in keys:
        try:
            verify_signature(record, key, digest=digest)
        except WireError:
            continue
        return True
    return False
