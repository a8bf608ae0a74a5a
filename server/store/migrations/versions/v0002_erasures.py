"""What was erased, whose accounts stay shut out, and seals on what was left of event blocks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("kind", _text(8), nullable=False, comment="person, account or days"),
        sa.Column("digest", _text(64), comment="of the person or account (people/erased.py); none for days"),
        sa.Column("first_day", sa.Integer(), comment="days: UTC"),
        sa.Column("last_day", sa.Integer(), comment="days: UTC, inclusive"),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("restored_at", sa.BigInteger(), comment="when an import was told to take the person back"),
        sa.Column(
            "plan", sa.JSON(), comment="what to look for; emptied at the end, since it names the person"
        ),
        sa.Column(
            "next_block",
            sa.BigInteger(),
            nullable=False,
            comment="where to go on looking through event_blocks",
        ),
        sa.Column("removed", sa.JSON(), nullable=False, comment="rows by table so far"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_erasures_digest", "erasures", ["digest"], unique=False)
    op.create_table(
        "erased_accounts",
        sa.Column("digest", _text(64), nullable=False, comment="of the account (people/erased.py)"),
        sa.Column("erased_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "until", sa.BigInteger(), nullable=False, comment="so long its events are dropped as they come"
        ),
        sa.Column("dropped", sa.BigInteger(), nullable=False, comment="events that came since"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_erased_accounts")),
        comment="later events of these are not stored",
    )
    op.create_table(
        "seal_keys",
        sa.Column(
            "key_id", _text(16), nullable=False, comment="first 16 hex digits of SHA-256 of public_key"
        ),
        sa.Column("public_key", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_seal_keys")),
        comment="this installation's own keys (pki/seal.key) for what it rewrites",
    )
    op.create_table(
        "block_seals",
        sa.Column("block", _ROW_ID, autoincrement=False, nullable=False),
        sa.Column(
            "original_digest", _text(64), nullable=False, comment="SHA-256 of the value that the agent signed"
        ),
        sa.Column("erased", sa.Integer(), nullable=False, comment="events taken out so far"),
        sa.Column("sealed_at", sa.BigInteger(), nullable=False),
        sa.Column("key_id", _text(16), nullable=False),
        sa.Column("seal", sa.LargeBinary(64), nullable=False, comment="evidence_seal.py"),
        sa.ForeignKeyConstraint(
            ["block"],
            ["event_blocks.id"],
            name=op.f("fk_block_seals_block_event_blocks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("block", name=op.f("pk_block_seals")),
        comment="blocks of which events were erased; all others are as they came",
    )
