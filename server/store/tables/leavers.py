"""What HR, IT and security say is done about somebody who leaves (people/sign_offs.py)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table

from server.store.column_types import PlainText
from server.store.tables.metadata import metadata

leaver_sign_offs = Table(
    "leaver_sign_offs",
    metadata,
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
    Column("item", PlainText(16), primary_key=True, comment="dates, accounts, devices, secrets or activity"),
    Column("role", PlainText(16), primary_key=True, comment="hr, administrator or analyst"),
    Column("last_day", Integer, nullable=False, comment="local; of the leaving that it is about"),
    Column("signed_at", BigInteger, nullable=False),
    Column("signed_by", PlainText(256), nullable=False),
    Column("note", PlainText(1000)),
    comment="of the latest leaving; what was taken back is in the audit trail alone",
)
