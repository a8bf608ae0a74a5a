"""Settings that the server hands to its agents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "agent_settings",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("issued_by", _text(256), nullable=False),
        sa.Column("reason", _text(), nullable=False),
        sa.Column("settings", _text(), nullable=False, comment="TOML: [collectors.…]"),
        sa.Column(
            "bundle",
            sa.LargeBinary(),
            nullable=False,
            comment="as agents get it: event_schema/config_bundle.py",
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_agent_settings")),
        comment="what all agents are to collect; the highest version holds",
    )
