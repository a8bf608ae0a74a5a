"""What one event adds to its subject's day on its channel."""

from __future__ import annotations

from event_schema.ocsf_events import Event
from server.enrich.amounts import Amounts, amounts_of
from server.pipeline.subject_state import ChannelDay

DAY_BYTES_MAX = 2**53
"""More is no copy but a lie; sums over days stay within 64 bits."""


def add_to_day(row: ChannelDay, event: Event, time: int) -> None:
    row.first_time = min(row.first_time, time)
    row.last_time = max(row.last_time, time)
    row.events += 1
    add_amounts(row, amounts_of(event))


def add_amounts(row: ChannelDay, taken: Amounts) -> None:
    """What one or more events took."""
    row.files += taken.files
    row.bytes = min(row.bytes + taken.bytes, DAY_BYTES_MAX)
    row.items = min(row.items + taken.items, DAY_BYTES_MAX)
