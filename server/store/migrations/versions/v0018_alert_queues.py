"""What the anomaly brings over the line passes a queue a day; what does not is held, not lost.

Alerts that are open stay so: they were made before there were queues. Of a judged day the points count that
it had, no longer its events.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_COMMENTS = (
    ("alerts", "status", "open, closed, or held: found, not alerted"),
    ("judged_days", "rule_id", "empty: the day's anomaly; slow_anomaly: drift"),
    ("judged_days", "count", "the rule's hits, or thousandths of a point"),
)


def _text(length: int) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    by_rules: sa.Column[bool] = sa.Column(
        "by_rules",
        sa.Boolean(),
        server_default=sa.true(),
        nullable=False,
        comment="rules alone reached the line; else its candidates say whether it is open",
    )
    op.add_column("alerts", by_rules)
    op.drop_index("uq_alerts_one_open", "alerts")
    op.create_index(
        "uq_alerts_one_open",
        "alerts",
        ["subject", "family"],
        unique=True,
        sqlite_where=sa.text("status <> 'closed'"),
        postgresql_where=sa.text("status <> 'closed'"),
    )
    op.create_table(
        "alert_candidates",
        sa.Column("alert", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="local"),
        sa.Column("queue", _text(8), nullable=False, comment="day or slow"),
        sa.Column("points", sa.Float(), nullable=False, comment="of the queue's anomaly, 0–100"),
        sa.Column("strength", sa.Float(), nullable=False, comment="T of the day, among equal points"),
        sa.Column("cooling", sa.BigInteger(), comment="closed alert that the subject cools down after"),
        sa.Column(
            "admitted",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="within the day's cap",
        ),
        sa.ForeignKeyConstraint(
            ["alert"], ["alerts.id"], name=op.f("fk_alert_candidates_alert_alerts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert", "day", name=op.f("pk_alert_candidates")),
        comment="days that the anomaly brought over the line: alerts/queueing.py",
    )
    op.create_index("ix_alert_candidates_queue", "alert_candidates", ["queue", "day"])
    op.create_table(
        "queue_days",
        sa.Column("queue", _text(8), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="local"),
        sa.Column("cap", sa.Integer(), nullable=False, comment="so many of its candidates are alerts"),
        sa.PrimaryKeyConstraint("queue", "day", name=op.f("pk_queue_days")),
        comment="each queue's days; whoever ranks one locks it",
    )
    op.execute(
        "DELETE FROM judged_days WHERE rule_id = '' AND NOT EXISTS (SELECT 1 FROM anomaly_days a"
        " WHERE a.subject = judged_days.subject AND a.day = judged_days.day)"
    )
    op.execute(
        "UPDATE judged_days SET count = (SELECT CAST(a.points * 1000 AS BIGINT) + 1 FROM anomaly_days a"
        " WHERE a.subject = judged_days.subject AND a.day = judged_days.day) WHERE rule_id = ''"
    )
    if op.get_context().dialect.name == "postgresql":
        for table, column, comment in _COMMENTS:
            op.alter_column(table, column, comment=comment, existing_nullable=False)
        op.create_table_comment(
            "judged_days", "at closing; more hits, or a clearly stranger day, count again"
        )
