"""Looking back: whose stored events are to be scored again under what HR says now, and what came of it."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, text

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

look_backs = Table(
    "look_backs",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column(
        "person_id",
        PlainText(128),
        nullable=False,
        index=True,
        comment="may be gone by now: an import undone",
    ),
    Column("accounts", JSON, nullable=False, comment="[[system, name], …]: owned before or after the change"),
    Column("way", PlainText(8), nullable=False, comment="as in people_changes"),
    Column("queued_at", BigInteger, nullable=False),
    Column("left_at", BigInteger, comment="since when they have left, before or by now"),
    Column("begun_at", BigInteger),
    Column("version", BigInteger, index=True, comment="of what it writes to leaver_versions"),
    Column("finished_at", BigInteger),
    Column("events", BigInteger, nullable=False, comment="scored again so far"),
    Column(
        "changed", BigInteger, nullable=False, comment="of them, those that something else is known of now"
    ),
    Column("opened", Integer, nullable=False, comment="alerts"),
    Column("joined", Integer, nullable=False, comment="open alerts that say something else since"),
    Column("failures", Integer, nullable=False, server_default="0", comment="of attempts"),
    Column("failed_at", BigInteger, comment="the last of them"),
    Index(
        "ix_look_backs_waiting",
        "id",
        sqlite_where=text("finished_at IS NULL"),
        postgresql_where=text("finished_at IS NULL"),
    ),
    comment="queued in the transaction that changes what is declared (people/look_back_queue.py)",
    sqlite_autoincrement=True,
)

leaver_versions = Table(
    "leaver_versions",
    metadata,
    Column("block", ForeignKey("event_blocks.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("version", BigInteger, primary_key=True, autoincrement=False, comment="the higher, the later"),
    Column(
        "leaver",
        LargeBinary,
        nullable=False,
        comment="as event_blocks.leaver; null where the look-back changed nothing",
    ),
    Index("ix_leaver_versions_version", "version"),
    comment="what is known of events since HR said otherwise; counts once its look-back is finished",
)
