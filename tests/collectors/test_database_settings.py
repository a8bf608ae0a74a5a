"""`doctor` says which settings a database server lacks, as lines to paste, and nothing of the account."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.collector_registry import COLLECTORS
from agent.config import parse_config
from agent.doctor import Finding, examine, finding_lines
from collectors.contract import Unsupported
from collectors.mariadb import MariadbCollector, MariadbConfig
from collectors.mariadb_settings import account_lines as mariadb_account
from collectors.mariadb_settings import advice as mariadb_advice
from collectors.mariadb_settings import lines_to_enable as mariadb_lines
from collectors.mariadb_settings import missing_lines as mariadb_missing
from collectors.postgresql import PostgresqlCollector, PostgresqlConfig
from collectors.postgresql_settings import account_lines as postgresql_account
from collectors.postgresql_settings import advice as postgresql_advice
from collectors.postgresql_settings import lines_to_enable as postgresql_lines
from event_schema.ocsf_account_events import DatastoreActivity
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.observing import Observing
from tests.mariadb_server.server import MONITOR_PASSWORD, ROWS, MariadbServer
from tests.postgres_server.audited import AuditedPostgres
from tests.postgres_server.server import PASSWORD, PostgresServer

HOST = Host(hostname="db-1", type_id=HostType.SERVER)


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


@pytest.mark.long
def test_a_postgresql_that_tells_all_is_well(postgresql: AuditedPostgres, tmp_path: Path) -> None:
    account = postgresql.write_account(tmp_path / "account")
    log = str(postgresql.log_folder / "*.json")
    found = findings("postgresql", {"log": log, "account_file": str(account)})
    assert {name: each.state for name, each in found.items()} == {
        "collector postgresql": "ok",
        "collector postgresql: account": "ok",
        "collector postgresql: settings": "ok",
    }


@pytest.mark.long
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
        (_, settings, own) = postgresql_advice(config)
    finally:
        with postgresql.connect() as connection:
            connection.execute("ALTER SYSTEM RESET ALL")
            connection.execute("SELECT pg_reload_conf()")
    assert not settings.is_met
    assert settings.text == f"in {postgresql.directory}/data/postgresql.conf, then SELECT pg_reload_conf():"
    assert set(settings.remedy.splitlines()) == {
        "pgaudit.log = 'read, misc, ddl'",
        "pgaudit.log_rows = on",
        "log_destination = 'stderr,jsonlog'",
    }
    place = f'log = "{postgresql.log_folder}/*.json"'
    assert own.remedy.splitlines() == ['log_time_zone = "Asia/Shanghai"', place]


@pytest.mark.long
def test_a_mariadb_that_tells_all_is_well(mariadb: MariadbServer, tmp_path: Path) -> None:
    account = mariadb.write_account(tmp_path / "account")
    places = {"audit_log": str(mariadb.audit_log), "slow_log": str(mariadb.slow_log)}
    found = findings("mariadb", {**places, "account_file": str(account)})
    assert {name: each.state for name, each in found.items()} == {
        "collector mariadb": "ok",
        "collector mariadb: account": "ok",
        "collector mariadb: settings": "ok",
    }


@pytest.mark.long
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
        assert line in settings.remedy.splitlines()


@pytest.mark.long
def test_what_doctor_prints_for_a_bare_postgresql_makes_it_tell(tmp_path: Path) -> None:
    server = PostgresServer()
    try:
        with server.connect() as connection:
            connection.execute("CREATE ROLE leaver_monitor LOGIN PASSWORD 'x' IN ROLE pg_monitor")
            connection.execute("CREATE TABLE customers AS SELECT * FROM generate_series(1, 500)")
        account = tmp_path / "account"
        account.touch(0o600)
        account.write_text(f"host=127.0.0.1 port={server.port} user=leaver_monitor password=x")
        log = f"{server.directory}/data/log/postgresql-*.json"
        config = PostgresqlConfig(enabled=True, log=log, account_file=str(account), large_rows=100)
        found = findings("postgresql", {"log": log, "account_file": str(account)})
        settings, extension = (found[f"collector postgresql: {name}"] for name in ("settings", "extension"))
        assert (settings.state, extension.state) == ("degraded", "degraded")
        assert settings.detail.endswith("postgresql.conf, then restart the server:")
        with (server.directory / "data" / "postgresql.conf").open("a") as file:
            file.writelines(line + "\n" for line in settings.remedy.splitlines())
        server.restart()
        with server.connect() as connection:
            for line in extension.remedy.splitlines():
                connection.execute(line.encode())
        assert {each.is_met for each in postgresql_advice(config)} == {True}
        collector = PostgresqlCollector(config, HOST, "0")
        with Observing(collector) as observing:
            observing.wait_for(lambda: "not known" not in str(collector.detail()), 30, "first look")
            with server.connect() as connection:
                connection.execute("COPY customers TO '/dev/null'")
            observing.wait_for(lambda: rows_of_exports(observing) == [500], 20, "export")
    finally:
        server.stop()


@pytest.mark.long
def test_what_doctor_prints_for_a_bare_mariadb_makes_it_tell(tmp_path: Path) -> None:
    server = MariadbServer(is_bare=True)
    try:
        account = server.write_account(tmp_path / "account")
        places = {name: str(server.data / f"{name}.log") for name in ("server_audit", "slow")}
        config = MariadbConfig(
            enabled=True,
            large_rows=100,
            audit_log=places["server_audit"],
            slow_log=places["slow"],
            account_file=str(account),
        )
        given = {name: getattr(config, name) for name in ("audit_log", "slow_log", "account_file")}
        found = findings("mariadb", given)["collector mariadb: settings"]
        assert found.state == "degraded"
        server.add_settings(*found.remedy.splitlines())
        server.restart()
        assert {each.is_met for each in mariadb_advice(config)} == {True}
        with Observing(MariadbCollector(config, HOST, "0")) as observing:
            server.mariadb("SELECT * FROM customers")
            observing.wait_for(lambda: rows_of_exports(observing) == [ROWS], 20, "export")
    finally:
        server.stop()


def rows_of_exports(observing: Observing) -> list[int | None]:
    found = [event for event in observing.events if isinstance(event, DatastoreActivity)]
    return [event.unmapped.result.rows for event in found if event.unmapped.result.is_export]


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_lines_to_paste_stay_whole_whatever_the_width(name: str) -> None:
    """Also where nothing is known of the server: without an account everything is printed."""
    found = findings(name, {"log" if name == "postgresql" else "audit_log": "/nowhere/log"})
    printed = finding_lines(list(found.values()), width=80)
    for finding in found.values():
        assert all(f"  {line}" in printed for line in finding.remedy.splitlines())
    joined = "\n".join(printed)
    needed = {
        "postgresql": ("pgaudit.log = 'read, misc'", "IN ROLE pg_monitor", "CREATE EXTENSION"),
        "mariadb": ("server_audit_events = CONNECT,QUERY,TABLE", "GRANT PROCESS ON *.*"),
    }
    assert all(words in joined for words in needed[name])


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_a_collector_that_is_off_says_how_to_switch_it_on(name: str) -> None:
    kinds = [kind for kind in COLLECTORS if kind.name == name]
    config = parse_config(b"", "agent.toml")
    (found,) = (each for each in examine(config, clock=lambda: 0, kinds=kinds) if name in each.check)
    assert found.state == "off"
    assert "account_file (docs/databases.md)" in found.detail


def test_the_log_of_the_newest_server_that_is_installed_is_proposed(tmp_path: Path) -> None:
    (tmp_path / "etc/postgresql/14/main").mkdir(parents=True)
    (tmp_path / "etc/postgresql/16/main").mkdir(parents=True)
    assert 'log = "/var/lib/postgresql/16/main/log/postgresql-*.json"' in postgresql_lines(tmp_path)
    for lines in (postgresql_lines(tmp_path), mariadb_lines()):
        parse_config("\n".join(lines).encode(), "agent.toml")


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


def test_logs_that_are_not_there_are_said_with_the_remedy(tmp_path: Path) -> None:
    config = MariadbConfig(enabled=True, audit_log=str(tmp_path / "audit.log"))
    with pytest.raises(Unsupported, match="no such file"):
        MariadbCollector(config, HOST, "0.1.0").check_supported()


def test_the_page_on_databases_and_doctor_name_the_same_lines_for_my_cnf() -> None:
    table = tomllib.loads("\n".join(mariadb_lines()))["collectors"]["mariadb"]
    page = Path(__file__).parents[2].joinpath("docs", "databases.md").read_text(encoding="utf-8")
    block = page.split("    [mariadb]\n")[1].split("\n\n")[0]
    config = msgspec.convert(table, MariadbConfig)
    assert [line.strip() for line in block.splitlines()] == list(mariadb_missing({}, config))


def test_the_account_files_folder_is_made_with_the_file() -> None:
    for lines in (mariadb_account(MariadbConfig()), postgresql_account(PostgresqlConfig())):
        assert any(line.startswith("install -D -m 600 /dev/null /etc/leaver-agent/") for line in lines)


def test_a_server_whose_slow_log_holds_every_read_by_choice_is_left_so() -> None:
    config = MariadbConfig(slow_log="/x/slow.log")
    found = {"slow_query_log": "ON", "min_examined_row_limit": "0"}
    assert not any("min_examined" in line for line in mariadb_missing(found, config))
    found["min_examined_row_limit"] = "5000"
    assert "min_examined_row_limit = 100" in mariadb_missing(found, config)
