"""Filters of the queue that people gave a name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.store.column_types import PlainText

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_views",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("owner", PlainText(64), nullable=False, comment="name of the account that keeps it"),
        sa.Column("name", PlainText(80), nullable=False),
        sa.Column("query", PlainText(1000), nullable=False, comment="the queue's filters as in its address"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
        sa.UniqueConstraint("owner", "name", name="uq_saved_views_name"),
        comment="filters of the queue that somebody gave a name",
        sqlite_autoincrement=True,
    )
