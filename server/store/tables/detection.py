"""What the detectors remember of each subject, and the models."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, LargeBinary, Table

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

storage_days = Table(
    "storage_days",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("day_type", PlainText(4), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("new_devices", Integer, nullable=False),
    Column("first_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False, comment="all of the channel, not only files written"),
    Column("anomaly", Float, nullable=False, comment="highest 0–100 that the running day reached"),
    Column("model_id", BigInteger, comment="which model found that height"),
    comment="removable storage by subject and day: the features' raw material",
)

subject_devices = Table(
    "subject_devices",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("device", PlainText(512), primary_key=True),
    Column("first_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
)

rule_days = Table(
    "rule_days",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("rule_id", PlainText(64), primary_key=True),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("family", PlainText(64), nullable=False),
    Column("level", PlainText(16), nullable=False),
    Column("title", PlainText(), nullable=False),
    Column("hits", BigInteger, nullable=False),
    Column("first_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("kind", PlainText(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("state", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
