"""Who signs in to the console; tokens of programs have a scope, and may have the console's roles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ROLE_COMMENT = "what it may call: hr-import, scim, or a role of the console"


def _text(length: int) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    _users()
    _sessions()
    op.create_table(
        "console_addresses",
        sa.Column("user_id", _ROW_ID, nullable=False),
        sa.Column("network", _text(64), nullable=False, comment="an IPv4 address, or the /64 of an IPv6 one"),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="last"),
        _of_user("console_addresses"),
        sa.PrimaryKeyConstraint("user_id", "network", name=op.f("pk_console_addresses")),
        comment="from which somebody signed in: wrong passwords of others do not keep them out there",
    )
    op.create_table(
        "console_invitations",
        sa.Column("token_sha256", _text(64), nullable=False),
        sa.Column("user_id", _ROW_ID, comment="empty: the first administrator"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _text(256), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        _of_user("console_invitations"),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_console_invitations")),
        comment="one-time tokens that set a password; gone once used",
    )
    op.create_table(
        "audit_withheld",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_withheld")),
        comment="rows of the trail whose texts name somebody who was erased: shown to nobody any more",
    )
    scope: sa.Column[str] = sa.Column(
        "scope",
        _text(8),
        server_default="write",
        nullable=False,
        comment="of the console's roles: read, or write",
    )
    op.add_column("service_tokens", scope)
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("service_tokens", "role", comment=_ROLE_COMMENT, existing_nullable=False)


def _users() -> None:
    op.create_table(
        "console_users",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("name", _text(64), nullable=False, comment="small letters; the audit trail's"),
        sa.Column("role", _text(16), nullable=False, comment="hr, analyst, administrator or auditor"),
        sa.Column("password", _text(256), comment="Argon2id, with its parameters and salt"),
        sa.Column("issuer", _text(512), comment="whose word signs in, of OIDC; with oidc_subject who it is"),
        sa.Column("oidc_subject", _text(255)),
        sa.Column("language", _text(8), server_default="en", nullable=False),
        sa.Column("theme", _text(8), server_default="auto", nullable=False),
        sa.Column("time_zone", _text(64), server_default="UTC", nullable=False),
        sa.Column(
            "single_keys",
            sa.Boolean(),
            server_default=sa.true(),
            nullable=False,
            comment="letters are shortcuts",
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _text(256), nullable=False),
        sa.Column("signed_in_at", sa.BigInteger(), comment="last"),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_users")),
        sa.UniqueConstraint("name", name=op.f("uq_console_users_name")),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_console_users_identity", "console_users", ["issuer", "oidc_subject"], unique=True)


def _sessions() -> None:
    op.create_table(
        "console_sessions",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("token_sha256", _text(64), nullable=False),
        sa.Column("user_id", _ROW_ID, nullable=False),
        sa.Column("address", _text(64), nullable=False, comment="that signed in"),
        sa.Column("by_provider", sa.Boolean(), server_default=sa.false(), nullable=False, comment="by OIDC"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False, comment="to the minute"),
        sa.Column("ends_at", sa.BigInteger(), nullable=False, comment="however much it is used"),
        sa.Column("idle_ms", sa.BigInteger(), nullable=False, comment="ends when not used for so long"),
        _of_user("console_sessions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_sessions")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_console_sessions_token_sha256")),
        comment="that hold, or ended by themselves lately; one that somebody ends is deleted",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_console_sessions_user_id"), "console_sessions", ["user_id"])


def _of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["user_id"], ["console_users.id"], name=op.f(f"fk_{table}_user_id_console_users"), ondelete="CASCADE"
    )
