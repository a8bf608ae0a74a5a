"""What was seen with accounts, as events showed it (enrich/trait_uses.py).

Most kinds of `trait` point to a person: `host:NAME`, `device:UID`, `address:IP`, `key:PRINT`, `account:NAME`
(enrich/traits.py). Two point to nobody, and tell of sessions: `session:HOST\\PID\\PLACE\\KEY` and
`ended:HOST\\PID` (enrich/sessions.py).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table

from server.store.column_types import PlainText
from server.store.tables.metadata import metadata

TRAIT_CHARACTERS = 320

trait_uses = Table(
    "trait_uses",
    metadata,
    Column(
        "trait",
        PlainText(TRAIT_CHARACTERS),
        primary_key=True,
        comment="host:NAME, device:UID, address:IP, key:PRINT, account:NAME",
    ),
    Column("subject", PlainText(128), primary_key=True, index=True),
    Column(
        "account", PlainText(TRAIT_CHARACTERS), primary_key=True, index=True, comment="through which account"
    ),
    Column("first_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False, comment="events"),
    comment="what points to a person besides the account: who used it, since when, until when",
    # A row is little more than its key.
    sqlite_with_rowid=False,
)
