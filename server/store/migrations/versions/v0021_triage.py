"""Owners, notes, merges and snoozes of alerts, and who did what to them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from server.store.column_types import PlainText

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_MERGED = sa.text("merged_into IS NOT NULL")
_SNOOZED = sa.text("snoozed_until IS NOT NULL")


def upgrade() -> None:
    _add_columns()
    _add_tables()


def _add_columns() -> None:
    asleep = "what it was when it was put to sleep"
    columns: tuple[sa.Column[Any], ...] = (
        sa.Column("owner", PlainText(64), comment="account of the console whose task it is"),
        sa.Column(
            "snoozed_until",
            sa.BigInteger(),
            comment="it sleeps till then, or something new: triage/sleep.py",
        ),
        sa.Column("snoozed_score", sa.Integer(), comment=asleep),
        sa.Column("snoozed_events", sa.BigInteger(), comment=asleep),
        sa.Column("snoozed_last", sa.BigInteger(), comment="last_time when it was put to sleep"),
        sa.Column(
            "merged_into",
            sa.BigInteger(),
            comment="main alert, which has the same status and is no part itself: alerts/parts.py",
        ),
        sa.Column(
            "triage_version",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="rises with each change that people make, notes aside",
        ),
    )
    for column in columns:
        op.add_column("alerts", column)
    for column_name, there in (("merged_into", _MERGED), ("snoozed_until", _SNOOZED)):
        op.create_index(
            f"ix_alerts_{column_name}",
            "alerts",
            [column_name],
            sqlite_where=there,
            postgresql_where=there,
        )


def _add_tables() -> None:
    op.create_table(
        "triage_groups",
        sa.Column("id", _RowId, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", PlainText(256), nullable=False, comment="alone may undo it"),
        sa.Column("verb", PlainText(16), nullable=False),
        sa.Column("alerts", sa.Integer(), nullable=False, comment="how many it changed"),
        sa.Column("undone_at", sa.BigInteger(), comment="when the last of them was undone"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_triage_groups")),
        comment="what was done to several alerts at once, to undo at once: triage/undoing.py",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alert_history",
        sa.Column("id", _RowId, primary_key=True, autoincrement=True),
        *_of_alert("alert_history"),
        sa.Column("verb", PlainText(16), nullable=False),
        sa.Column("reason", PlainText(), comment="typed: of closing, also where reopening takes it back"),
        sa.Column("changes", sa.JSON(), nullable=False, comment="before and after: alerts/history.py"),
        sa.Column("undo_group", sa.BigInteger(), comment="of triage_groups, also when that row is gone"),
        sa.Column("undoes", sa.BigInteger(), comment="the undo_group that this took back"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_history")),
        comment="append-only: who changed what of an alert",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alert_history_alert", "alert_history", ["alert", "id"])
    op.create_index("ix_alert_history_undo_group", "alert_history", ["undo_group"])
    op.create_table(
        "alert_notes",
        sa.Column("id", _RowId, primary_key=True, autoincrement=True),
        *_of_alert("alert_notes"),
        sa.Column("text", PlainText(), nullable=False, comment="typed: may name people"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_notes")),
        comment="append-only",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alert_notes_alert", "alert_notes", ["alert", "id"])


def _of_alert(table: str) -> tuple[Any, ...]:
    return (
        sa.Column("alert", _RowId, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", PlainText(256), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert"], ["alerts.id"], name=op.f(f"fk_{table}_alert_alerts"), ondelete="CASCADE"
        ),
    )
