"""The events that prove an alert, read back from their signed blocks with what was known of each.

In a block, an event whose `leaver` entry is null was a duplicate or a dead letter: it is no evidence here,
its other copy is.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import zstandard
from sqlalchemy import Connection

from event_schema.leaver_fields import LeaverFields
from event_schema.wire import WireError, decode_events
from server.alerts.evidence_blocks import EventBlock, alert_ranges, range_blocks
from server.alerts.evidence_tally import Evidence, EvidenceEvent, EvidenceTally

EVENTS_READ_MAX = 200_000
"""Most events that are read for one alert; `Evidence.read_all` says whether that was all."""
LEAVER_BYTES_MAX = 4 << 20

_leaver_decoder = msgspec.json.Decoder(list[tuple[int, LeaverFields] | None])


class _DamagedBlock(Exception):
    """What the server stored beside a block cannot be read."""


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
    for wanted in alert_ranges(connection, alert_id):
        next_seq = wanted.first_seq
        for block in range_blocks(connection, wanted):
            if block.first_seq + block.count <= next_seq:
                continue
            try:
                known = _leaver_entries(block)
                events = decode_events(block.record).events
            except (WireError, _DamagedBlock) as error:
                damaged.append(f"block {block.id}: {error}")
                continue
            last = min(wanted.last_seq, block.first_seq + block.count - 1)
            for seq in range(max(next_seq, block.first_seq), last + 1):
                entry, event = known[seq - block.first_seq], events[seq - block.first_seq]
                if entry is not None and event is not None:
                    yield EvidenceEvent(block.agent, block.epoch, seq, entry[0], event, entry[1])
                    next_seq = seq + 1


def _leaver_entries(block: EventBlock) -> list[tuple[int, LeaverFields] | None]:
    try:
        content = zstandard.ZstdDecompressor().decompress(block.leaver, max_output_size=LEAVER_BYTES_MAX)
        entries = _leaver_decoder.decode(content)
    except (zstandard.ZstdError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _DamagedBlock(f"what was known of its events: {error}") from error
    if len(entries) != block.count:
        raise _DamagedBlock(f"{len(entries)} entries for {block.count} events")
    return entries
