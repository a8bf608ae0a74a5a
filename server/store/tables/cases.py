"""Cases: alerts that people look into together, what they wrote of them, and the evidence packs made."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, false, text

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

cases = Table(
    "cases",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("title", PlainText(200), nullable=False, comment="typed by people: may name somebody"),
    Column("status", PlainText(8), nullable=False, comment="open or closed"),
    Column("outcome", PlainText(16), comment="cases/records.py Outcome"),
    Column("reason", PlainText(), comment="of the outcome; typed by people"),
    Column("owner", PlainText(64), comment="who signs in as"),
    Column("opened_at", BigInteger, nullable=False),
    Column("opened_by", PlainText(256), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("closed_by", PlainText(256)),
    Column("version", Integer, nullable=False, comment="rises with every change"),
    Index("ix_cases_updated", "status", "updated_at", "id"),
    sqlite_autoincrement=True,
)

case_alerts = Table(
    "case_alerts",
    metadata,
    Column("alert", ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("case", ForeignKey("cases.id", ondelete="CASCADE"), nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("added_by", PlainText(256), nullable=False),
    Index("ix_case_alerts_case", "case", "alert"),
    comment="an alert is in one case at most",
)

case_history = Table(
    "case_history",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("case", ForeignKey("cases.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", PlainText(256), nullable=False),
    Column("verb", PlainText(16), nullable=False, comment="cases/records.py Verb"),
    Column("text", PlainText(), comment="typed by people: a note, a reason, a title"),
    Column("before", PlainText(64), comment="owner or status"),
    Column("after", PlainText(64), comment="owner, status, outcome or a pack's number"),
    Column("alerts", JSON, nullable=False, comment="ids of those added or removed"),
    Index("ix_case_history_case", "case", "id"),
    sqlite_autoincrement=True,
    comment="append-only",
)

evidence_packs = Table(
    "evidence_packs",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("case", ForeignKey("cases.id", ondelete="CASCADE"), nullable=False),
    Column("state", PlainText(16), nullable=False, comment="running, done, failed, cancelled or removed"),
    Column("unmasked", Boolean, nullable=False, server_default=false(), comment="with names"),
    Column("reason", PlainText(), comment="why names were needed; typed by people"),
    Column("begun_at", BigInteger, nullable=False),
    Column("begun_by", PlainText(256), nullable=False),
    Column("finished_at", BigInteger),
    Column("fault", PlainText(), comment="why it failed or was removed"),
    Column("bytes", BigInteger),
    Column("digest", PlainText(64), comment="SHA-256 of the file packs/ID.zip in the data directory"),
    Column("manifest_digest", PlainText(64), comment="SHA-256 of its manifest.json"),
    Column("alerts", Integer, nullable=False, comment="how many"),
    Column("events", BigInteger),
    Column("first_time", BigInteger, comment="of its events"),
    Column("last_time", BigInteger, comment="of its events"),
    Column("pseudonyms", JSON, nullable=False, comment="that it shows: whose erasure removes it"),
    Index("ix_evidence_packs_case", "case", "id"),
    Index(
        "uq_evidence_packs_running",
        "case",
        unique=True,
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
    sqlite_autoincrement=True,
)
