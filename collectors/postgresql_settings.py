"""What a PostgreSQL server must be told so that it tells what is read. Asked with the monitoring account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from collectors.contract import Advice
from collectors.database_config import AccountUnusable, PostgresqlConfig
from event_schema.printable import printable_name

_NAMES: Final = (
    "compute_query_id",
    "log_destination",
    "log_timezone",
    "logging_collector",
    "pg_stat_statements.track",
    "pg_stat_statements.track_utility",
    "pgaudit.log",
    "pgaudit.log_relation",
    "pgaudit.log_rows",
    "pgaudit.log_statement",
    "server_version_num",
    "shared_preload_libraries",
)
NO_ACCOUNT: Final = (
    "rows of COPY and FETCH are not known without an account_file: CREATE ROLE leaver_monitor LOGIN "
    "PASSWORD '…' IN ROLE pg_monitor; (docs/databases.md)"
)
_LIBRARIES: Final = ("pgaudit", "pg_stat_statements")
_CLASSES: Final = ("read", "misc")
_RESTART: Final = "in postgresql.conf, then restart"
_RELOAD: Final = "in postgresql.conf, then reload"


def advice(config: PostgresqlConfig) -> Iterator[Advice]:
    if not config.account_file:
        yield Advice("account", False, NO_ACCOUNT)
        needed = "; ".join(missing_lines({}, config))
        yield Advice("settings", False, f"not known without the account; needed are: {needed}")
        return
    import psycopg  # noqa: PLC0415 - only with an account

    from collectors.postgresql_account import open_account, settings, why_not  # noqa: PLC0415

    try:
        with open_account(config.account_file) as connection:
            found = settings(connection, list(_NAMES))
            has_view = connection.execute(
                "SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'pg_stat_statements'"
            ).fetchone()
    except (psycopg.Error, AccountUnusable) as error:
        yield Advice("account", False, f"the server cannot be asked: {why_not(error)}")
        return
    yield Advice("account", True, "the server answers")
    lines = [*missing_lines(found, config)]
    if has_view is None:
        lines.append("CREATE EXTENSION pg_stat_statements; -- in the account's database")
    if lines:
        yield Advice("settings", False, "; ".join(lines))
    else:
        yield Advice("settings", True, "tells what is read")


def missing_lines(found: Mapping[str, str], config: PostgresqlConfig) -> Iterator[str]:
    """Lines of postgresql.conf that the server lacks, with where they go."""
    if int(found.get("server_version_num", "150000")) < 150_000:
        yield "PostgreSQL 15 or newer is needed"
    libraries = _words(found.get("shared_preload_libraries", ""))
    missing = [name for name in _LIBRARIES if name not in libraries]
    if missing:
        yield f"shared_preload_libraries = '{','.join([*libraries, *missing])}' {_RESTART}"
    if found.get("logging_collector") != "on":
        yield f"logging_collector = on {_RESTART}"
    destinations = _words(found.get("log_destination", ""))
    wanted = "csvlog" if config.log.endswith(".csv") else "jsonlog"
    if wanted not in destinations:
        yield f"log_destination = '{','.join([*destinations, wanted])}' {_RELOAD}"
    classes = _words(found.get("pgaudit.log", ""))
    if "all" not in classes and any(name not in classes for name in _CLASSES):
        kept = [name for name in classes if name not in {"none", *_CLASSES}]
        yield f"pgaudit.log = '{', '.join([*_CLASSES, *kept])}' {_RELOAD}"
    for name in ("pgaudit.log_rows", "pgaudit.log_relation", "pgaudit.log_statement"):
        if found.get(name, "on" if name == "pgaudit.log_statement" else "off") != "on":
            yield f"{name} = on {_RELOAD}"
    if found.get("compute_query_id") not in {"on", "auto"}:
        yield f"compute_query_id = on {_RELOAD}"
    if found.get("pg_stat_statements.track", "top") == "none":
        yield f"pg_stat_statements.track = top {_RELOAD}"
    if found.get("pg_stat_statements.track_utility", "on") != "on":
        yield f"pg_stat_statements.track_utility = on {_RELOAD}"
    zone = found.get("log_timezone", "")
    if config.log_time_zone and zone != config.log_time_zone:
        yield f'log_time_zone = "{printable_name(zone)}" in [collectors.postgresql]: so the server is set'


def _words(setting: str) -> list[str]:
    return [word.strip().strip('"').lower() for word in setting.split(",") if word.strip()]
