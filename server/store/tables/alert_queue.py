"""What the console's queue of alerts reads beside the alerts themselves, and the views that people saved."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, UniqueConstraint

from server.store.column_types import PlainText
from server.store.tables.alerts import alerts
from server.store.tables.metadata import RowId, metadata

alert_rows = Table(
    "alert_rows",
    metadata,
    Column("alert", ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("channels", PlainText(), nullable=False, comment=",removable_storage,uploads,"),
    Column("rules", PlainText(), nullable=False, comment="ids of the rules that hit, with commas around"),
    Column("files", BigInteger, nullable=False, comment="of the days that are its evidence"),
    Column("bytes", BigInteger, nullable=False, comment="of the days that are its evidence"),
    Column("words", PlainText(), nullable=False, comment="what free text finds, in small letters; no names"),
    comment="an alert as a row of the queue, so that 50,000 are filtered without reading their JSON",
)

saved_views = Table(
    "saved_views",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("owner", PlainText(64), nullable=False, comment="name of the account that keeps it"),
    Column("name", PlainText(80), nullable=False),
    Column("query", PlainText(1000), nullable=False, comment="the queue's filters as in its address"),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("owner", "name", name="uq_saved_views_name"),
    comment="filters of the queue that somebody gave a name",
    sqlite_autoincrement=True,
)

_TOLD = (alerts.c.status, alerts.c.merged_into, alerts.c.owner, alerts.c.subject)
"""What a row is filtered by: in the index, so that no alert's JSON is passed over."""
Index("ix_alerts_by_score", alerts.c.score, alerts.c.last_time, alerts.c.id, *_TOLD)
Index("ix_alerts_by_time", alerts.c.last_time, alerts.c.id, alerts.c.score, *_TOLD)
_COUNTED = (alerts.c.status, alerts.c.merged_into, alerts.c.score)
"""What the list of people counts of each."""
Index("ix_alerts_subject", alerts.c.subject, alerts.c.last_time, alerts.c.id, *_COUNTED)
Index("ix_alerts_changed", alerts.c.updated_at, alerts.c.triage_version)
