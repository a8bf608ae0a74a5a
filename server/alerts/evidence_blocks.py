"""An alert's ranges of sequence numbers, and the stored signed blocks that overlap a range.

An alert's evidence is what its subject did on its days and channels (`alert_days`), and of those to which
only a correlation led what made it fire (`correlated_ranges`). `subject_events` says which numbers that are,
`judged_ranges` which of them a verdict was about: a closed alert keeps these and no others, and an alert
that is opened afterwards shows what is new.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, or_, select, true

from event_schema.wire import EVENTS_PER_RECORD_MAX, WIRE_SCHEMA, RecordKind, WireRecord
from server.alerts.event_ranges import EventRange, common, joined, without
from server.store.tables import (
    alert_days,
    alerts,
    correlated_ranges,
    erasures,
    event_blocks,
    judged_ranges,
    subject_events,
)
from server.store.upsert import insert_new


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
    """By agent, epoch and number. Of a closed alert what it held when it was closed, as far as it is still
    kept; of an open one without what was judged with an earlier alert of the same subject and family, unless
    it was found by looking back: then the same events mean something else."""
    found = held_ranges(connection, alert_id)
    own = select(alerts).where(alerts.c.id == alert_id)
    row = connection.execute(own).one()
    if row.status == "closed":
        return common(found, _judged(connection, judged_ranges.c.alert == alert_id))
    if row.looked_back_at is not None:
        return found
    earlier = select(alerts.c.id).where(
        alerts.c.subject == row.subject, alerts.c.family == row.family, alerts.c.status == "closed"
    )
    return without(found, _judged(connection, judged_ranges.c.alert.in_(earlier)))


def note_judged_ranges(connection: Connection, alert_id: int) -> None:
    """What the alert holds now. In the transaction that closes it, before it is closed."""
    ranges = [msgspec.structs.asdict(each) for each in alert_ranges(connection, alert_id)]
    insert_new(connection, judged_ranges, [{"alert": alert_id} | each for each in ranges])


def erased_ranges(connection: Connection, alert_id: int) -> list[EventRange]:
    """What of the alert's days may have been on days that were erased. Those are UTC days, the index knows
    local ones: they begin up to 14 hours earlier and end up to 12 hours later."""
    days = connection.execute(
        select(erasures.c.first_day, erasures.c.last_day).where(erasures.c.kind == "days")
    ).all()
    if not days:
        return []
    held = [subject_events.c.day.between(row.first_day - 1, row.last_day + 1) for row in days]
    return held_ranges(connection, alert_id, or_(*held))


def held_ranges(
    connection: Connection, alert_id: int, condition: ColumnElement[bool] | None = None
) -> list[EventRange]:
    """What its days and its correlations point to, whatever was judged. `condition`: on subject_events."""
    query = (
        select(*(subject_events.c[name] for name in EventRange.__struct_fields__), alert_days.c.whole)
        .join(alerts, alerts.c.subject == subject_events.c.subject)
        .join(
            alert_days,
            and_(
                alert_days.c.alert == alerts.c.id,
                alert_days.c.day == subject_events.c.day,
                alert_days.c.channel == subject_events.c.channel,
            ),
        )
        .where(alerts.c.id == alert_id, true() if condition is None else condition)
    )
    rows = connection.execute(query).all()
    whole = [EventRange(*row[:-1]) for row in rows if row.whole]
    parts = [EventRange(*row[:-1]) for row in rows if not row.whole]
    if parts:
        columns = (correlated_ranges.c[name] for name in EventRange.__struct_fields__)
        made = connection.execute(select(*columns).where(correlated_ranges.c.alert == alert_id))
        whole += common(parts, [EventRange(*row) for row in made])
    return joined(whole)


def _judged(connection: Connection, of_alerts: ColumnElement[bool]) -> list[EventRange]:
    columns = (judged_ranges.c[name] for name in EventRange.__struct_fields__)
    return [EventRange(*row) for row in connection.execute(select(*columns).where(of_alerts))]


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
