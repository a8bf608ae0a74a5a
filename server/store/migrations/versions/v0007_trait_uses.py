"""Which subject used which account from which machine, device, address and with which key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _text(length: int) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "trait_uses",
        sa.Column(
            "trait",
            _text(320),
            nullable=False,
            comment="host:NAME, device:UID, address:IP, key:PRINT, account:NAME",
        ),
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("account", _text(320), nullable=False, comment="through which account"),
        sa.Column("first_time", sa.BigInteger(), nullable=False),
        sa.Column("last_time", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False, comment="events"),
        sa.PrimaryKeyConstraint("trait", "subject", "account", name=op.f("pk_trait_uses")),
        comment="what points to a person besides the account: who used it, since when, until when",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_trait_uses_subject"), "trait_uses", ["subject"], unique=False)
    op.create_index(op.f("ix_trait_uses_account"), "trait_uses", ["account"], unique=False)
