"""Takes events out of stored blocks: reads block after block, writes those anew that held something.

A block without a single event of others goes whole. Else its value is written anew and sealed
(evidence_seal.py). Blocks are found outside the write transaction, and read again within it, so that two
erasures at once do not undo each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import orjson
import zstandard
from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from event_schema.wire import WireRecord, unpack_content
from server.alerts.evidence_blocks import EventBlock
from server.erasure.selection import DAY_MS, Selection
from server.evidence_seal import Seal, SealKey, read_seal, seal_holds, value_digest
from server.ingest.redaction import NOTHING, raw_events, without_events
from server.store.database import Database
from server.store.tables import block_seals, event_blocks
from server.store.upsert import upsert

BLOCKS_PER_SEARCH = 100
BLOCKS_PER_TRANSACTION = 8
LEAVER_BYTES_MAX = 16 << 20
_UNREADABLE = (ValueError, msgspec.DecodeError, zstandard.ZstdError)
_COLUMNS = [event_blocks.c[name] for name in EventBlock.__struct_fields__]


class Taken(msgspec.Struct):
    """What came of some blocks. `unreadable`: cannot be told what is in them."""

    events: int = 0
    blocks_dropped: int = 0
    blocks_rewritten: int = 0
    unreadable: int = 0

    def add(self, other: Taken) -> None:
        self.events += other.events
        self.blocks_dropped += other.blocks_dropped
        self.blocks_rewritten += other.blocks_rewritten
        self.unreadable += other.unreadable


class Rest(msgspec.Struct, frozen=True):
    """What is left of a block; `record` None: nothing."""

    record: WireRecord | None
    leaver: bytes
    last_day: int
    erased: int


def last_block(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(event_blocks.c.id), 0))).scalar_one())


def candidates(
    database: Database, selection: Selection, condition: ColumnElement[bool], first: int, last: int
) -> Iterator[tuple[list[int], int, int]]:
    """Blocks from number `first` to `last` that may hold something, in portions: (numbers, unreadable ones,
    next number)."""
    while first <= last:
        with database.read() as connection:
            rows = connection.execute(
                select(*_COLUMNS)
                .where(event_blocks.c.id >= first, event_blocks.c.id <= last, condition)
                .order_by(event_blocks.c.id)
                .limit(BLOCKS_PER_SEARCH)
            ).all()
        found: list[int] = []
        unreadable = 0
        for block in (EventBlock(*row) for row in rows):
            try:
                if selection.may_touch(unpack_content(block.record), _unpacked(block.leaver)):
                    found.append(block.id)
            except _UNREADABLE:
                unreadable += 1
        first = last + 1 if len(rows) < BLOCKS_PER_SEARCH else rows[-1].id + 1
        yield found, unreadable, first


def take_out(
    connection: Connection, numbers: list[int], selection: Selection, seal_key: SealKey, now: int
) -> Taken:
    """Within a write transaction. now: ms UTC."""
    taken = Taken()
    rows = connection.execute(
        select(*_COLUMNS).where(event_blocks.c.id.in_(numbers)).order_by(event_blocks.c.id).with_for_update()
    ).all()
    for block in (EventBlock(*row) for row in rows):
        try:
            rest = _rest(block.record, block.leaver, selection)
        except _UNREADABLE:
            taken.unreadable += 1
            continue
        if rest is None:
            continue
        taken.events += rest.erased
        if rest.record is None:
            connection.execute(delete(event_blocks).where(event_blocks.c.id == block.id))
            taken.blocks_dropped += 1
            continue
        values: dict[str, Any] = {"leaver": rest.leaver, "last_day": rest.last_day}
        if rest.erased:
            values["value"] = rest.record.value
            _seal(connection, block, rest.record, rest.erased, seal_key, now)
            taken.blocks_rewritten += 1
        connection.execute(update(event_blocks).where(event_blocks.c.id == block.id).values(values))
    return taken


def _rest(record: WireRecord, leaver: bytes, selection: Selection) -> Rest | None:
    """None: nothing goes."""
    entries = orjson.loads(_unpacked(leaver))
    raws = raw_events(record)
    gone = [
        index
        for index, (entry, raw) in enumerate(zip(entries, raws, strict=True))
        if raw != NOTHING and selection.takes(entry, raw)
    ]
    blanked = [selection.blank(entry) for entry in entries]
    if not gone and not any(blanked):
        return None
    for index in gone:
        entries[index] = None
    times = [entry[0] for entry in entries if entry is not None]
    if not times:
        return Rest(None, b"", 0, len(gone))
    packed = zstandard.ZstdCompressor(level=1).compress(orjson.dumps(entries))
    rest = without_events(record, gone) if gone else record
    return Rest(rest, packed, max(times) // DAY_MS, len(gone))


def _seal(
    connection: Connection, block: EventBlock, rest: WireRecord, erased: int, seal_key: SealKey, now: int
) -> None:
    before = read_seal(connection, block.id)
    if before is None:
        sealed = seal_key.seal(rest, value_digest(block.value), erased=erased, at=now)
    else:
        sealed = seal_key.seal(rest, before.original_digest, erased=before.erased + erased, at=now)
        if not seal_holds(connection, block.record, before):
            # It was tampered with since: that must still show.
            sealed = msgspec.structs.replace(sealed, seal=b"")
    seal_key.register(connection, at=now)
    upsert(connection, block_seals, [{"block": block.id, **_plain(sealed)}])


def _plain(sealed: Seal) -> dict[str, Any]:
    return {str(key): value for key, value in msgspec.structs.asdict(sealed).items()}


def _unpacked(leaver: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(leaver, max_output_size=LEAVER_BYTES_MAX)
