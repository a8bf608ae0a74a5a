"""Days of every channel, places that data went to: what removable storage alone had until now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    _channel_days()
    _subject_places()
    _rule_days()
    op.create_table(
        "known_exports",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", _text(64), nullable=False),
        sa.Column("origin", _text(64), nullable=False, comment="database_export, file_server"),
        sa.Column("seen_at", sa.BigInteger(), nullable=False, comment="event's time; ms UTC"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_known_exports")),
        comment="content that a database or a file server gave out, to recognise it wherever it goes",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_known_exports_sha256"), "known_exports", ["sha256"], unique=False)


def _channel_days() -> None:
    op.create_table(
        "channel_days",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("channel", _text(64), nullable=False, comment="the collector that saw it"),
        sa.Column("day", sa.Integer(), nullable=False, comment="local"),
        sa.Column("day_type", _text(4), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column(
            "items", sa.BigInteger(), nullable=False, comment="rows, pages, orders, logins: what it counts"
        ),
        sa.Column("new_places", sa.Integer(), nullable=False),
        sa.Column("first_time", sa.BigInteger(), nullable=False),
        sa.Column("last_time", sa.BigInteger(), nullable=False),
        sa.Column(
            "events",
            sa.BigInteger(),
            nullable=False,
            comment="all of the channel, not only what counts as taken",
        ),
        sa.Column(
            "anomaly", sa.Float(), nullable=False, comment="highest 0–100 that the running day reached"
        ),
        sa.Column("model_id", sa.BigInteger(), comment="which model found that height"),
        sa.PrimaryKeyConstraint("subject", "channel", "day", name=op.f("pk_channel_days")),
        comment="each channel by subject and day: the features' raw material",
    )
    op.execute(
        "INSERT INTO channel_days (subject, channel, day, day_type, bytes, files, items, new_places,"
        " first_time, last_time, events, anomaly, model_id)"
        " SELECT subject, 'removable_storage', day, day_type, bytes, files, files, new_devices,"
        " first_time, last_time, events, anomaly, model_id FROM storage_days"
    )
    op.drop_table("storage_days")


def _subject_places() -> None:
    op.create_table(
        "subject_places",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("channel", _text(64), nullable=False, comment="the collector that saw it"),
        sa.Column("place", _text(520), nullable=False, comment="device:UID or remote:NAME"),
        sa.Column("first_time", sa.BigInteger(), nullable=False),
        sa.Column("last_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "channel", "place", name=op.f("pk_subject_places")),
        comment="where a subject's data went, since when",
    )
    op.execute(
        "INSERT INTO subject_places (subject, channel, place, first_time, last_time)"
        " SELECT subject, 'removable_storage', 'device:' || device, first_time, last_time"
        " FROM subject_devices"
    )
    op.drop_table("subject_devices")


def _rule_days() -> None:
    op.rename_table("rule_days", "old_rule_days")
    if op.get_context().dialect.name == "postgresql":
        # There the names of keys are the schema's, not the table's.
        op.execute("ALTER INDEX pk_rule_days RENAME TO pk_old_rule_days")
    op.create_table(
        "rule_days",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("rule_id", _text(64), nullable=False),
        sa.Column("channel", _text(64), nullable=False, comment="the collector that saw what it fired on"),
        sa.Column("day", sa.Integer(), nullable=False, comment="local"),
        sa.Column("family", _text(64), nullable=False),
        sa.Column("level", _text(16), nullable=False),
        sa.Column("title", _text(), nullable=False),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.Column("first_time", sa.BigInteger(), nullable=False),
        sa.Column("last_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "rule_id", "channel", "day", name=op.f("pk_rule_days")),
    )
    op.execute(
        "INSERT INTO rule_days (subject, rule_id, channel, day, family, level, title, hits,"
        " first_time, last_time)"
        " SELECT subject, rule_id, 'removable_storage', day, family, level, title, hits,"
        " first_time, last_time FROM old_rule_days"
    )
    op.drop_table("old_rule_days")
