"""Who may see whose name, until when; an index finds who else uses the same device or destination."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    kind = sa.Text if length is None else sa.String
    return kind(length).with_variant(kind(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "unmaskings",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("actor", _text(256), nullable=False, comment="user:NAME"),
        sa.Column("subject", _text(128), nullable=False, comment="whose name: person:ID or account:NAME"),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="server's clock"),
        sa.Column(
            "until",
            sa.BigInteger(),
            nullable=False,
            comment="earlier where it was hidden again before its time",
        ),
        sa.Column("reason", _text(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), comment="for which case, where there is one"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unmaskings")),
        comment="for one user and one subject, for an hour: people/unmaskings.py",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_unmaskings_actor", "unmaskings", ["actor", "until"])
    op.create_index("ix_unmaskings_subject", "unmaskings", ["subject", "at"])
    # An alert's page tells who else uses the same device or destination.
    op.create_index("ix_subject_places_place", "subject_places", ["place", "subject"])
