"""What a MariaDB server must be told so that it tells what is read. Asked with the monitoring account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from collectors.contract import Advice
from collectors.database_config import AccountUnusable, MariadbConfig
from event_schema.printable import printable_name

_NAMES: Final = (
    "datadir",
    "log_output",
    "long_query_time",
    "min_examined_row_limit",
    "performance_schema",
    "server_audit_events",
    "server_audit_file_path",
    "server_audit_logging",
    "server_audit_output_type",
    "server_audit_query_log_limit",
    "slow_query_log",
    "slow_query_log_file",
)
NO_ACCOUNT: Final = (
    "client programs are not known without an account_file: GRANT PROCESS ON *.* and SELECT ON "
    "performance_schema.* to an account for it (docs/databases.md)"
)
_EVENTS: Final = ("CONNECT", "QUERY", "TABLE")
_SMALLEST_LIMIT: Final = 8192
_MOST_EXAMINED: Final = 1000


def advice(config: MariadbConfig) -> Iterator[Advice]:
    if not config.account_file:
        yield Advice("account", False, NO_ACCOUNT)
        needed = "; ".join(missing_lines({}, config))
        yield Advice("settings", False, f"not known without the account; needed are: {needed}")
        return
    import pymysql  # noqa: PLC0415 - only with an account

    from collectors.mariadb_account import open_account, settings, why_not  # noqa: PLC0415

    try:
        connection = open_account(config.account_file)
        try:
            found = settings(connection, list(_NAMES))
        finally:
            connection.close()
    except (pymysql.Error, AccountUnusable, OSError) as error:
        yield Advice("account", False, f"the server cannot be asked: {why_not(error)}")
        return
    yield Advice("account", True, "the server answers")
    lines = list(missing_lines(found, config))
    if lines:
        yield Advice("settings", False, "under [mariadb] in my.cnf, then restart: " + "; ".join(lines))
    else:
        yield Advice("settings", True, "tells what is read")


def missing_lines(found: Mapping[str, str], config: MariadbConfig) -> Iterator[str]:
    """Lines of my.cnf that the server lacks."""
    if config.audit_log:
        yield from _audit_lines(found, config)
    if found.get("slow_query_log") != "ON":
        yield "slow_query_log = ON"
    if float(found.get("long_query_time", "10")) > 0:
        yield "long_query_time = 0"
    if int(found.get("min_examined_row_limit", "0")) > _MOST_EXAMINED:
        yield f"min_examined_row_limit = {_MOST_EXAMINED}"
    if "FILE" not in found.get("log_output", ""):
        yield "log_output = FILE"
    if config.slow_log and not _is_same(found, "slow_query_log_file", config.slow_log):
        yield f"slow_query_log_file = {printable_name(config.slow_log)}"
    if found.get("performance_schema") != "ON":
        yield "performance_schema = ON"


def _audit_lines(found: Mapping[str, str], config: MariadbConfig) -> Iterator[str]:
    if "server_audit_logging" not in found:
        yield "plugin_load_add = server_audit"
    if found.get("server_audit_logging") != "ON":
        yield "server_audit_logging = ON"
    events = found.get("server_audit_events", "").upper().replace(" ", "").split(",")
    if ("server_audit_events" not in found or events != [""]) and not {*_EVENTS} <= {*events}:
        yield f"server_audit_events = {','.join(_EVENTS)}"
    if found.get("server_audit_output_type", "file") != "file":
        yield "server_audit_output_type = file"
    if int(found.get("server_audit_query_log_limit", "1024")) < _SMALLEST_LIMIT:
        yield f"server_audit_query_log_limit = {_SMALLEST_LIMIT}"
    if "server_audit_file_path" in found and not _is_same(found, "server_audit_file_path", config.audit_log):
        yield f"server_audit_file_path = {printable_name(config.audit_log)}"


def _is_same(found: Mapping[str, str], name: str, path: str) -> bool:
    return (Path(found.get("datadir", "/")) / found.get(name, "")).resolve() == Path(path).resolve()
