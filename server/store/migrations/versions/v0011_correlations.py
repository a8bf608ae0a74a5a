"""What correlations remember of a subject between batches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def _text(length: int) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "correlation_groups",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column(
            "fingerprint",
            _text(32),
            nullable=False,
            comment="of what the correlation counts: one that changes starts anew",
        ),
        sa.Column("group_digest", _text(32), nullable=False, comment="of the group's fields"),
        sa.Column("rule_id", _text(64), nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=False, comment="of what it holds; local"),
        sa.Column("last_day", sa.Integer(), nullable=False, comment="of what it holds; local"),
        sa.Column(
            "until_day", sa.Integer(), nullable=False, comment="after this one nothing needs it; local"
        ),
        sa.Column("state", sa.LargeBinary(), nullable=False, comment="policies/correlation/group_state.py"),
        sa.PrimaryKeyConstraint("subject", "fingerprint", "group_digest", name=op.f("pk_correlation_groups")),
        comment="the windows of correlations, a group of one subject each",
    )
