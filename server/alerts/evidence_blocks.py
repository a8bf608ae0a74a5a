"""An alert's ranges of sequence numbers, and the stored signed blocks that overlap a range.

An alert's evidence is what its subject did on its days and channels (`alert_days`); `subject_events` says
which numbers that are.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlalchemy import Connection, and_, select

from event_schema.wire import EVENTS_PER_RECORD_MAX, WIRE_SCHEMA, RecordKind, WireRecord
from server.store.tables import alert_days, alerts, event_blocks, subject_events


class EventRange(msgspec.Struct, frozen=True):
    """Sequence numbers first_seq … last_seq of one spool."""

    agent: str
    epoch: str
    first_seq: int
    last_seq: int

    @property
    def count(self) -> int:
        return self.last_seq - self.first_seq + 1


class EventBlock(msgspec.Struct, frozen=True):
    """A row of event_blocks."""

    id: int
    agent: str
    epoch: str
    first_seq: int
    count: int
    signature: bytes
    value: bytes
    leaver: bytes

    @property
    def record(self) -> WireRecord:
        """The wire record as the agent signed it."""
        return WireRecord(
            agent=self.agent,
            schema=WIRE_SCHEMA,
            kind=RecordKind.EVENTS.value,
            epoch=self.epoch,
            first_seq=self.first_seq,
            count=self.count,
            signature=self.signature,
            value=self.value,
        )


def alert_ranges(connection: Connection, alert_id: int) -> list[EventRange]:
    """By agent, epoch and number; ranges that overlap are one."""
    query = (
        select(*(subject_events.c[name] for name in EventRange.__struct_fields__))
        .join(alerts, alerts.c.subject == subject_events.c.subject)
        .join(
            alert_days,
            and_(
                alert_days.c.alert == alerts.c.id,
                alert_days.c.day == subject_events.c.day,
                alert_days.c.channel == subject_events.c.channel,
            ),
        )
        .where(alerts.c.id == alert_id)
        .order_by(subject_events.c.agent, subject_events.c.epoch, subject_events.c.first_seq)
    )
    merged: list[EventRange] = []
    for found in (EventRange(*row) for row in connection.execute(query)):
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


def range_blocks(connection: Connection, wanted: EventRange) -> Iterator[EventBlock]:
    """Blocks that overlap the range, by number. The lower bound on first_seq lets the index answer."""
    query = (
        select(*(event_blocks.c[name] for name in EventBlock.__struct_fields__))
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
        yield EventBlock(*row)
