"""Who signs in to the console: users, their sessions, and one-time tokens that set a password."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Table, false, true

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

console_users = Table(
    "console_users",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("name", PlainText(64), nullable=False, unique=True, comment="small letters; the audit trail's"),
    Column("role", PlainText(16), nullable=False, comment="hr, analyst, administrator or auditor"),
    Column("password", PlainText(256), comment="Argon2id, with its parameters and salt"),
    Column("issuer", PlainText(512), comment="whose word signs in, of OIDC; with oidc_subject who it is"),
    Column("oidc_subject", PlainText(255)),
    Column("language", PlainText(8), nullable=False, server_default="en"),
    Column("theme", PlainText(8), nullable=False, server_default="auto"),
    Column("time_zone", PlainText(64), nullable=False, server_default="UTC"),
    Column("single_keys", Boolean, nullable=False, server_default=true(), comment="letters are shortcuts"),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", PlainText(256), nullable=False),
    Column("signed_in_at", BigInteger, comment="last"),
    Column("disabled_at", BigInteger),
    Index("uq_console_users_identity", "issuer", "oidc_subject", unique=True),
    sqlite_autoincrement=True,
)

console_sessions = Table(
    "console_sessions",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("token_sha256", PlainText(64), nullable=False, unique=True),
    Column("user_id", ForeignKey("console_users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("address", PlainText(64), nullable=False, comment="that signed in"),
    Column("by_provider", Boolean, nullable=False, server_default=false(), comment="by OIDC"),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False, comment="to the minute"),
    Column("ends_at", BigInteger, nullable=False, comment="however much it is used"),
    Column("idle_ms", BigInteger, nullable=False, comment="ends when not used for so long"),
    comment="that hold, or ended by themselves lately; one that somebody ends is deleted",
    sqlite_autoincrement=True,
)

console_addresses = Table(
    "console_addresses",
    metadata,
    Column("user_id", ForeignKey("console_users.id", ondelete="CASCADE"), primary_key=True),
    Column("network", PlainText(64), primary_key=True, comment="an IPv4 address, or the /64 of an IPv6 one"),
    Column("at", BigInteger, nullable=False, comment="last"),
    comment="from which somebody signed in: wrong passwords of others do not keep them out there",
)

console_invitations = Table(
    "console_invitations",
    metadata,
    Column("token_sha256", PlainText(64), primary_key=True),
    Column(
        "user_id",
        ForeignKey("console_users.id", ondelete="CASCADE"),
        comment="empty: the first administrator",
    ),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", PlainText(256), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    comment="one-time tokens that set a password; gone once used",
)
