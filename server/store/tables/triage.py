"""What people did with alerts: notes, and every change with what it takes to undo it."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, Table

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

triage_groups = Table(
    "triage_groups",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", PlainText(256), nullable=False, comment="alone may undo it"),
    Column("verb", PlainText(16), nullable=False),
    Column("alerts", Integer, nullable=False, comment="how many it changed"),
    Column("undone_at", BigInteger, comment="when the last of them was undone"),
    comment="what was done to several alerts at once, to undo at once: triage/undoing.py",
    sqlite_autoincrement=True,
)

alert_history = Table(
    "alert_history",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("alert", ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", PlainText(256), nullable=False),
    Column("verb", PlainText(16), nullable=False),
    Column("reason", PlainText(), comment="typed: of closing, also where reopening takes it back"),
    Column("changes", JSON, nullable=False, comment="before and after: alerts/history.py"),
    Column("undo_group", BigInteger, comment="of triage_groups, also when that row is gone"),
    Column("undoes", BigInteger, comment="the undo_group that this took back"),
    Index("ix_alert_history_alert", "alert", "id"),
    Index("ix_alert_history_undo_group", "undo_group"),
    comment="append-only: who changed what of an alert",
    sqlite_autoincrement=True,
)

alert_notes = Table(
    "alert_notes",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("alert", ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", PlainText(256), nullable=False),
    Column("text", PlainText(), nullable=False, comment="typed: may name people"),
    Column("undo_group", BigInteger, comment="of triage_groups: it is withdrawn with that"),
    Index("ix_alert_notes_alert", "alert", "id"),
    Index("ix_alert_notes_undo_group", "undo_group"),
    comment="append-only",
    sqlite_autoincrement=True,
)

followed_alerts = Table(
    "followed_alerts",
    metadata,
    Column("actor", PlainText(256), primary_key=True, comment="user:NAME, whose own it is"),
    Column("alert", ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("since", BigInteger, nullable=False),
    Index("ix_followed_alerts_alert", "alert"),
    comment="alerts that somebody follows: triage/following.py",
)

followed_subjects = Table(
    "followed_subjects",
    metadata,
    Column("actor", PlainText(256), primary_key=True, comment="user:NAME, whose own it is"),
    Column("subject", PlainText(128), primary_key=True, comment="person:ID or account:NAME"),
    Column("since", BigInteger, nullable=False),
    Index("ix_followed_subjects_subject", "subject"),
    comment="people whose alerts somebody follows: triage/following.py",
)
