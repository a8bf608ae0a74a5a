"""Alerts with their days, queues and verdicts, and the audit trail."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    false,
    text,
    true,
)

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

alerts = Table(
    "alerts",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("subject", PlainText(128), nullable=False, comment="person:ID, or account:NAME without a person"),
    Column("family", PlainText(64), nullable=False),
    Column("status", PlainText(8), nullable=False, comment="open, closed, or held: found, not alerted"),
    Column(
        "by_rules",
        Boolean,
        nullable=False,
        server_default=true(),
        comment="rules outside of the budget made it; else its candidates say whether it is open",
    ),
    Column("score", Integer, nullable=False),
    Column("account_owner", PlainText(128), comment="person id whose account was used"),
    Column("suspected_actor", PlainText(128), comment="person id that the traits point to"),
    Column("traits", JSON, nullable=False, comment="why the suspect: alerts/traits.py"),
    Column("sentence", JSON, nullable=False, comment='{"en": …, "zh": …}'),
    Column("shares", JSON, nullable=False, comment="[{source, points, share}], points add up to score"),
    Column("facts", JSON, nullable=False, comment="what the sentence was made from"),
    Column("policy_version", PlainText(64), nullable=False),
    Column("model_id", BigInteger),
    Column("first_time", BigInteger, nullable=False, comment="of its events"),
    Column("last_time", BigInteger, nullable=False, comment="of its events"),
    Column("events", BigInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False, comment="server's clock"),
    Column("updated_at", BigInteger, nullable=False, comment="server's clock"),
    Column("verdict", PlainText(16), comment="confirmed, expected, false or duplicate"),
    Column("reason", PlainText()),
    Column("closed_at", BigInteger),
    Column("closed_by", PlainText(256)),
    Column("looked_back_at", BigInteger, comment="when looking back opened it or added to it last"),
    Column("owner", PlainText(64), comment="account of the console whose task it is"),
    Column("snoozed_until", BigInteger, comment="it sleeps till then, or something new: triage/sleep.py"),
    Column("snoozed_score", Integer, comment="what it was when it was put to sleep"),
    Column("snoozed_events", BigInteger, comment="what it was when it was put to sleep"),
    Column("snoozed_last", BigInteger, comment="last_time when it was put to sleep"),
    Column(
        "merged_into",
        BigInteger,
        comment="main alert, which has the same status and is no part itself: alerts/parts.py",
    ),
    Column(
        "triage_version",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="rises with each change that people make, notes aside",
    ),
    Index(
        "uq_alerts_one_open",
        "subject",
        "family",
        unique=True,
        sqlite_where=text("status <> 'closed'"),
        postgresql_where=text("status <> 'closed'"),
    ),
    Index(
        "ix_alerts_merged_into",
        "merged_into",
        sqlite_where=text("merged_into IS NOT NULL"),
        postgresql_where=text("merged_into IS NOT NULL"),
    ),
    Index(
        "ix_alerts_snoozed_until",
        "snoozed_until",
        sqlite_where=text("snoozed_until IS NOT NULL"),
        postgresql_where=text("snoozed_until IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

alert_days = Table(
    "alert_days",
    metadata,
    Column("alert", ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", PlainText(64), primary_key=True),
    Column("day", Integer, primary_key=True, comment="local"),
    Column(
        "whole",
        Boolean,
        nullable=False,
        server_default=true(),
        comment="whether all of it is evidence, or only what correlated_ranges names",
    ),
    comment="an alert's evidence: its subject's events of these channels and days (subject_events)",
)

alert_candidates = Table(
    "alert_candidates",
    metadata,
    Column("alert", ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("queue", PlainText(8), nullable=False, comment="day or slow"),
    Column("risk", Float, nullable=False, server_default=text("0"), comment="0–100, ranks the day's"),
    Column("points", Float, nullable=False, comment="of the queue's anomaly, 0–100"),
    Column("strength", Float, nullable=False, comment="T of the day, among equal risks"),
    Column("cooling", BigInteger, comment="closed alert that the subject cools down after"),
    Column("admitted", Boolean, nullable=False, server_default=false(), comment="within the day's cap"),
    Index("ix_alert_candidates_queue", "queue", "day"),
    comment="days over the line that no rule puts outside of the budget: alerts/queueing.py",
)

queue_days = Table(
    "queue_days",
    metadata,
    Column("queue", PlainText(8), primary_key=True),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("cap", Integer, nullable=False, comment="so many of its candidates are alerts"),
    Column("line", Integer, nullable=False, server_default=text("50"), comment="risk of its candidates"),
    comment="each queue's days; whoever ranks one locks it",
)

correlated_ranges = Table(
    "correlated_ranges",
    metadata,
    Column("alert", ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("agent", PlainText(64), primary_key=True),
    Column("epoch", PlainText(16), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    comment="the events that made an alert's correlations fire",
)

judged_ranges = Table(
    "judged_ranges",
    metadata,
    Column("alert", ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("agent", PlainText(64), primary_key=True),
    Column("epoch", PlainText(16), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    comment="the events that a closed alert held when it was closed; what came later is not its evidence",
)

judged_days = Table(
    "judged_days",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("family", PlainText(64), primary_key=True),
    Column(
        "rule_id", PlainText(64), primary_key=True, comment="empty: the day's anomaly; slow_anomaly: drift"
    ),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("count", BigInteger, nullable=False, comment="the rule's hits, or thousandths of a point"),
    comment="at closing; more hits, or a clearly stranger day, count again",
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", PlainText(256), nullable=False),
    Column("action", PlainText(64), nullable=False),
    Column("object", PlainText(256), nullable=False),
    Column("reason", PlainText()),
    Column("detail", JSON),
    Column("previous_hash", PlainText(64), nullable=False),
    Column("hash", PlainText(64), nullable=False),
    Index("ix_audit_object", "object", "seq"),
    comment="append-only hash chain",
)

audit_withheld = Table(
    "audit_withheld",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    comment="rows of the trail whose texts name somebody who was erased: shown to nobody any more",
)
