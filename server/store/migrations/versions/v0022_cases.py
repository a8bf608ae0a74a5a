"""Cases and their evidence packs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _make_cases()
    _make_packs()
    op.create_index("ix_audit_object", "audit", ["object", "seq"])


def _make_cases() -> None:
    op.create_table(
        "cases",
        sa.Column("id", _number(), autoincrement=True, nullable=False),
        sa.Column("title", _text(200), nullable=False, comment="typed by people: may name somebody"),
        sa.Column("status", _text(8), nullable=False, comment="open or closed"),
        sa.Column("outcome", _text(16), comment="cases/records.py Outcome"),
        sa.Column("reason", _text(), comment="of the outcome; typed by people"),
        sa.Column("owner", _text(64), comment="who signs in as"),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_by", _text(256), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger()),
        sa.Column("closed_by", _text(256)),
        sa.Column("version", sa.Integer(), nullable=False, comment="rises with every change"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cases_updated", "cases", ["status", "updated_at", "id"])
    op.create_table(
        "case_alerts",
        sa.Column("alert", _number(), autoincrement=False, nullable=False),
        sa.Column("case", _number(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("added_by", _text(256), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert"], ["alerts.id"], name=op.f("fk_case_alerts_alert_alerts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["case"], ["cases.id"], name=op.f("fk_case_alerts_case_cases"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert", name=op.f("pk_case_alerts")),
        comment="an alert is in one case at most",
    )
    op.create_index("ix_case_alerts_case", "case_alerts", ["case", "alert"])
    op.create_table(
        "case_history",
        sa.Column("id", _number(), autoincrement=True, nullable=False),
        sa.Column("case", _number(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", _text(256), nullable=False),
        sa.Column("verb", _text(16), nullable=False, comment="cases/records.py Verb"),
        sa.Column("text", _text(), comment="typed by people: a note, a reason, a title"),
        sa.Column("before", _text(64), comment="owner or status"),
        sa.Column("after", _text(64), comment="owner, status, outcome or a pack's number"),
        sa.Column("alerts", sa.JSON(), nullable=False, comment="ids of those added or removed"),
        sa.ForeignKeyConstraint(
            ["case"], ["cases.id"], name=op.f("fk_case_history_case_cases"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_history")),
        comment="append-only",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_case_history_case", "case_history", ["case", "id"])


def _make_packs() -> None:
    op.create_table(
        "evidence_packs",
        sa.Column("id", _number(), autoincrement=True, nullable=False),
        sa.Column("case", _number(), nullable=False),
        sa.Column("state", _text(16), nullable=False, comment="running, done, failed, cancelled or removed"),
        sa.Column("unmasked", sa.Boolean(), server_default=sa.false(), nullable=False, comment="with names"),
        sa.Column("reason", _text(), comment="why names were needed; typed by people"),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("begun_by", _text(256), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("fault", _text(), comment="why it failed or was removed"),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("digest", _text(64), comment="SHA-256 of the file packs/ID.zip in the data directory"),
        sa.Column("manifest_digest", _text(64), comment="SHA-256 of its manifest.json"),
        sa.Column("alerts", sa.Integer(), nullable=False, comment="how many"),
        sa.Column("events", sa.BigInteger()),
        sa.Column("first_time", sa.BigInteger(), comment="of its events"),
        sa.Column("last_time", sa.BigInteger(), comment="of its events"),
        sa.Column("pseudonyms", sa.JSON(), nullable=False, comment="that it shows: whose erasure removes it"),
        sa.ForeignKeyConstraint(
            ["case"], ["cases.id"], name=op.f("fk_evidence_packs_case_cases"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence_packs")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_evidence_packs_case", "evidence_packs", ["case", "id"])
    op.create_index(
        "uq_evidence_packs_running",
        "evidence_packs",
        ["case"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
