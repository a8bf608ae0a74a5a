"""What all tables share: one metadata with its names for keys and indexes, and the type of row numbers."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives an autoincrementing key only to INTEGER PRIMARY KEY. Their tables are `sqlite_autoincrement`: a
# number is never given twice, also when its row is gone; people and the audit trail name rows by it.
RowId = BigInteger().with_variant(Integer, "sqlite")
