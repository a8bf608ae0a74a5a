"""`doctor` says which settings a database server lacks, as lines to paste, and nothing of the account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.collector_registry import COLLECTORS
from agent.config import parse_config
from agent.doctor import Finding, examine
from collectors.database_config import MariadbConfig, PostgresqlConfig
from collectors.mariadb_settings import advice as mariadb_advice
from collectors.postgresql_settings import advice as postgresql_advice
from tests.mariadb_server.server import MONITOR_PASSWORD, MariadbServer
from tests.postgres_server.audited import AuditedPostgres
from tests.postgres_server.server import PASSWORD


@pytest.fixture(scope="module")
def postgresql() -> Iterator[AuditedPostgres]:
    made = AuditedPostgres()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariadbServer]:
    made = MariadbServer()
    yield made
    made.stop()


def findings(name: str, settings: dict[str, str]) -> dict[str, Finding]:
    lines = "".join(f'{key} = "{value}"\n' for key, value in settings.items())
    config = parse_config(f"[collectors.{name}]\nenabled = true\n{lines}".encode(), "agent.toml")
    kinds = [kind for kind in COLLECTORS if kind.name == name]
    found = examine(msgspec.structs.replace(config), clock=lambda: 0, kinds=kinds)
    return {each.check: each for each in found if each.check.startswith("collector ")}


def test_a_postgresql_that_tells_all_is_well(postgresql: AuditedPostgres, tmp_path: Path) -> None:
    account = postgresql.write_account(tmp_path / "account")
    log = str(postgresql.log_folder / "*.json")
    found = findings("postgresql", {"log": log, "account_file": str(account)})
    assert {name: each.state for name, each in found.items()} == {
        "collector postgresql": "ok",
        "collector postgresql: account": "ok",
        "collector postgresql: settings": "ok",
    }


def test_what_a_postgresql_lacks_is_named_line_by_line(postgresql: AuditedPostgres, tmp_path: Path) -> None:
    account = postgresql.write_account(tmp_path / "account")
    changed = {"pgaudit.log": "'ddl'", "pgaudit.log_rows": "off", "log_destination": "'stderr'"}
    with postgresql.connect() as connection:
        for name, value in changed.items():
            connection.execute(f"ALTER SYSTEM SET {name} = {value}")
        connection.execute("SELECT pg_reload_conf()")
    try:
        config = PostgresqlConfig(
            log="/x/*.json", account_file=str(account), log_time_zone="Europe/Berlin", enabled=True
        )
        (_, settings) = postgresql_advice(config)
    finally:
        with postgresql.connect() as connection:
            connection.execute("ALTER SYSTEM RESET ALL")
            connection.execute("SELECT pg_reload_conf()")
    assert not settings.is_met
    for line in (
        "pgaudit.log = 'read, misc, ddl' in postgresql.conf, then reload",
        "pgaudit.log_rows = on",
        "log_destination = 'stderr,jsonlog'",
        'log_time_zone = "Asia/Shanghai" in [collectors.postgresql]',
    ):
        assert line in settings.text


def test_a_mariadb_that_tells_all_is_well(mariadb: MariadbServer, tmp_path: Path) -> None:
    account = mariadb.write_account(tmp_path / "account")
    places = {"audit_log": str(mariadb.audit_log), "slow_log": str(mariadb.slow_log)}
    found = findings("mariadb", {**places, "account_file": str(account)})
    assert {name: each.state for name, each in found.items()} == {
        "collector mariadb": "ok",
        "collector mariadb: account": "ok",
        "collector mariadb: settings": "ok",
    }


def test_what_a_mariadb_lacks_is_named_line_by_line(mariadb: MariadbServer, tmp_path: Path) -> None:
    account = mariadb.write_account(tmp_path / "account")
    mariadb.execute(
        "SET GLOBAL server_audit_events = 'CONNECT'",
        "SET GLOBAL server_audit_query_log_limit = 1024",
        "SET GLOBAL long_query_time = 10",
        "SET GLOBAL slow_query_log = OFF",
    )
    try:
        config = MariadbConfig(
            audit_log="/elsewhere", slow_log=str(mariadb.slow_log), account_file=str(account)
        )
        (_, settings) = mariadb_advice(config)
    finally:
        mariadb.restart()
    assert not settings.is_met
    for line in (
        "server_audit_events = CONNECT,QUERY,TABLE",
        "server_audit_query_log_limit = 8192",
        "server_audit_file_path = /elsewhere",
        "slow_query_log = ON",
        "long_query_time = 0",
    ):
        assert line in settings.text


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_nothing_of_the_account_is_shown_where_it_does_not_work(name: str, tmp_path: Path) -> None:
    account = tmp_path / "account"
    account.touch(0o600)
    log = tmp_path / "log"
    log.touch()
    told = {
        "postgresql": ({"log": str(log)}, "host=127.0.0.1 port=1 user=x password=pass@word:"),
        "mariadb": ({"audit_log": str(log)}, "[client]\nhost=127.0.0.1\nport=1\npassword=pass@word:\n"),
    }
    settings, text = told[name]
    for content in (text, "pass@word: 'and nothing else", "\xff"):
        account.write_text(content)
        found = findings(name, {**settings, "account_file": str(account)})
        finding = found[f"collector {name}: account"]
        assert finding.state == "degraded"
        assert "pass@word" not in finding.detail
    assert PASSWORD not in str(found)
    assert MONITOR_PASSWORD not in str(found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"enabled": True}, "log: say where"),
        ({"log": "here.json"}, "absolute path"),
        ({"log_time_zone": "Mars/Olympus"}, "no time zone"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PostgresqlConfig(**settings)  # type: ignore[arg-type]
