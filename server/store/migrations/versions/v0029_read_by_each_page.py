"""What pages of the console ask for each time, out of an index: how many agents there are and since when
(what is hidden in texts follows), and the alerts of each person that are open, with the highest score."""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_agents_created", "agents", ["created_at"])
    op.drop_index("ix_alerts_subject", "alerts")
    counted = ("status", "merged_into", "score")
    op.create_index("ix_alerts_subject", "alerts", ["subject", "last_time", "id", *counted])
