"""A note with a leaver flag, for HR and administrators; what the columns of HR's files are, by header."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.store.column_types import PlainText

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    note: sa.Column[str] = sa.Column(
        "note", PlainText(1000), nullable=True, comment="for HR and administrators; may name people"
    )
    op.add_column("leaver_flags", note)
    op.create_table(
        "import_mappings",
        sa.Column("header", PlainText(64), nullable=False, comment="SHA-256 of the file's header"),
        sa.Column("mapping", PlainText(20000), nullable=False, comment="ImportMapping as JSON"),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", PlainText(256), nullable=False),
        sa.PrimaryKeyConstraint("header", name=op.f("pk_import_mappings")),
        comment="what the columns of an HR file are, by its header, as somebody said when it came last",
    )
