"""The anomaly of a day belongs to the day, over all activities, no longer to one channel of it. On which days
collectors on servers ran is known by day too.

What was found so far was found on removable storage. Models of that alone can score nothing any more, and go.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    kind = sa.Text if length is None else sa.String
    return kind(length).with_variant(kind(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "anomaly_days",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="local"),
        sa.Column("points", sa.Float(), nullable=False, comment="highest A_day 0–100, as verdicts calm it"),
        sa.Column("uncalmed", sa.Float(), nullable=False, comment="the same as if nothing had been judged"),
        sa.Column("slow_points", sa.Float(), nullable=False, comment="highest A_slow 0–100"),
        sa.Column("family", _text(64), nullable=False, comment="of alerts that the day's anomaly counts in"),
        sa.Column("slow_family", _text(64), nullable=False, comment="the same of the drift's"),
        sa.Column("evidence", _text(), nullable=False, comment="JSON, pipeline/anomaly_day.py"),
        sa.Column("uncalmed_evidence", _text(), nullable=False, comment="JSON, pipeline/anomaly_day.py"),
        sa.Column("model_id", sa.BigInteger(), comment="which model scored it last"),
        sa.PrimaryKeyConstraint("subject", "day", name=op.f("pk_anomaly_days")),
        comment="how strange each day of a subject became",
    )
    op.create_index(op.f("ix_anomaly_days_day"), "anomaly_days", ["day"])
    op.create_table(
        "days_watched_anywhere",
        sa.Column("collector", _text(64), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="UTC"),
        sa.PrimaryKeyConstraint("collector", "day", name=op.f("pk_days_watched_anywhere")),
        comment="days on which a collector that sees the whole company ran on any machine",
    )
    op.execute(
        "INSERT INTO days_watched_anywhere"
        " SELECT DISTINCT collector, day FROM collector_days WHERE collector IN"
        " ('access_log', 'export_folders', 'logins', 'mail', 'mariadb', 'postgresql', 'printing')"
    )
    op.execute(
        "INSERT INTO anomaly_days"
        " SELECT subject, day, anomaly, anomaly, 0, 'removable_storage_copy', '', '{}', '{}', model_id"
        " FROM channel_days WHERE channel = 'removable_storage' AND anomaly > 0"
    )
    op.execute("DELETE FROM models WHERE kind = 'removable_storage'")
    op.drop_column("channel_days", "anomaly")
    op.drop_column("channel_days", "model_id")
