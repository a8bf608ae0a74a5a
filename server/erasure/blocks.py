"""Takes events out of stored blocks: reads block after block, writes those anew that held something.

A block without a single event of others goes whole. Else its value is written anew and sealed
(evidence_seal.py). Blocks are found outside the write transaction, and read again within it, so that two
erasures at once do not undo each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import orjson
import zstandard
from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from event_schema.wire import WireRecord, unpack_content
from server.alerts.evidence_blocks import EventBlock
from server.erasure.selection import DAY_MS, Entry, Selection
from server.evidence_seal import Seal, SealKey, read_seal, seal_holds, value_digest
from server.ingest.redaction import NOTHING, raw_events, without_events
from server.pipeline.leaver_entries import unpacked
from server.store.database import Database
from server.store.tables import block_seals, event_blocks, leaver_versions
from server.store.upsert import upsert

BLOCKS_PER_SEARCH = 100
BLOCKS_PER_TRANSACTION = 8
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
    """What is left of a block; `record` None: nothing. `later`: of its later versions, by number; None:
    nothing of that one."""

    record: WireRecord | None
    leaver: bytes
    last_day: int
    erased: int
    later: dict[int, bytes | None] = {}


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
            later = _later(connection, [row.id for row in rows])
        found: list[int] = []
        unreadable = 0
        for block in (EventBlock(*row) for row in rows):
            try:
                known = b"".join(map(unpacked, (block.leaver, *later.get(block.id, {}).values())))
                if selection.may_touch(unpack_content(block.record), known):
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
    later = _later(connection, numbers)
    for block in (EventBlock(*row) for row in rows):
        try:
            rest = _rest(block.record, block.leaver, later.get(block.id, {}), selection)
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
        _write_later(connection, block.id, rest.later)
    return taken


def _later(connection: Connection, numbers: list[int]) -> dict[int, dict[int, bytes]]:
    """Later versions of what is known of these blocks' events, by number, the earliest first; also of
    look-backs that are not finished, which begin anew after an erasure."""
    query = select(leaver_versions).where(leaver_versions.c.block.in_(numbers))
    found: dict[int, dict[int, bytes]] = {}
    for row in connection.execute(query.order_by(leaver_versions.c.version)):
        found.setdefault(row.block, {})[row.version] = row.leaver
    return found


def _write_later(connection: Connection, block: int, later: Mapping[int, bytes | None]) -> None:
    for version, leaver in later.items():
        here = (leaver_versions.c.block == block) & (leaver_versions.c.version == version)
        if leaver is None:
            connection.execute(delete(leaver_versions).where(here))
        else:
            connection.execute(update(leaver_versions).where(here).values(leaver=leaver))


def _rest(record: WireRecord, leaver: bytes, later: Mapping[int, bytes], selection: Selection) -> Rest | None:
    """None: nothing goes."""
    versions = [orjson.loads(unpacked(each)) for each in (leaver, *later.values())]
    raws = raw_events(record)
    # An event is whom it is about by now.
    current = [
        next((entry for entry in reversed(each) if entry is not None), None) if each[0] is not None else None
        for each in zip(*versions, strict=True)
    ]
    gone = [
        index
        for index, (entry, raw) in enumerate(zip(current, raws, strict=True))
        if raw != NOTHING and selection.takes(entry, raw)
    ]
    changed = bool(gone)
    for version in versions:
        for index, entry in enumerate(version):
            if index in gone:
                version[index] = None
            elif selection.was_about(entry):
                # It was thought to be about whoever is erased, and is about somebody else.
                version[index] = current[index]
                changed = True
            else:
                changed |= selection.blank(entry)
    if not changed:
        return None
    entries = versions[0]
    times = [entry[0] for entry in entries if entry is not None]
    if not times:
        return Rest(None, b"", 0, len(gone))
    rest = without_events(record, gone) if gone else record
    left = {
        number: _packed(version) if any(entry is not None for entry in version) else None
        for number, version in zip(later, versions[1:], strict=True)
    }
    return Rest(rest, _packed(entries), max(times) // DAY_MS, len(gone), left)


def _packed(entries: list[Entry]) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(orjson.dumps(entries))


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
