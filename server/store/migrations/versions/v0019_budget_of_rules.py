"""Rules pass the queues too, but for those that are outside of the budget; each day's queue has its line.

Alerts that rules made stay open. Days that are there keep the line of 50 that they were judged by.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_COMMENTS = (
    ("alerts", "by_rules", "rules outside of the budget made it; else its candidates say whether it is open"),
    ("alert_candidates", "strength", "T of the day, among equal risks"),
)


def upgrade() -> None:
    outside: sa.Column[bool] = sa.Column(
        "outside_budget",
        sa.Boolean(),
        server_default=sa.false(),
        nullable=False,
        comment="the rule alerts however many alerts there are",
    )
    op.add_column("rule_days", outside)
    op.execute(
        "UPDATE rule_days SET outside_budget = true"
        " WHERE level = 'critical' OR family = 'former_employee_access'"
    )
    risk: sa.Column[float] = sa.Column(
        "risk", sa.Float(), server_default=sa.text("0"), nullable=False, comment="0–100, ranks the day's"
    )
    op.add_column("alert_candidates", risk)
    op.execute("UPDATE alert_candidates SET risk = points")
    line: sa.Column[int] = sa.Column(
        "line", sa.Integer(), server_default=sa.text("50"), nullable=False, comment="risk of its candidates"
    )
    op.add_column("queue_days", line)
    if op.get_context().dialect.name == "postgresql":
        for table, column, comment in _COMMENTS:
            op.alter_column(table, column, comment=comment, existing_nullable=False)
        op.create_table_comment(
            "alert_candidates",
            "days over the line that no rule puts outside of the budget: alerts/queueing.py",
        )
