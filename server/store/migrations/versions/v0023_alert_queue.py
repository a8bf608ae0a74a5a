"""What the console's queue reads and sorts by.

Rows of alerts that are there already are written by housekeeping (alerts/queue/rows.py): until then they are
in the queue, and no text finds them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.store.column_types import PlainText

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_TOLD = ("status", "merged_into", "owner", "subject")


def upgrade() -> None:
    op.create_table(
        "alert_rows",
        sa.Column("alert", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channels", PlainText(), nullable=False, comment=",removable_storage,uploads,"),
        sa.Column(
            "rules", PlainText(), nullable=False, comment="ids of the rules that hit, with commas around"
        ),
        sa.Column("files", sa.BigInteger(), nullable=False, comment="of the days that are its evidence"),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="of the days that are its evidence"),
        sa.Column(
            "words", PlainText(), nullable=False, comment="what free text finds, in small letters; no names"
        ),
        sa.ForeignKeyConstraint(
            ["alert"], ["alerts.id"], name=op.f("fk_alert_rows_alert_alerts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert", name=op.f("pk_alert_rows")),
        comment="an alert as a row of the queue, so that 50,000 are filtered without reading their JSON",
    )
    op.create_index("ix_alerts_by_score", "alerts", ["score", "last_time", "id", *_TOLD])
    op.create_index("ix_alerts_by_time", "alerts", ["last_time", "id", "score", *_TOLD])
    op.create_index("ix_alerts_changed", "alerts", ["updated_at", "triage_version"])
    # A person's page reads all alerts of theirs.
    op.create_index("ix_alerts_subject", "alerts", ["subject", "last_time", "id"])
