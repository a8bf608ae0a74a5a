"""The monitoring account on PostgreSQL: asks what no log tells, and only that. Needs psycopg.

It is in pg_monitor (statistics of all accounts, all settings), and may read no table of anybody.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from collectors.database_config import AccountUnusable, read_account

PROGRAM: Final = "leaver-agent"
_CONNECT_S: Final = 5


def open_account(path: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A session that can only read, and waits for nothing longer than 5 s. Raises AccountUnusable or
    psycopg.Error."""
    given = read_account(path).strip()
    try:
        facts = conninfo_to_dict(given)
    except psycopg.ProgrammingError as error:
        # The error's own text would show the password.
        raise AccountUnusable(f"{path}: is no libpq connection string (host=… user=… password=…)") from error
    facts.setdefault("dbname", "postgres")
    options = "-c default_transaction_read_only=on -c statement_timeout=5s -c lock_timeout=1s"
    conninfo = make_conninfo(
        "",
        **{
            **facts,
            "application_name": PROGRAM,
            "connect_timeout": _CONNECT_S,
            "options": options,
            "client_encoding": "utf8",
        },
    )
    return psycopg.connect(conninfo, autocommit=True)


def user_of(path: str) -> str | None:
    """Whose account it is, as far as the file says it."""
    try:
        user = conninfo_to_dict(read_account(path).strip()).get("user")
    except (AccountUnusable, psycopg.ProgrammingError):
        return None
    return None if user is None else str(user)


def why_not(error: Exception) -> str:
    """An error of the account in words, without what could name people or hold a password."""
    if isinstance(error, AccountUnusable):
        return str(error)
    state = getattr(error, "sqlstate", None)
    return type(error).__name__ + (f" {state}" if state else "")


def settings(connection: psycopg.Connection[tuple[Any, ...]], names: list[str]) -> dict[str, str]:
    """The server's settings of these names, as far as it has them."""
    query = "SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY(%s)"
    return {str(name): str(value) for name, value in connection.execute(query, [names])}
