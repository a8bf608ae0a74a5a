"""What of the events a closed alert's verdict was about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _text(length: int) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "judged_ranges",
        sa.Column("alert", _ALERT_ID, nullable=False),
        sa.Column("agent", _text(64), nullable=False),
        sa.Column("epoch", _text(16), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert"], ["alerts.id"], name=op.f("fk_judged_ranges_alert_alerts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert", "agent", "epoch", "first_seq", name=op.f("pk_judged_ranges")),
        comment="the events that a closed alert held when it was closed; what came later is not its evidence",
    )


_ALERT_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
