"""The events that prove an alert, read back from their signed blocks with what is known of each.

In a block, an event whose `leaver` entry is null was a duplicate or a dead letter: it is no evidence here,
its other copy is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec
from sqlalchemy import Connection

from event_schema.ocsf_events import Event
from event_schema.wire import WireError, decode_events
from server.alerts.event_ranges import EventRange
from server.alerts.evidence_blocks import EventBlock, alert_ranges, range_blocks
from server.alerts.evidence_tally import Evidence, EvidenceEvent, EvidenceTally
from server.pipeline.leaver_entries import (
    DamagedEntries,
    Entry,
    current_entries,
    fields_of,
    later_versions,
)

EVENTS_READ_MAX = 200_000
"""Most events that are read for one alert; `Evidence.read_all` says whether that was all."""
_BLOCKS_AT_ONCE = 50


def evidence(connection: Connection, alert_id: int, limit: int = 100) -> Evidence:
    """The alert's events, the `limit` largest files in full."""
    tally = EvidenceTally(limit)
    damaged: list[str] = []
    read_all = True
    for found in evidence_events(connection, alert_id, damaged):
        if tally.total == EVENTS_READ_MAX:
            read_all = False
            break
        tally.add(found)
    expected = sum(wanted.count for wanted in alert_ranges(connection, alert_id))
    missing = max(0, expected - tally.total) if read_all else 0
    return tally.result(missing=missing, read_all=read_all, damaged=damaged)


def evidence_events(connection: Connection, alert_id: int, damaged: list[str]) -> Iterator[EvidenceEvent]:
    """All stored events of an alert, by agent and sequence number, each once.

    A block that cannot be read does not hide the others; what is wrong with it is added to `damaged`.
    """
    yield from stored_events(connection, alert_ranges(connection, alert_id), damaged)


def stored_events(
    connection: Connection, ranges: Iterable[EventRange], damaged: list[str]
) -> Iterator[EvidenceEvent]:
    """As evidence_events, of any ranges."""
    for wanted in ranges:
        next_seq = wanted.first_seq
        for block, later in _with_later(connection, range_blocks(connection, wanted)):
            if block.first_seq + block.count <= next_seq:
                continue
            try:
                known = current_entries(block.leaver, later, block.count)
                events = decode_events(block.record).events
                found = [
                    EvidenceEvent(block.agent, block.epoch, seq, entry[0], event, fields_of(entry[1]))
                    for seq, entry, event in _within(block, known, events, next_seq, wanted.last_seq)
                ]
            except (WireError, DamagedEntries) as error:
                damaged.append(f"block {block.id}: {error}")
                continue
            yield from found
            if found:
                next_seq = found[-1].seq + 1


def _with_later(
    connection: Connection, blocks: Iterator[EventBlock]
) -> Iterator[tuple[EventBlock, Sequence[bytes]]]:
    """With what is known of each later; asked for a few blocks at a time."""
    while some := list(islice(blocks, _BLOCKS_AT_ONCE)):
        later = later_versions(connection, [block.id for block in some])
        for block in some:
            yield block, later.get(block.id, [])


def _within(
    block: EventBlock, known: Sequence[Entry], events: Sequence[Event | None], first: int, last: int
) -> Iterator[tuple[int, tuple[int, msgspec.Raw], Event]]:
    """Events of the block that are there, from number `first` to `last`."""
    end = min(last, block.first_seq + block.count - 1)
    for seq in range(max(first, block.first_seq), end + 1):
        entry, event = known[seq - block.first_seq], events[seq - block.first_seq]
        if entry is not None and event is not None:
            yield seq, entry, event
