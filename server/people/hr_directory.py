"""People and accounts as HR may see them: a Directory out of HR's tables alone (hr_view.py)."""

from __future__ import annotations

from sqlalchemy import Connection

from server.people.directory import Directory
from server.people.directory_rows import KnownBindings, load_accounts, load_records


def load_hr_directory(connection: Connection) -> Directory:
    """Without machines, company and erased names, and of no version: it judges no event."""
    return Directory(0, load_records(connection), list(load_accounts(connection, KnownBindings())))
