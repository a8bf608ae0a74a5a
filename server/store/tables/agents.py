"""Agents: who they are, their keys, what came of their numbers, what is odd about them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, text

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

agents = Table(
    "agents",
    metadata,
    Column("name", PlainText(64), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("enrolled_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("revoked_reason", PlainText()),
    Column("heartbeat_at", BigInteger, comment="when the last heartbeat was received"),
    Column("heartbeat", JSON, comment="the last heartbeat as sent"),
    Column("clock_offset", BigInteger, nullable=False, default=0, comment="ms to add to the agent's times"),
    Column("clock_doubted_since", BigInteger, comment="event_clock.AgentClock"),
    Column("clock_doubted", BigInteger, comment="event_clock.AgentClock"),
    # How many there are and since when, without reading what each said last.
    Index("ix_agents_created", "created_at"),
)

agent_keys = Table(
    "agent_keys",
    metadata,
    Column("agent", ForeignKey("agents.name"), primary_key=True),
    Column("key_id", PlainText(16), primary_key=True, comment="first 16 hex digits of SHA-256 of public_key"),
    Column("public_key", LargeBinary(32), nullable=False),
    Column("certificate_serial", PlainText(64), nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    comment="all keys an agent ever had: records signed by an older one may still lie on the log",
)

agent_settings = Table(
    "agent_settings",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("issued_by", PlainText(256), nullable=False),
    Column("reason", PlainText(), nullable=False),
    Column("settings", PlainText(), nullable=False, comment="TOML: [collectors.…]"),
    Column("bundle", LargeBinary, nullable=False, comment="as agents get it: event_schema/config_bundle.py"),
    comment="what all agents are to collect; the highest version holds",
)

enrolment_tokens = Table(
    "enrolment_tokens",
    metadata,
    Column("token_sha256", PlainText(64), primary_key=True),
    Column("agent", ForeignKey("agents.name"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)

agent_epochs = Table(
    "agent_epochs",
    metadata,
    Column("agent", ForeignKey("agents.name"), primary_key=True),
    Column("epoch", PlainText(16), primary_key=True),
    Column("first_seen", BigInteger, nullable=False),
    Column(
        "seen", PlainText(), nullable=False, comment="sequence numbers accounted for, as ranges '0-41,50-99'"
    ),
    Column("lost", BigInteger, nullable=False, default=0, comment="numbers covered by loss records"),
    Column("duplicates", BigInteger, nullable=False, default=0, comment="events that came again"),
)

agent_findings = Table(
    "agent_findings",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("agent", PlainText(64), nullable=False, index=True),
    Column("kind", PlainText(32), nullable=False, comment="gap, new_epoch, bad_signature, unknown_agent, …"),
    Column("detail", PlainText(), nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Index(
        "uq_agent_findings_one_open",
        "agent",
        "kind",
        unique=True,
        sqlite_where=text("resolved_at IS NULL"),
        postgresql_where=text("resolved_at IS NULL"),
    ),
    comment="something is odd about an agent; one open row for each (agent, kind)",
    sqlite_autoincrement=True,
)
