"""What a change of policies would have done."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "dry_runs",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("rule_id", _text(64), nullable=False),
        sa.Column(
            "base_version",
            sa.Integer(),
            nullable=False,
            comment="of the rule, that it was compared with; 0: there was none",
        ),
        sa.Column("digest", _text(64), nullable=False, comment="SHA-256 of the text"),
        sa.Column("enabled", sa.Boolean(), nullable=False, comment="whether it was tried as in use"),
        sa.Column("text", _text(), nullable=False, comment="what was tried out"),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("status", _text(10), nullable=False, comment="running, done, failed or cancelled"),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("begun_by", _text(256), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("summary", sa.JSON(), comment="dry_runs/summary.py; names nobody"),
        sa.Column("fault", _text(), comment="why it failed"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dry_runs")),
        comment="publishing asks for one of this text against this version; an erasure takes all",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_dry_runs_rule_id"), "dry_runs", ["rule_id", "id"])
