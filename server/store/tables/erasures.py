"""Erasures: what was erased when, whose accounts stay shut out, and the seals on what was left of blocks."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

erasures = Table(
    "erasures",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("kind", PlainText(8), nullable=False, comment="person, account or days"),
    Column("digest", PlainText(64), comment="of the person or account (people/erased.py); none for days"),
    Column("first_day", Integer, comment="days: UTC"),
    Column("last_day", Integer, comment="days: UTC, inclusive"),
    Column("begun_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("restored_at", BigInteger, comment="when an import was told to take the person back"),
    Column(
        "plan",
        JSON(none_as_null=True),
        comment="what to look for; emptied at the end, since it names the person",
    ),
    Column("next_block", BigInteger, nullable=False, comment="where to go on looking through event_blocks"),
    Column("removed", JSON, nullable=False, comment="rows by table so far"),
    Index("ix_erasures_digest", "digest"),
    sqlite_autoincrement=True,
)

erased_accounts = Table(
    "erased_accounts",
    metadata,
    Column("digest", PlainText(64), primary_key=True, comment="of the account (people/erased.py)"),
    Column("erased_at", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False, comment="so long its events are dropped as they come"),
    Column("dropped", BigInteger, nullable=False, comment="events that came since"),
    comment="later events of these are not stored",
)

seal_keys = Table(
    "seal_keys",
    metadata,
    Column("key_id", PlainText(16), primary_key=True, comment="first 16 hex digits of SHA-256 of public_key"),
    Column("public_key", LargeBinary(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    comment="this installation's own keys (pki/seal.key) for what it rewrites",
)

block_seals = Table(
    "block_seals",
    metadata,
    Column("block", ForeignKey("event_blocks.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column(
        "original_digest", PlainText(64), nullable=False, comment="SHA-256 of the value that the agent signed"
    ),
    Column("erased", Integer, nullable=False, comment="events taken out so far"),
    Column("sealed_at", BigInteger, nullable=False),
    Column("key_id", PlainText(16), nullable=False),
    Column("seal", LargeBinary(64), nullable=False, comment="evidence_seal.py"),
    comment="blocks of which events were erased; all others are as they came",
)
