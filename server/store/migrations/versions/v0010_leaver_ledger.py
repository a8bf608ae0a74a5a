"""Accounts that were closed, and what HR, IT and security signed off about somebody who leaves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _text(length: int) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("accounts", sa.Column("closed_at", sa.BigInteger(), comment="null: it works"))
    op.create_table(
        "leaver_sign_offs",
        sa.Column("person_id", _text(128), nullable=False),
        sa.Column("item", _text(16), nullable=False, comment="dates, accounts, devices, secrets or activity"),
        sa.Column("role", _text(16), nullable=False, comment="hr, administrator or analyst"),
        sa.Column("last_day", sa.Integer(), nullable=False, comment="local; of the leaving that it is about"),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.Column("signed_by", _text(256), nullable=False),
        sa.Column("note", _text(1000)),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["people.id"],
            name=op.f("fk_leaver_sign_offs_person_id_people"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("person_id", "item", "role", name=op.f("pk_leaver_sign_offs")),
        comment="of the latest leaving; what was taken back is in the audit trail alone",
    )
