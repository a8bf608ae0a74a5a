"""Policies have versions, exceptions are counted, and hits name the versions that they are of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "policy_versions",
        sa.Column("id", _ROW_ID, nullable=False, comment="the highest is the whole set's version"),
        sa.Column("rule_id", _text(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="1, 2 … of this rule; the highest holds"),
        sa.Column("kind", _text(12), nullable=False, comment="rule, exception or correlation"),
        sa.Column("origin", _text(8), nullable=False, comment="shipped, folder or saved"),
        sa.Column("file", _text(512), nullable=False),
        sa.Column("title", _text(), nullable=False),
        sa.Column("until", sa.BigInteger(), comment="of an exception: ms UTC, exclusive"),
        sa.Column("text", _text(), comment="as it was written; null: gone from where it came from"),
        sa.Column("hash", _text(64), nullable=False, comment="SHA-256 of the text as it was saved"),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("saved_at", sa.BigInteger(), nullable=False),
        sa.Column("saved_by", _text(256), nullable=False),
        sa.Column("reason", _text(), nullable=False),
        sa.Column("preview", sa.JSON(), comment="what an exception would have hidden before it was saved"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_versions")),
        sa.UniqueConstraint("rule_id", "number", name=op.f("uq_policy_versions_rule_id")),
        comment="append-only but for erasures, which take names out of texts",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "policy_faults",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("origin", _text(8), nullable=False),
        sa.Column("file", _text(512), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("message", _text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_faults")),
        comment="what leaver up could not take over, as of its last look",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "hidden_hits",
        sa.Column("exception_id", _text(64), nullable=False),
        sa.Column("rule_id", _text(64), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False, comment="local"),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.Column("last_time", sa.BigInteger(), nullable=False, comment="of their events"),
        sa.PrimaryKeyConstraint("exception_id", "rule_id", "day", name=op.f("pk_hidden_hits")),
        comment="what exceptions hid",
    )
    _rule_days()


def _rule_days() -> None:
    """Made anew: SQLite would write added columns in a way of its own."""
    op.rename_table("rule_days", "old_rule_days")
    if op.get_context().dialect.name == "postgresql":
        # There the names of keys are the schema's, not the table's.
        op.execute("ALTER INDEX pk_rule_days RENAME TO pk_old_rule_days")
    op.create_table(
        "rule_days",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("rule_id", _text(64), nullable=False),
        sa.Column("channel", _text(64), nullable=False, comment="the collector that saw what it fired on"),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False, comment="local"),
        sa.Column("family", _text(64), nullable=False),
        sa.Column("level", _text(16), nullable=False),
        sa.Column("title", _text(), nullable=False),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.Column("first_time", sa.BigInteger(), nullable=False),
        sa.Column("last_time", sa.BigInteger(), nullable=False),
        sa.Column(
            "first_version", sa.Integer(), nullable=False, comment="of the rule, that fired; 0: not known"
        ),
        sa.Column(
            "last_version",
            sa.Integer(),
            nullable=False,
            comment="of the rule, that fired; title, level and family are of this one",
        ),
        sa.PrimaryKeyConstraint("subject", "rule_id", "channel", "day", name=op.f("pk_rule_days")),
    )
    op.execute(
        "INSERT INTO rule_days (subject, rule_id, channel, day, family, level, title, hits, first_time,"
        " last_time, first_version, last_version)"
        " SELECT subject, rule_id, channel, day, family, level, title, hits, first_time, last_time, 0, 0"
        " FROM old_rule_days"
    )
    op.drop_table("old_rule_days")
