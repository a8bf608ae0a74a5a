"""What a PostgreSQL server must be told so that it tells what is read. Asked with the monitoring account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from collectors.contract import Advice
from collectors.database_config import AccountUnusable, PostgresqlConfig
from event_schema.printable import printable_name

if TYPE_CHECKING:
    import psycopg

_NAMES: Final = (
    "compute_query_id",
    "config_file",
    "data_directory",
    "log_destination",
    "log_directory",
    "log_timezone",
    "logging_collector",
    "pg_stat_statements.track",
    "pg_stat_statements.track_utility",
    "pgaudit.log",
    "pgaudit.log_catalog",
    "pgaudit.log_relation",
    "pgaudit.log_rows",
    "pgaudit.log_statement",
    "server_version_num",
    "shared_preload_libraries",
)
_OLDEST: Final = 150_000
_LIBRARIES: Final = ("pgaudit", "pg_stat_statements")
_CLASSES: Final = ("read", "misc")
_SWITCHES: Final = {"pgaudit.log_rows": "off", "pgaudit.log_relation": "off", "pgaudit.log_statement": "on"}
"""Which must be on, and how they are by themselves."""
_EXTENSION: Final = "CREATE EXTENSION pg_stat_statements;"


def account_lines(config: PostgresqlConfig) -> tuple[str, ...]:
    """How the monitoring account is made."""
    file = printable_name(config.account_file or "/etc/leaver-agent/postgresql")
    return (
        f"sudo -u postgres psql -c \"CREATE ROLE leaver_monitor LOGIN PASSWORD '…' IN ROLE pg_monitor\" "
        f'-c "{_EXTENSION}"',
        f"install -D -m 600 /dev/null {file}",
        f"echo \"host=/var/run/postgresql user=leaver_monitor password='…'\" > {file}",
    )


def lines_to_enable(root: Path = Path("/")) -> tuple[str, ...]:
    """The agent's settings, with the newest server's log below `root`. Once they are there, `advice` tells
    what the server lacks."""
    debian, others = root / "etc" / "postgresql", root / "var" / "lib" / "pgsql"
    places = [*sorted(debian.glob("[0-9]*/*")), *others.glob("data")]
    data = Path("/var/lib/postgresql/15/main")
    if places:
        place = places[-1]
        is_debian = place.name != "data"
        data = Path("/var/lib/postgresql", place.parent.name, place.name) if is_debian else place
    return (
        "[collectors.postgresql]",
        "enabled = true",
        f'log = "{data}/log/postgresql-*.json"',
        'account_file = "/etc/leaver-agent/postgresql"',
    )


def advice(config: PostgresqlConfig) -> Iterator[Advice]:
    if not config.account_file:
        text = "rows of COPY and FETCH are not known without an account_file; it is made so:"
        yield Advice("account", False, text, "\n".join(account_lines(config)))
        text = (
            "not known without the account; needed are the package postgresql-VERSION-pgaudit, and in "
            "postgresql.conf, then a restart:"
        )
        yield Advice("settings", False, text, "\n".join(missing_lines({}, config)))
        return
    import psycopg  # noqa: PLC0415 - only with an account

    from collectors.postgresql_account import open_account, settings, why_not  # noqa: PLC0415

    try:
        with open_account(config.account_file) as connection:
            found = settings(connection, list(_NAMES))
            yield Advice("account", True, "the server answers")
            yield from _of_the_server(connection, found, config)
    except (psycopg.Error, AccountUnusable) as error:
        text = f"the server cannot be asked: {why_not(error)}; the account is made so:"
        yield Advice("account", False, text, "\n".join(account_lines(config)))


def _of_the_server(
    connection: psycopg.Connection[tuple[Any, ...]], found: Mapping[str, str], config: PostgresqlConfig
) -> Iterator[Advice]:
    version = int(found.get("server_version_num", _OLDEST))
    if version < _OLDEST:
        yield Advice("version", False, "PostgreSQL 15 or newer is needed")
        return
    if not _has(connection, "pg_available_extensions", "pgaudit"):
        package = f"apt-get install postgresql-{version // 10_000}-pgaudit"
        yield Advice("pgaudit", False, "is not installed; the server does not start without it:", package)
    lines = tuple(missing_lines(found, config))
    if lines:
        needs_restart = any(line.startswith(("shared_preload", "logging_collector")) for line in lines)
        then = "restart the server" if needs_restart else "SELECT pg_reload_conf()"
        file = printable_name(found.get("config_file", "postgresql.conf"))
        yield Advice("settings", False, f"in {file}, then {then}:", "\n".join(lines))
    else:
        yield Advice("settings", True, "tells what is read")
    if not _has(connection, "pg_extension", "pg_stat_statements"):
        text = "as a superuser, in the database that account_file names (postgres where it names none):"
        yield Advice("extension", False, text, _EXTENSION)
    own = tuple(_own_lines(found, config))
    if own:
        yield Advice("agent", False, "in [collectors.postgresql] of the agent's settings:", "\n".join(own))


def missing_lines(found: Mapping[str, str], config: PostgresqlConfig) -> Iterator[str]:
    """Lines of postgresql.conf that the server lacks."""
    libraries = _words(found.get("shared_preload_libraries", ""))
    missing = [name for name in _LIBRARIES if name not in libraries]
    if missing:
        yield f"shared_preload_libraries = '{','.join([*libraries, *missing])}'"
    if found.get("logging_collector") != "on":
        yield "logging_collector = on"
    destinations = _words(found.get("log_destination", ""))
    wanted = "csvlog" if config.log.endswith(".csv") else "jsonlog"
    if wanted not in destinations:
        yield f"log_destination = '{','.join([*destinations, wanted])}'"
    classes = _words(found.get("pgaudit.log", ""))
    if "all" not in classes and any(name not in classes for name in _CLASSES):
        kept = [name for name in classes if name not in {"none", *_CLASSES}]
        yield f"pgaudit.log = '{', '.join([*_CLASSES, *kept])}'"
    for name, unset in _SWITCHES.items():
        if found.get(name, unset) != "on":
            yield f"{name} = on"
    if found.get("pgaudit.log_catalog", "on") != "off":
        yield "pgaudit.log_catalog = off"
    if found.get("compute_query_id") not in {"on", "auto"}:
        yield "compute_query_id = on"
    if found.get("pg_stat_statements.track", "top") == "none":
        yield "pg_stat_statements.track = top"
    if found.get("pg_stat_statements.track_utility", "on") != "on":
        yield "pg_stat_statements.track_utility = on"


def _own_lines(found: Mapping[str, str], config: PostgresqlConfig) -> Iterator[str]:
    """Settings of the agent that do not fit the server's."""
    zone = found.get("log_timezone", "")
    if config.log_time_zone and zone != config.log_time_zone:
        yield f'log_time_zone = "{printable_name(zone)}"'
    log = Path(config.log)
    folder = Path(found.get("data_directory", "/"), found.get("log_directory", "log"))
    if "data_directory" in found and log.parent.resolve() != folder.resolve():
        yield f'log = "{printable_name(str(folder))}/*{log.suffix}"'


def _has(connection: psycopg.Connection[tuple[Any, ...]], view: str, name: str) -> bool:
    column = "extname" if view == "pg_extension" else "name"
    query = f"SELECT 1 FROM pg_catalog.{view} WHERE {column} = %s"  # noqa: S608 - names of our own
    return connection.execute(query.encode(), [name]).fetchone() is not None


def _words(setting: str) -> list[str]:
    return [word.strip().strip('"').lower() for word in setting.split(",") if word.strip()]
