"""What HR may read: what was declared of people. Nothing that was observed, and no key.

`hr_reading` opens a connection that can read these tables and no other one, so HR gets no activity, whatever
a later change asks for. Everything that shows HR something reads through it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Table

from server.store.database import Database
from server.store.narrowed import narrowed
from server.store.tables import (
    account_bindings,
    accounts,
    employments,
    leaver_flags,
    leaver_sign_offs,
    people,
    people_changes,
    people_imports,
    person_names,
    trait_bindings,
)

HR_TABLES: Final[tuple[Table, ...]] = (
    people,
    person_names,
    employments,
    leaver_flags,
    accounts,
    account_bindings,
    trait_bindings,
    people_imports,
    people_changes,
    leaver_sign_offs,
)
HR_ROLE: Final = "leaver_hr"
"""PostgreSQL's role that may read just these, where the database's administrator made it (`hr_grants`)."""


@contextmanager
def hr_reading(database: Database) -> Iterator[Connection]:
    """One snapshot of HR's tables; reading others is an error of the database. Raises StoreUnavailable."""
    with database.read() as connection, narrowed(connection, HR_TABLES, HR_ROLE):
        yield connection


def hr_grants(user: str) -> str:
    """SQL for PostgreSQL that makes the role, lets it read HR's tables, and lets `user` take it on. For the
    database's administrator; run again it takes away whatever else the role was given."""
    names = ", ".join(sorted(table.name for table in HR_TABLES))
    return "\n".join(
        (
            "DO $$ BEGIN",
            f"  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{HR_ROLE}') THEN",
            f"    CREATE ROLE {HR_ROLE} NOLOGIN;",
            "  END IF;",
            "END $$;",
            f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {HR_ROLE};",
            f"GRANT USAGE ON SCHEMA public TO {HR_ROLE};",
            f"GRANT SELECT ON {names} TO {HR_ROLE};",
            f'GRANT {HR_ROLE} TO "{user.replace(chr(34), chr(34) * 2)}";',
            "",
        )
    )
