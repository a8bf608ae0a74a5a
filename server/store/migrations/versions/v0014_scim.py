"""Users that identity providers tell of, fields that they filled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    filled = sa.Column(
        "scim_fields", _text(64), comment="by spaces: which fields an identity provider filled"
    )
    op.add_column("people", filled)
    op.create_table(
        "scim_users",
        sa.Column("id", _text(32), nullable=False, comment="random; what the provider knows the user by"),
        sa.Column("user_key", _text(256), nullable=False, comment="userName as account_key"),
        sa.Column("external_id", _text(256)),
        sa.Column("employee_number", _text(256)),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("person_id", _text(128)),
        sa.Column("said", _text(), nullable=False, comment="scim/user_words.py as JSON: names among it"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", _text(256), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_scim_users_person_id_people"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scim_users")),
        sa.UniqueConstraint("user_key", name=op.f("uq_scim_users_user_key")),
    )
    op.create_index("ix_scim_users_external_id", "scim_users", ["external_id"], unique=False)
    op.create_index("ix_scim_users_employee_number", "scim_users", ["employee_number"], unique=False)
    op.create_index("ix_scim_users_created_at", "scim_users", ["created_at", "id"], unique=False)
    op.create_index(op.f("ix_scim_users_person_id"), "scim_users", ["person_id"], unique=False)
