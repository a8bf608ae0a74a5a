"""Who may see whose name, until when, and why they asked."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

unmaskings = Table(
    "unmaskings",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("actor", PlainText(256), nullable=False, comment="user:NAME"),
    Column("subject", PlainText(128), nullable=False, comment="whose name: person:ID or account:NAME"),
    Column("at", BigInteger, nullable=False, comment="server's clock"),
    Column("until", BigInteger, nullable=False, comment="earlier where it was hidden again before its time"),
    Column("reason", PlainText(), nullable=False),
    Column("case_id", BigInteger, comment="for which case, where there is one"),
    Index("ix_unmaskings_actor", "actor", "until"),
    Index("ix_unmaskings_subject", "subject", "at"),
    comment="for one user and one subject, for an hour: people/unmaskings.py",
    sqlite_autoincrement=True,
)
