"""Alembic's environment and the versions of the tables; run by server.store.database.upgrade."""
