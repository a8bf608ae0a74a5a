"""People with several employments, accounts as entities of their own, and bindings that hold for a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    for table in ("people", "person_names", "accounts"):
        op.rename_table(table, f"old_{table}")
        if op.get_context().dialect.name == "postgresql":
            # There the names of keys and indexes are the schema's, not the table's.
            op.execute(f"ALTER INDEX pk_{table} RENAME TO pk_old_{table}")
    _people()
    _employments()
    _flags()
    _accounts()
    _account_bindings()
    _trait_bindings()
    _imports()
    _changes()
    # Those that refer to others first.
    for table in ("old_accounts", "old_person_names", "old_people"):
        op.drop_table(table)
    _stop_older_workers()


def _stop_older_workers() -> None:
    """A worker of an older version that was left running must not go on committing events without what is
    noted of them from now on: people whom it does not know the version of it takes over anew, which fails, as
    their table has other columns."""
    op.execute(
        "UPDATE installation SET value = CAST(CAST(value AS INTEGER) + 1 AS VARCHAR)"
        " WHERE key = 'people_version'"
    )
    op.execute(
        "INSERT INTO installation (key, value) SELECT 'people_version', '1'"
        " WHERE EXISTS (SELECT 1 FROM installation)"
        " AND NOT EXISTS (SELECT 1 FROM installation WHERE key = 'people_version')"
    )


def _people() -> None:
    """Made anew: SQLite would drop what hangs on a table together with a column of it."""
    op.create_table(
        "people",
        sa.Column("id", _text(128), nullable=False, comment="the company's own id"),
        sa.Column("department", _text(256)),
        sa.Column("job_role", _text(256)),
        sa.Column("manager_id", _text(128)),
        sa.Column("time_zone", _text(64), nullable=False),
        sa.Column("priority", sa.Integer(), comment="0 to 9; more sensitive work weighs more"),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
    )
    op.execute(
        "INSERT INTO people (id, department, manager_id, time_zone, changed_at)"
        " SELECT id, department, manager_id, time_zone, changed_at FROM old_people"
    )
    op.create_table(
        "person_names",
        _person(),
        sa.Column("name", _text(256), nullable=False),
        _to_person("person_names"),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_person_names")),
        comment="kept apart so that only unmasking reads it",
    )
    op.execute("INSERT INTO person_names (person_id, name) SELECT person_id, name FROM old_person_names")


def _person() -> sa.Column[str]:
    return sa.Column("person_id", _text(128), nullable=False)


def _to_person(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_person_id_people")
    return sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=name, ondelete="CASCADE")


def _validity() -> tuple[sa.Column[int], sa.Column[int], sa.Column[str], sa.Column[float]]:
    return (
        sa.Column("valid_from", sa.BigInteger(), comment="ms UTC"),
        sa.Column("valid_until", sa.BigInteger(), comment="ms UTC, exclusive"),
        sa.Column("source", _text(8), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False, comment="1: declared"),
    )


def _employments() -> None:
    op.create_table(
        "employments",
        _person(),
        sa.Column(
            "number", sa.Integer(), autoincrement=False, nullable=False, comment="1, 2 … as they became known"
        ),
        sa.Column("reference", _text(64), comment="HR's own number of it, where there is one"),
        sa.Column("kind", _text(8), nullable=False, comment="employee or partner"),
        sa.Column("start_day", sa.Integer(), comment="local day"),
        sa.Column("notice_day", sa.Integer(), comment="local day"),
        sa.Column("last_day", sa.Integer(), comment="last working day; local, inclusive"),
        sa.Column("last_minute", sa.Integer(), comment="of the last day, inclusive; null: its end"),
        sa.Column("leaving_type", _text(16), comment="resigned, dismissed, end_of_contract or partner_end"),
        _to_person("employments"),
        sa.PrimaryKeyConstraint("person_id", "number", name=op.f("pk_employments")),
        comment="as HR says; the status at any time follows from all of a person's (people/standing.py)",
    )
    op.execute(
        "INSERT INTO employments (person_id, number, kind, notice_day, last_day)"
        " SELECT id, 1, 'employee', notice_date, last_working_day FROM old_people"
        " WHERE notice_date IS NOT NULL OR last_working_day IS NOT NULL"
    )


def _flags() -> None:
    op.create_table(
        "leaver_flags",
        _person(),
        sa.Column("notice_day", sa.Integer(), comment="local day"),
        sa.Column("last_day", sa.Integer(), nullable=False, comment="local day, inclusive"),
        sa.Column("last_minute", sa.Integer()),
        sa.Column("leaving_type", _text(16)),
        sa.Column("flagged_at", sa.BigInteger(), nullable=False),
        _to_person("leaver_flags"),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_leaver_flags")),
        comment="said by hand; stands over what HR's file says until it is taken back",
    )


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("system", _text(64), nullable=False, comment="where it is valid; empty: everywhere"),
        sa.Column("account", _text(256), nullable=False, comment="case-folded, as events name it"),
        sa.Column("kind", _text(8), nullable=False, comment="personal, shared, service or partner"),
        sa.Column("rotated_at", sa.BigInteger(), comment="when its password or key last changed"),
        sa.Column("source", _text(8), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("system", "account", name=op.f("pk_accounts")),
        comment="entities of their own: one may belong to nobody",
    )
    op.execute(
        "INSERT INTO accounts (system, account, kind, source, changed_at)"
        " SELECT '', old_accounts.account, 'personal', 'import', people.changed_at"
        " FROM old_accounts JOIN people ON people.id = old_accounts.person_id"
    )


def _account_bindings() -> None:
    op.create_table(
        "account_bindings",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("system", _text(64), nullable=False),
        sa.Column("account", _text(256), nullable=False),
        _person(),
        sa.Column("relation", _text(8), nullable=False, comment="owner, or knows: its password"),
        *_validity(),
        _to_person("account_bindings"),
        sa.ForeignKeyConstraint(
            ["system", "account"],
            ["accounts.system", "accounts.account"],
            name=op.f("fk_account_bindings_system_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_bindings")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_account_bindings_account", "account_bindings", ["account"], unique=False)
    op.create_index(op.f("ix_account_bindings_person_id"), "account_bindings", ["person_id"], unique=False)
    op.execute(
        "INSERT INTO account_bindings (system, account, person_id, relation, source, confidence)"
        " SELECT '', account, person_id, 'owner', 'import', 1.0 FROM old_accounts ORDER BY account"
    )


def _trait_bindings() -> None:
    op.create_table(
        "trait_bindings",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column(
            "trait", _text(320), nullable=False, comment="host:NAME, device:UID, address:IP, key:PRINT"
        ),
        _person(),
        *_validity(),
        _to_person("trait_bindings"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trait_bindings")),
        comment="what points to a person besides an account: machines, devices, addresses, fingerprints",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_trait_bindings_person_id"), "trait_bindings", ["person_id"], unique=False)
    op.create_index("ix_trait_bindings_trait", "trait_bindings", ["trait"], unique=False)


def _imports() -> None:
    # By way of a copy: a renamed table would keep the name of its sequence.
    op.execute("CREATE TABLE old_people_imports AS SELECT * FROM people_imports")
    op.drop_table("people_imports")
    op.create_table(
        "people_imports",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("imported_at", sa.BigInteger(), nullable=False),
        sa.Column("imported_by", _text(256), nullable=False),
        sa.Column("file_sha256", _text(64), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False, comment="rows"),
        sa.Column("stopped", _text(512), comment="why nothing of it was taken over"),
        sa.Column("undone_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people_imports")),
        sqlite_autoincrement=True,
    )
    op.execute(
        "INSERT INTO people_imports"
        " (id, imported_at, imported_by, file_sha256, added, changed, unchanged, refused)"
        " SELECT id, imported_at, imported_by, file_sha256, added, changed, unchanged, 0"
        " FROM old_people_imports ORDER BY id"
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('people_imports', 'id'), max(id))"
            " FROM people_imports HAVING max(id) IS NOT NULL"
        )
    op.drop_table("old_people_imports")


def _changes() -> None:
    op.create_table(
        "people_changes",
        sa.Column("id", _ROW_ID, nullable=False),
        _person(),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", _text(256), nullable=False),
        sa.Column(
            "way", _text(8), nullable=False, comment="import, flag, unflag, undo, account, device, scim"
        ),
        sa.Column("import_id", sa.BigInteger()),
        sa.Column("before", _text(), comment="PersonFacts as JSON (people/facts.py); null: not there before"),
        _to_person("people_changes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people_changes")),
        comment="history of what is declared of a person: corrections, withdrawals, undo",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_people_changes_import_id"), "people_changes", ["import_id"], unique=False)
    op.create_index(op.f("ix_people_changes_person_id"), "people_changes", ["person_id"], unique=False)
