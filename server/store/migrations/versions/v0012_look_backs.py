"""Looking back at a person's events when HR's facts change, and later versions of what is known of events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def _text(length: int) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "look_backs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", _text(128), nullable=False, comment="may be gone by now: an import undone"),
        sa.Column(
            "accounts",
            sa.JSON(),
            nullable=False,
            comment="[[system, name], …]: owned before or after the change",
        ),
        sa.Column("way", _text(8), nullable=False, comment="as in people_changes"),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("left_at", sa.BigInteger(), comment="since when they have left, before or by now"),
        sa.Column("begun_at", sa.BigInteger()),
        sa.Column("version", sa.BigInteger(), comment="of what it writes to leaver_versions"),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("events", sa.BigInteger(), nullable=False, comment="scored again so far"),
        sa.Column(
            "changed",
            sa.BigInteger(),
            nullable=False,
            comment="of them, those that something else is known of now",
        ),
        sa.Column("opened", sa.Integer(), nullable=False, comment="alerts"),
        sa.Column(
            "joined", sa.Integer(), nullable=False, comment="open alerts that say something else since"
        ),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False, comment="of attempts"),
        sa.Column("failed_at", sa.BigInteger(), comment="the last of them"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_look_backs")),
        comment="queued in the transaction that changes what is declared (people/look_back_queue.py)",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_look_backs_person_id"), "look_backs", ["person_id"], unique=False)
    op.create_index(op.f("ix_look_backs_version"), "look_backs", ["version"], unique=False)
    op.create_index(
        "ix_look_backs_waiting",
        "look_backs",
        ["id"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "leaver_versions",
        sa.Column(
            "block",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column(
            "version", sa.BigInteger(), autoincrement=False, nullable=False, comment="the higher, the later"
        ),
        sa.Column(
            "leaver",
            sa.LargeBinary(),
            nullable=False,
            comment="as event_blocks.leaver; null where the look-back changed nothing",
        ),
        sa.ForeignKeyConstraint(
            ["block"],
            ["event_blocks.id"],
            name=op.f("fk_leaver_versions_block_event_blocks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("block", "version", name=op.f("pk_leaver_versions")),
        comment="what is known of events since HR said otherwise; counts once its look-back is finished",
    )
    op.create_index("ix_leaver_versions_version", "leaver_versions", ["version"], unique=False)
    op.add_column(
        "alerts",
        sa.Column(
            "looked_back_at", sa.BigInteger(), comment="when looking back opened it or added to it last"
        ),
    )
