"""The log's positions and who works on it; events as signed blocks, and their index."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, LargeBinary, Table

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

log_positions = Table(
    "log_positions",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("fence", BigInteger, nullable=False, comment="rises with each owner; a zombie's is too low"),
    Column("next_offset", BigInteger, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("name", PlainText(64), primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False, comment="its last sign of life; server's clock"),
    Column("partitions", JSON, nullable=False, comment="numbers of those that it holds"),
    Column("batch_at", BigInteger, comment="when its last batch was committed"),
    Column("batches", BigInteger, nullable=False, comment="since it started"),
    Column("conflicts", BigInteger, nullable=False, comment="batches done again since it started"),
    comment="workers that share a log on Kafka; a row goes when its worker ends in good order",
)

state_versions = Table(
    "state_versions",
    metadata,
    Column("key", PlainText(128), primary_key=True, comment="a subject, or 'agent:NAME'"),
    Column("version", BigInteger, nullable=False, comment="rises with each commit that changes its state"),
    comment="so that no worker writes over what another one changed (pipeline/state_versions.py)",
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("event_index", Integer, nullable=False, comment="-1: the whole record"),
    Column("agent", PlainText(64)),
    Column("received_at", BigInteger, nullable=False),
    Column("reason", PlainText(32), nullable=False, comment="event_schema.wire.Rejected"),
    Column("message", PlainText(), nullable=False),
    Column("size", BigInteger, nullable=False, comment="bytes of the original"),
    Column("data", LargeBinary, nullable=False, comment="the original, cut at 64 KiB"),
    Index("uq_dead_letters_place", "partition", "offset", "event_index", unique=True),
    sqlite_autoincrement=True,
)

event_blocks = Table(
    "event_blocks",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("agent", PlainText(64), nullable=False),
    Column("epoch", PlainText(16), nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("last_day", Integer, nullable=False, comment="UTC day of its youngest event"),
    Column("signature", LargeBinary(64), nullable=False),
    Column("value", LargeBinary, nullable=False, comment="the wire record's value as it came"),
    Column(
        "leaver",
        LargeBinary,
        nullable=False,
        comment="zstd JSON array, an entry for each event: [corrected time, leaver fields], or null where "
        "the event is a duplicate or a dead letter",
    ),
    Index("ix_event_blocks_place", "agent", "epoch", "first_seq"),
    # With the count, so that events are counted and days found without reading the blocks.
    Index("ix_event_blocks_last_day", "last_day", "count"),
    sqlite_autoincrement=True,
)

subject_events = Table(
    "subject_events",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("channel", PlainText(64), primary_key=True, comment="the collector that saw them"),
    Column("agent", PlainText(64), primary_key=True),
    Column("epoch", PlainText(16), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    comment="index of events; all numbers of a range are of this subject, day and channel",
)

collector_days = Table(
    "collector_days",
    metadata,
    Column("agent", PlainText(64), primary_key=True),
    Column("collector", PlainText(64), primary_key=True),
    Column("day", Integer, primary_key=True, comment="UTC"),
    comment="days on which the collector ran: only there does silence mean that nothing happened",
)

days_watched_anywhere = Table(
    "days_watched_anywhere",
    metadata,
    Column("collector", PlainText(64), primary_key=True),
    Column("day", Integer, primary_key=True, comment="UTC"),
    comment="days on which a collector that sees the whole company ran on any machine",
)

subject_agents = Table(
    "subject_agents",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("agent", PlainText(64), primary_key=True),
    Column("first_time", BigInteger, nullable=False),
    comment="on which endpoints a subject was seen",
)
