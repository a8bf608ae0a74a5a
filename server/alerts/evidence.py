"""The events that prove an alert: read back from their signed blocks, and the signatures checked again.

An alert's evidence is kept as ranges of (agent, epoch, sequence numbers). A block is a wire record's value
as the agent signed it, so a proof needs nothing but the block, the agent's public key and this program.
In a block, an event whose `leaver` entry is null was a duplicate or a dead letter: it is no evidence here,
its other copy is.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import msgspec
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, select

from event_schema.leaver_fields import LeaverFields
from event_schema.ocsf_events import Event, FileSystemActivity
from event_schema.wire import (
    EVENTS_PER_RECORD_MAX,
    WIRE_SCHEMA,
    RecordKind,
    WireError,
    WireRecord,
    decode_events,
    verify_signature,
)
from server.store.tables import agent_keys, alert_evidence, event_blocks

EVENTS_READ_MAX = 200_000
"""Most events that are read for one alert; `Evidence.read_all` says whether that was all."""
LEAVER_BYTES_MAX = 4 << 20

_leaver_decoder = msgspec.json.Decoder(list[tuple[int, LeaverFields] | None])


class EvidenceEvent(msgspec.Struct, frozen=True):
    """One event of an alert, as it came, and what was known of it."""

    agent: str
    epoch: str
    seq: int
    time: int
    """Corrected by the agent's clock offset."""
    event: Event
    leaver: LeaverFields


class Evidence(msgspec.Struct, frozen=True):
    """`events` are the largest files first, then by time; the counts are of all that were read."""

    events: tuple[EvidenceEvent, ...]
    total: int
    bytes: int
    missing: int
    """Events of the alert's ranges that are not stored any more."""
    read_all: bool
    gaps: tuple[str, ...]
    """What could not be seen, in the collectors' words."""
    latest: EvidenceEvent | None


class BadBlock(msgspec.Struct, frozen=True):
    block: int
    message: str


class EvidenceProof(msgspec.Struct, frozen=True):
    """What checking the signatures again gave."""

    events: int
    """Events of the alert that lie in well-signed blocks."""
    missing: int
    """Events of the alert that lie in no well-signed block."""
    blocks: int
    bad: tuple[BadBlock, ...]

    @property
    def good(self) -> bool:
        return not self.bad and not self.missing and self.events > 0


class _Range(msgspec.Struct, frozen=True):
    agent: str
    epoch: str
    first_seq: int
    last_seq: int


class _Block(msgspec.Struct, frozen=True):
    id: int
    agent: str
    epoch: str
    first_seq: int
    count: int
    signature: bytes
    value: bytes
    leaver: bytes


def evidence(connection: Connection, alert_id: int, limit: int = 100) -> Evidence:
    """The alert's events, the `limit` largest of them in full. Raises WireError on an unreadable block."""
    largest: list[tuple[int, int, int, EvidenceEvent]] = []
    gaps: dict[str, None] = {}
    total = size = 0
    latest: EvidenceEvent | None = None
    read_all = True
    for found in evidence_events(connection, alert_id):
        if total == EVENTS_READ_MAX:
            read_all = False
            break
        total += 1
        own_size = file_size(found.event)
        size += own_size
        entry = (own_size, -found.time, -total, found)
        if len(largest) < limit:
            heapq.heappush(largest, entry)
        elif limit:
            heapq.heappushpop(largest, entry)
        gap = found.leaver.evidence.gap
        if gap:
            gaps[gap] = None
        if latest is None or found.time >= latest.time:
            latest = found
    expected = sum(r.last_seq - r.first_seq + 1 for r in _ranges(connection, alert_id))
    return Evidence(
        events=tuple(entry[3] for entry in sorted(largest, reverse=True, key=lambda e: e[:3])),
        total=total,
        bytes=size,
        missing=max(0, expected - total) if read_all else 0,
        read_all=read_all,
        gaps=tuple(gaps),
        latest=latest,
    )


def evidence_events(connection: Connection, alert_id: int) -> Iterator[EvidenceEvent]:
    """All stored events of an alert, by agent and sequence number, each once."""
    for wanted in _ranges(connection, alert_id):
        next_seq = wanted.first_seq
        for block in _blocks(connection, wanted):
            if block.first_seq + block.count <= next_seq:
                continue
            known = _leaver_entries(block)
            events = decode_events(_record(block)).events
            for index in range(max(0, next_seq - block.first_seq), block.count):
                seq = block.first_seq + index
                if seq > wanted.last_seq:
                    break
                entry, event = known[index], events[index]
                if entry is not None and event is not None:
                    yield EvidenceEvent(block.agent, block.epoch, seq, entry[0], event, entry[1])
                    next_seq = seq + 1


def verify_evidence(connection: Connection, alert_id: int) -> EvidenceProof:
    """Checks every block of the alert against the keys that its agent ever enrolled."""
    keys: dict[str, list[Ed25519PublicKey]] = {}
    proven = expected = 0
    checked: dict[int, bool] = {}
    bad: list[BadBlock] = []
    for wanted in _ranges(connection, alert_id):
        expected += wanted.last_seq - wanted.first_seq + 1
        if wanted.agent not in keys:
            keys[wanted.agent] = _agent_keys(connection, wanted.agent)
        next_seq = wanted.first_seq
        for block in _blocks(connection, wanted):
            if block.id not in checked:
                fault = _signature_fault(_record(block), keys[wanted.agent])
                checked[block.id] = fault is None
                if fault is not None:
                    bad.append(BadBlock(block.id, fault))
            if checked[block.id]:
                first = max(next_seq, block.first_seq)
                last = min(wanted.last_seq, block.first_seq + block.count - 1)
                proven += max(0, last - first + 1)
                next_seq = max(next_seq, last + 1)
    return EvidenceProof(events=proven, missing=expected - proven, blocks=len(checked), bad=tuple(bad))


def file_size(event: Event) -> int:
    """Bytes that the event's file holds; 0 where it has none, or they are not known."""
    if not isinstance(event, FileSystemActivity):
        return 0
    file = event.file_result or event.file
    return file.size or event.file.size or 0


def _ranges(connection: Connection, alert_id: int) -> list[_Range]:
    query = (
        select(
            alert_evidence.c.agent,
            alert_evidence.c.epoch,
            alert_evidence.c.first_seq,
            alert_evidence.c.last_seq,
        )
        .where(alert_evidence.c.alert == alert_id)
        .order_by(alert_evidence.c.agent, alert_evidence.c.epoch, alert_evidence.c.first_seq)
    )
    merged: list[_Range] = []
    for found in (_Range(*row) for row in connection.execute(query)):
        last = merged[-1] if merged else None
        if (
            last
            and (last.agent, last.epoch) == (found.agent, found.epoch)
            and found.first_seq <= last.last_seq
        ):
            merged[-1] = msgspec.structs.replace(last, last_seq=max(last.last_seq, found.last_seq))
        else:
            merged.append(found)
    return merged


def _blocks(connection: Connection, wanted: _Range) -> Iterator[_Block]:
    """Blocks that overlap the range. The lower bound on first_seq lets the index answer."""
    query = (
        select(*(event_blocks.c[name] for name in _Block.__struct_fields__))
        .where(
            event_blocks.c.agent == wanted.agent,
            event_blocks.c.epoch == wanted.epoch,
            event_blocks.c.first_seq > wanted.first_seq - EVENTS_PER_RECORD_MAX,
            event_blocks.c.first_seq <= wanted.last_seq,
            event_blocks.c.first_seq + event_blocks.c.count > wanted.first_seq,
        )
        .order_by(event_blocks.c.first_seq, event_blocks.c.id)
        .execution_options(yield_per=100)
    )
    for row in connection.execute(query):
        yield _Block(*row)


def _record(block: _Block) -> WireRecord:
    return WireRecord(
        agent=block.agent,
        schema=WIRE_SCHEMA,
        kind=RecordKind.EVENTS.value,
        epoch=block.epoch,
        first_seq=block.first_seq,
        count=block.count,
        signature=block.signature,
        value=block.value,
    )


def _leaver_entries(block: _Block) -> list[tuple[int, LeaverFields] | None]:
    content = zstandard.ZstdDecompressor().decompress(block.leaver, max_output_size=LEAVER_BYTES_MAX)
    return _leaver_decoder.decode(content)


def _agent_keys(connection: Connection, agent: str) -> list[Ed25519PublicKey]:
    rows = connection.execute(select(agent_keys.c.public_key).where(agent_keys.c.agent == agent))
    return [Ed25519PublicKey.from_public_bytes(row.public_key) for row in rows]


def _signature_fault(record: WireRecord, keys: list[Ed25519PublicKey]) -> str | None:
    if not keys:
        return f"agent {record.agent} has no key on record"
    for key in keys:
        try:
            verify_signature(record, key)
        except WireError:
            continue
        return None
    return f"no key of agent {record.agent} signed this (events from {record.first_seq})"
