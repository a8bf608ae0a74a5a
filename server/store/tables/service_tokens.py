"""Tokens of service accounts: HR's export, identity providers, programs that use the console's data."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

service_tokens = Table(
    "service_tokens",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("name", PlainText(64), nullable=False, comment="of the service account; the audit trail names it"),
    Column(
        "role",
        PlainText(16),
        nullable=False,
        comment="what it may call: hr-import, scim, or a role of the console",
    ),
    Column("token_sha256", PlainText(64), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", PlainText(256), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, comment="to the hour"),
    Column("revoked_at", BigInteger),
    Column(
        "scope",
        PlainText(8),
        nullable=False,
        server_default="write",
        comment="of the console's roles: read, or write",
    ),
    sqlite_autoincrement=True,
)
