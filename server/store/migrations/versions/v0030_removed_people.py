"""Whom an undone import took away: what was typed about them stays masked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.store.column_types import PlainText

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    told: sa.Column[str] = sa.Column(
        "told", PlainText(), nullable=False, comment="name, accounts, traits, as JSON (people/removed.py)"
    )
    op.create_table(
        "removed_people",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("person_id", PlainText(128), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=False),
        told,
        sa.PrimaryKeyConstraint("id", name=op.f("pk_removed_people")),
        comment="whom an undone import took away, so that what was typed about them stays masked",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_removed_people_person_id", "removed_people", ["person_id"])
