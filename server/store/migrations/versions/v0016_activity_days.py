"""Days by activity, for the anomaly models.

Empty at first: days before the upgrade are unknown, not zero (pipeline/activity_history.py). What events are
stored brings them in for whoever is looked back at.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    kind = sa.Text if length is None else sa.String
    return kind(length).with_variant(kind(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "activity_days",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("activity", _text(32), nullable=False, comment="what is done: analytics/measures.py"),
        sa.Column("day", sa.Integer(), nullable=False, comment="local"),
        sa.Column("day_type", _text(4), nullable=False),
        sa.Column("amounts", _text(), nullable=False, comment="JSON, pipeline/subject_activities.py"),
        sa.Column("places", _text(), nullable=False, comment="JSON, pipeline/subject_activities.py"),
        sa.Column("events", sa.BigInteger(), nullable=False, comment="that count in the activity"),
        sa.PrimaryKeyConstraint("subject", "activity", "day", name=op.f("pk_activity_days")),
        comment="each activity by subject and day: what anomaly models are trained on and score",
    )
