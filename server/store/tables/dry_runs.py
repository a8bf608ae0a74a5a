"""Dry runs: what a change of a policy would have done, before it is published."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, Table

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

dry_runs = Table(
    "dry_runs",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("rule_id", PlainText(64), nullable=False),
    Column(
        "base_version",
        Integer,
        nullable=False,
        comment="of the rule, that it was compared with; 0: there was none",
    ),
    Column("digest", PlainText(64), nullable=False, comment="SHA-256 of the text"),
    Column("enabled", Boolean, nullable=False, comment="whether it was tried as in use"),
    Column("text", PlainText(), nullable=False, comment="what was tried out"),
    Column("days", Integer, nullable=False),
    Column("status", PlainText(10), nullable=False, comment="running, done, failed or cancelled"),
    Column("begun_at", BigInteger, nullable=False),
    Column("begun_by", PlainText(256), nullable=False),
    Column("finished_at", BigInteger),
    Column("summary", JSON, comment="dry_runs/summary.py; names nobody"),
    Column("fault", PlainText(), comment="why it failed"),
    Index("ix_dry_runs_rule_id", "rule_id", "id"),
    comment="publishing asks for one of this text against this version; an erasure takes all",
    sqlite_autoincrement=True,
)
