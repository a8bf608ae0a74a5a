"""HR's view reads what was declared, and cannot read anything else: by its imports and by the database."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

import server.people
from server.people.facts_store import load_facts
from server.people.hr_directory import load_hr_directory
from server.people.hr_import import ImportOptions, import_people
from server.people.hr_view import HR_ROLE, HR_TABLES, hr_grants, hr_reading
from server.people.leaver_ledger import load_leavers, signed_off
from server.people.undo import list_imports
from server.store.database import Database
from server.store.tables import (
    audit,
    block_seals,
    erased_accounts,
    erasures,
    import_mappings,
    installation,
    metadata,
    pseudonyms,
    removed_people,
)
from tests.server.conftest import NOW

OTHERS = [table for table in metadata.sorted_tables if table not in HR_TABLES]
SETS_GOING = {("look_back_queue.py", "event_blocks"), ("look_back_queue.py", "look_backs")}
"""What HR says sets the look-back going: whether any event is stored is all that is asked for it."""
HIDES_NAMES = {("text_mask.py", "agents"), ("unmaskings.py", "unmaskings")}
"""What hides names asks for endpoints, often called after people, and who sees whose name for now."""
OF_PEOPLE_PACKAGE = {
    *HR_TABLES,
    *(installation, pseudonyms, erasures, erased_accounts, import_mappings, removed_people),
}
"""What the modules of server/people may name at all: for the directory and pseudonyms, not for HR."""
_SERVER = Path(server.people.__path__[0]).parent
_REFUSED = r"prohibited|permission denied|not authorized|read-only"
GONE = "id,name,accounts,notice date,last working day\nE1,Ann Example,ann,2026-10-01,2026-11-13\n"


def test_no_table_of_what_was_observed_is_hrs() -> None:
    seen = {"event_blocks", "subject_events", "alerts", "alert_days", "channel_days", "rule_days", "audit"}
    seen |= {
        "subject_places",
        "subject_agents",
        "dead_letters",
        "pseudonyms",
        "installation",
        "known_exports",
        "activity_days",
    }
    assert seen <= {table.name for table in OTHERS}
    assert block_seals in OTHERS


def _imports() -> Iterator[tuple[str, str]]:
    """(module, table) of each table that a module of server/people names."""
    (folder,) = server.people.__path__
    for path in sorted(Path(folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("server.store.tables"):
                yield from ((path.name, name.name) for name in node.names)
            elif isinstance(node, ast.Import):
                yield from (
                    (path.name, n.name) for n in node.names if n.name.startswith("server.store.tables")
                )


def test_no_module_of_what_is_declared_names_a_table_of_what_was_observed() -> None:
    allowed = {table.name for table in OF_PEOPLE_PACKAGE}
    found = list(_imports())
    assert len(found) > 20
    assert {each for each in found if each[1] not in allowed} == SETS_GOING | HIDES_NAMES


def test_names_are_read_where_files_come_in_where_somebody_is_unmasked_and_where_they_go() -> None:
    """Whoever else shows a name would do it off the record."""
    readers = {
        str(path.relative_to(_SERVER))
        for path in _SERVER.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("server.store.tables")
        and "person_names" in {name.name for name in node.names}
    }
    assert readers == {
        "people/facts_store.py",
        "people/hr_names.py",
        "people/hr_view.py",
        "people/pseudonyms.py",
        "people/text_mask.py",
        "people/unmaskings.py",
        "erasure/erasing.py",
        "erasure/plan.py",
        "store/tables/__init__.py",
    }


@pytest.fixture
def company(database: Database) -> Iterator[Database]:
    """With the role, where the database has roles."""
    with database.begin() as connection:
        import_people(
            connection, GONE.encode(), actor="test", at=NOW, options=ImportOptions(expect_leavers=9)
        )
    if database.dialect == "sqlite":
        yield database
        return
    user = make_url(database.url).username
    assert user is not None
    with database.begin() as connection:
        connection.exec_driver_sql(hr_grants(user))
    yield database
    with database.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {HR_ROLE}; DROP ROLE {HR_ROLE}")


def test_what_hr_works_with_is_read_from_hrs_tables_alone(company: Database) -> None:
    with hr_reading(company) as connection:
        (found,) = load_leavers(connection, NOW)
        assert signed_off(connection, [found]) == {}
        assert load_facts(connection)["E1"].name == "Ann Example"
        assert [each.added for each in list_imports(connection)] == [1]
        listed = load_hr_directory(connection)
    (person,) = listed.people()
    assert (person.id, listed.status_at(person, NOW)[0], listed.names_of("E1")) == ("E1", "left", ("ann",))
    assert (found.id, [account.account for account in found.accounts]) == ("E1", ["ann"])


def test_the_commands_that_show_hr_people_and_imports_read_through_the_view_alone() -> None:
    for name, reads in (("people.py", set()), ("people_import.py", {"undo", "_looked", "_shown"})):
        tree = ast.parse((_SERVER / "commands" / name).read_bytes())
        found = {
            function.name
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef)
            for node in ast.walk(function)
            if isinstance(node, ast.Attribute) and node.attr == "read"
            if isinstance(node.value, ast.Attribute | ast.Name)
            if "database" in ast.unparse(node.value)
        }
        # What works out an import or its undoing reads what a change depends on: versions, erased names.
        assert found == reads
        assert "hr_reading" in ast.unparse(tree)


def test_every_other_table_is_refused_by_the_database(company: Database) -> None:
    assert len(OTHERS) > 15
    for table in OTHERS:
        with pytest.raises(DBAPIError, match=_REFUSED), hr_reading(company) as connection:
            connection.execute(select(table)).all()


def test_neither_a_join_nor_a_subquery_nor_a_written_statement_gets_around_it(company: Database) -> None:
    for statement in (
        "SELECT people.id FROM people JOIN alerts ON alerts.subject = 'person:' || people.id",
        "SELECT id FROM people WHERE id IN (SELECT subject FROM subject_events)",
        "SELECT (SELECT count(*) FROM audit) FROM people",
        "INSERT INTO people (id, time_zone, changed_at) VALUES ('x', 'UTC', 1)",
    ):
        with (
            pytest.raises(DBAPIError, match=_REFUSED),
            hr_reading(company) as connection,
        ):
            connection.execute(text(statement)).all()


def test_afterwards_the_connection_reads_everything_again_also_after_an_error(company: Database) -> None:
    with pytest.raises(DBAPIError), hr_reading(company) as connection:
        connection.execute(select(audit)).all()
    with hr_reading(company) as connection:
        load_leavers(connection, NOW)
    for _ in range(3):
        with company.read() as connection:
            assert connection.execute(select(audit.c.action)).scalars().all() == ["people.import"]
    with company.begin() as connection:
        connection.execute(text("UPDATE people SET department = 'x'"))


@pytest.mark.databases("postgresql")
def test_the_script_takes_away_what_the_role_was_given_besides_and_can_be_run_again(
    company: Database,
) -> None:
    user = make_url(company.url).username
    assert user is not None
    with company.begin() as connection:
        connection.exec_driver_sql(f"GRANT SELECT ON alerts TO {HR_ROLE}")
        connection.exec_driver_sql(hr_grants(user))
    with pytest.raises(DBAPIError, match="permission denied"), hr_reading(company) as connection:
        connection.execute(text("SELECT * FROM alerts"))


@pytest.mark.databases("postgresql")
def test_a_program_of_hrs_that_logs_in_with_the_role_sees_no_more(company: Database) -> None:
    with company.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE ROLE hr_console LOGIN PASSWORD 'x'; GRANT {HR_ROLE} TO hr_console"
        )
    engine = create_engine(make_url(company.url).set(username="hr_console", password="x"))
    try:
        with engine.connect() as connection:
            assert [each.id for each in load_leavers(connection, NOW)] == ["E1"]
        for table in OTHERS:
            with engine.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
                connection.execute(select(table)).all()
    finally:
        engine.dispose()
        with company.begin() as connection:
            connection.exec_driver_sql("DROP ROLE hr_console")


@pytest.mark.databases("postgresql")
def test_without_the_role_the_view_works_all_the_same(database: Database) -> None:
    with hr_reading(database) as connection:
        assert load_leavers(connection, NOW) == []
