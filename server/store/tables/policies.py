"""Policies as they were saved: every version of every rule and exception, and what is wrong with files."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, Table, UniqueConstraint

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

policy_versions = Table(
    "policy_versions",
    metadata,
    Column(
        "id", RowId, primary_key=True, autoincrement=True, comment="the highest is the whole set's version"
    ),
    Column("rule_id", PlainText(64), nullable=False),
    Column("number", Integer, nullable=False, comment="1, 2 … of this rule; the highest holds"),
    Column("kind", PlainText(12), nullable=False, comment="rule, exception or correlation"),
    Column("origin", PlainText(8), nullable=False, comment="shipped, folder or saved"),
    Column("file", PlainText(512), nullable=False),
    Column("title", PlainText(), nullable=False),
    Column("until", BigInteger, comment="of an exception: ms UTC, exclusive"),
    Column("text", PlainText(), comment="as it was written; null: gone from where it came from"),
    Column("hash", PlainText(64), nullable=False, comment="SHA-256 of the text as it was saved"),
    Column("enabled", Boolean, nullable=False),
    Column("saved_at", BigInteger, nullable=False),
    Column("saved_by", PlainText(256), nullable=False),
    Column("reason", PlainText(), nullable=False),
    Column("preview", JSON, comment="what an exception would have hidden before it was saved"),
    UniqueConstraint("rule_id", "number"),
    comment="append-only but for erasures, which take names out of texts",
    sqlite_autoincrement=True,
)

policy_faults = Table(
    "policy_faults",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("origin", PlainText(8), nullable=False),
    Column("file", PlainText(512), nullable=False),
    Column("line", Integer, nullable=False),
    Column("message", PlainText(), nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    comment="what leaver up could not take over, as of its last look",
    sqlite_autoincrement=True,
)

hidden_hits = Table(
    "hidden_hits",
    metadata,
    Column("exception_id", PlainText(64), primary_key=True),
    Column("rule_id", PlainText(64), primary_key=True),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("hits", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False, comment="of their events"),
    comment="what exceptions hid",
)
