"""This installation, and the people whom HR named to it: employments, accounts, devices, and since when.

What binds an account or a trait to a person holds from `valid_from` (null: as long as anybody can tell) until
`valid_until` (exclusive; null: still). `source` is import, flag, api or scim (declared), or learned; what is
learned never stands against what is declared for the same moment (people/directory.py).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Float, ForeignKey, ForeignKeyConstraint, Index, Integer, Table

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
    Column("job_role", PlainText(256)),
    Column("manager_id", PlainText(128)),
    Column("time_zone", PlainText(64), nullable=False),
    Column("priority", Integer, comment="0 to 9; more sensitive work weighs more"),
    Column("scim_fields", PlainText(64), comment="by spaces: which fields an identity provider filled"),
    Column("changed_at", BigInteger, nullable=False),
)

person_names = Table(
    "person_names",
    metadata,
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
    Column("name", PlainText(256), nullable=False),
    comment="kept apart so that only unmasking reads it",
)

employments = Table(
    "employments",
    metadata,
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="1, 2 … as they became known"),
    Column("reference", PlainText(64), comment="HR's own number of it, where there is one"),
    Column("kind", PlainText(8), nullable=False, comment="employee or partner"),
    Column("start_day", Integer, comment="local day"),
    Column("notice_day", Integer, comment="local day"),
    Column("last_day", Integer, comment="last working day; local, inclusive"),
    Column("last_minute", Integer, comment="of the last day, inclusive; null: its end"),
    Column("leaving_type", PlainText(16), comment="resigned, dismissed, end_of_contract or partner_end"),
    comment="as HR says; the status at any time follows from all of a person's (people/standing.py)",
)

leaver_flags = Table(
    "leaver_flags",
    metadata,
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
    Column("notice_day", Integer, comment="local day"),
    Column("last_day", Integer, nullable=False, comment="local day, inclusive"),
    Column("last_minute", Integer),
    Column("leaving_type", PlainText(16)),
    Column("flagged_at", BigInteger, nullable=False),
    Column("note", PlainText(1000), comment="for HR and administrators; may name people"),
    comment="said by hand; stands over what HR's file says until it is taken back",
)

accounts = Table(
    "accounts",
    metadata,
    Column("system", PlainText(64), primary_key=True, comment="where it is valid; empty: everywhere"),
    Column("account", PlainText(256), primary_key=True, comment="case-folded, as events name it"),
    Column("kind", PlainText(8), nullable=False, comment="personal, shared, service or partner"),
    Column("rotated_at", BigInteger, comment="when its password or key last changed"),
    Column("source", PlainText(8), nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger, comment="null: it works"),
    comment="entities of their own: one may belong to nobody",
)


def _validity() -> tuple[Column[Any], ...]:
    return (
        Column("valid_from", BigInteger, comment="ms UTC"),
        Column("valid_until", BigInteger, comment="ms UTC, exclusive"),
        Column("source", PlainText(8), nullable=False),
        Column("confidence", Float, nullable=False, comment="1: declared"),
    )


account_bindings = Table(
    "account_bindings",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("system", PlainText(64), nullable=False),
    Column("account", PlainText(256), nullable=False),
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("relation", PlainText(8), nullable=False, comment="owner, or knows: its password"),
    *_validity(),
    ForeignKeyConstraint(["system", "account"], ["accounts.system", "accounts.account"], ondelete="CASCADE"),
    Index("ix_account_bindings_account", "account"),
    sqlite_autoincrement=True,
)

trait_bindings = Table(
    "trait_bindings",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("trait", PlainText(320), nullable=False, comment="host:NAME, device:UID, address:IP, key:PRINT"),
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    *_validity(),
    Index("ix_trait_bindings_trait", "trait"),
    comment="what points to a person besides an account: machines, devices, addresses, fingerprints",
    sqlite_autoincrement=True,
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
    Column("refused", Integer, nullable=False, comment="rows"),
    Column("stopped", PlainText(512), comment="why nothing of it was taken over"),
    Column("undone_at", BigInteger),
    sqlite_autoincrement=True,
)

import_mappings = Table(
    "import_mappings",
    metadata,
    Column("header", PlainText(64), primary_key=True, comment="SHA-256 of the file's header"),
    Column("mapping", PlainText(20_000), nullable=False, comment="ImportMapping as JSON"),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", PlainText(256), nullable=False),
    comment="what the columns of an HR file are, by its header, as somebody said when it came last",
)

people_changes = Table(
    "people_changes",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", PlainText(256), nullable=False),
    Column("way", PlainText(8), nullable=False, comment="import, flag, unflag, undo, account, device, scim"),
    Column("import_id", BigInteger, index=True),
    Column("before", PlainText(), comment="PersonFacts as JSON (people/facts.py); null: not there before"),
    comment="history of what is declared of a person: corrections, withdrawals, undo",
    sqlite_autoincrement=True,
)

removed_people = Table(
    "removed_people",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("person_id", PlainText(128), nullable=False, index=True),
    Column("removed_at", BigInteger, nullable=False),
    Column(
        "told", PlainText(), nullable=False, comment="name, accounts, traits, as JSON (people/removed.py)"
    ),
    comment="whom an undone import took away, so that what was typed about them stays masked",
    sqlite_autoincrement=True,
)
