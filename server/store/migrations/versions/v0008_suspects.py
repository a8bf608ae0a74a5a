"""Acts that lead to somebody who left, and what leads there; an alert's traits with what is known of each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_KINDS = {"own account": "own_account", "account of nobody known": "unknown_account"}


def _text(length: int) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "suspect_traits",
        sa.Column("subject", _text(128), nullable=False, comment="whom the acts count for"),
        sa.Column("channel", _text(64), nullable=False, comment="the collector that saw them"),
        sa.Column("day", sa.Integer(), nullable=False, comment="local"),
        sa.Column("through", _text(128), nullable=False, comment="the subject whose account it was"),
        sa.Column("trait", _text(520), nullable=False, comment="host:NAME, address:IP, …; empty: all acts"),
        sa.Column("person_id", _text(128), nullable=False, comment="who left, and whom it leads to"),
        sa.Column("owner_id", _text(128), comment="who answers for an account that several know"),
        sa.Column("since", sa.BigInteger(), comment="when they used it first; ms UTC"),
        sa.Column("until", sa.BigInteger(), comment="when they used it last, by their own account"),
        sa.Column("others", sa.Integer(), comment="how many others ever used it"),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "subject", "channel", "day", "through", "trait", "person_id", name=op.f("pk_suspect_traits")
        ),
        comment="acts through an account of somebody else, or a shared one, and what leads to who left",
    )
    _alert_traits()


def _alert_traits() -> None:
    """They were words."""
    if op.get_context().dialect.name == "postgresql":
        op.alter_column(
            "alerts", "traits", comment="why the suspect: alerts/traits.py", existing_nullable=False
        )
    alerts = sa.table("alerts", sa.column("id", sa.BigInteger()), sa.column("traits", sa.JSON()))
    connection = op.get_bind()
    for number, traits in connection.execute(sa.select(alerts.c.id, alerts.c.traits)).all():
        kept = [{"kind": _KINDS[word]} for word in traits if word in _KINDS]
        connection.execute(sa.update(alerts).where(alerts.c.id == number).values(traits=kept))
