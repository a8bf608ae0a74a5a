"""Alerts of correlations point to the events that made them fire."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def _text(length: int) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    whole: sa.Column[bool] = sa.Column(
        "whole",
        sa.Boolean(),
        server_default=sa.true(),
        nullable=False,
        comment="whether all of it is evidence, or only what correlated_ranges names",
    )
    op.add_column("alert_days", whole)
    op.create_table(
        "correlated_ranges",
        sa.Column("alert", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agent", _text(64), nullable=False),
        sa.Column("epoch", _text(16), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert"], ["alerts.id"], name=op.f("fk_correlated_ranges_alert_alerts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert", "agent", "epoch", "first_seq", name=op.f("pk_correlated_ranges")),
        comment="the events that made an alert's correlations fire",
    )
