"""How many bytes the database takes: SQLite's pages, or what PostgreSQL says of its own."""

from __future__ import annotations

from sqlalchemy import Connection


def database_bytes(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        query = "SELECT pg_database_size(current_database())"
    else:
        query = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    return int(connection.exec_driver_sql(query).scalar_one())
