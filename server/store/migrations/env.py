"""Alembic's entry: runs the migrations on the connection, and in the transaction, that upgrade() holds.

There is no alembic.ini and no offline mode: `server.store.database.upgrade` is the only caller.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from server.store.tables import metadata

connection = context.config.attributes["connection"]
assert isinstance(connection, Connection)
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
