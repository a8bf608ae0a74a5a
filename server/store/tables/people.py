"""This installation, and the people whom HR named to it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

installation = Table(
    "installation",
    metadata,
    Column("key", PlainText(64), primary_key=True),
    Column("value", PlainText(), nullable=False),
    comment="facts of this installation: id, pseudonym key, admin token hash, people_version",
)

people = Table(
    "people",
    metadata,
    Column("id", PlainText(128), primary_key=True, comment="the company's own id"),
    Column("department", PlainText(256)),
    Column("manager_id", PlainText(128)),
    Column("time_zone", PlainText(64), nullable=False),
    Column("notice_date", Integer, comment="local day"),
    Column("last_working_day", Integer, comment="local day, inclusive"),
    Column("changed_at", BigInteger, nullable=False),
)

person_names = Table(
    "person_names",
    metadata,
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
    Column("name", PlainText(256), nullable=False),
    comment="kept apart so that only unmasking reads it",
)

accounts = Table(
    "accounts",
    metadata,
    Column("account", PlainText(256), primary_key=True, comment="case-folded, as events name it"),
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
)

pseudonyms = Table(
    "pseudonyms",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("pseudonym", PlainText(16), nullable=False, unique=True),
    comment="subject is 'person:ID' or 'account:NAME'",
)

people_imports = Table(
    "people_imports",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("imported_at", BigInteger, nullable=False),
    Column("imported_by", PlainText(256), nullable=False),
    Column("file_sha256", PlainText(64), nullable=False),
    Column("added", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    sqlite_autoincrement=True,
)
