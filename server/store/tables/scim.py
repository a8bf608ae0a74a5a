"""Users as identity providers told of them over SCIM: which account is whose, and whether it is open."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table

from server.store.column_types import PlainText
from server.store.tables.metadata import metadata

scim_users = Table(
    "scim_users",
    metadata,
    Column("id", PlainText(32), primary_key=True, comment="random; what the provider knows the user by"),
    Column("user_key", PlainText(256), nullable=False, unique=True, comment="userName as account_key"),
    Column("external_id", PlainText(256)),
    Column("employee_number", PlainText(256)),
    Column("active", Boolean, nullable=False),
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), index=True),
    Column("said", PlainText(), nullable=False, comment="scim/user_words.py as JSON: names among it"),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", PlainText(256), nullable=False),
    Index("ix_scim_users_external_id", "external_id"),
    Index("ix_scim_users_employee_number", "employee_number"),
    Index("ix_scim_users_created_at", "created_at", "id"),
)
