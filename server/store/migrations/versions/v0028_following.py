"""Alerts and people that somebody follows; notes that are withdrawn as any other act is undone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.store.column_types import PlainText

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "followed_alerts",
        sa.Column("actor", PlainText(256), nullable=False, comment="user:NAME, whose own it is"),
        sa.Column("alert", _ROW_ID, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert"], ["alerts.id"], name=op.f("fk_followed_alerts_alert_alerts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("actor", "alert", name=op.f("pk_followed_alerts")),
        comment="alerts that somebody follows: triage/following.py",
    )
    # Whoever deletes an alert deletes these with it.
    op.create_index("ix_followed_alerts_alert", "followed_alerts", ["alert"])
    op.create_table(
        "followed_subjects",
        sa.Column("actor", PlainText(256), nullable=False, comment="user:NAME, whose own it is"),
        sa.Column("subject", PlainText(128), nullable=False, comment="person:ID or account:NAME"),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("actor", "subject", name=op.f("pk_followed_subjects")),
        comment="people whose alerts somebody follows: triage/following.py",
    )
    op.create_index("ix_followed_subjects_subject", "followed_subjects", ["subject"])
    group: sa.Column[int] = sa.Column(
        "undo_group", sa.BigInteger(), nullable=True, comment="of triage_groups: it is withdrawn with that"
    )
    op.add_column("alert_notes", group)
    op.create_index("ix_alert_notes_undo_group", "alert_notes", ["undo_group"])
