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
    "plugin_dir",
    "server_audit_events",
    "server_audit_file_path",
    "server_audit_file_rotate_size",
    "server_audit_file_rotations",
    "server_audit_logging",
    "server_audit_output_type",
    "server_audit_query_log_limit",
    "slow_query_log",
    "slow_query_log_file",
)
_EVENTS: Final = ("CONNECT", "QUERY", "TABLE")
_SMALLEST_LIMIT: Final = 8192
_MOST_EXAMINED: Final = 1000
_WANTED_EXAMINED: Final = 100
"""What a server gets that has no slow log yet: less would log every small read."""
_KEPT_BYTES: Final = 100_000_000
"""So much the audit log should keep: while the agent is restarted a busy server writes more than the ten
megabytes that it keeps by itself."""
_IN_CONFIG: Final = "in /etc/mysql/mariadb.conf.d/90-leaver.cnf (or my.cnf), then restart the server:"


def account_lines(config: MariadbConfig) -> tuple[str, ...]:
    """How the monitoring account is made."""
    file = printable_name(config.account_file or "/etc/leaver-agent/mariadb.cnf")
    return (
        "CREATE USER leaver_monitor@localhost IDENTIFIED BY '…';",
        "GRANT PROCESS ON *.* TO leaver_monitor@localhost;",
        "GRANT SELECT ON performance_schema.* TO leaver_monitor@localhost;",
        f"install -D -m 600 /dev/null {file}",
        f"printf '[client]\\nsocket=/run/mysqld/mysqld.sock\\nuser=leaver_monitor\\npassword=…\\n' > {file}",
    )


def lines_to_enable() -> tuple[str, ...]:
    """The agent's settings. Once they are there, `advice` tells what the server lacks."""
    return (
        "[collectors.mariadb]",
        "enabled = true",
        'audit_log = "/var/lib/mysql/server_audit.log"',
        'slow_log = "/var/lib/mysql/slow.log"',
        'account_file = "/etc/leaver-agent/mariadb.cnf"',
    )


def advice(config: MariadbConfig) -> Iterator[Advice]:
    if not config.account_file:
        yield Advice(
            "account",
            False,
            "client programs are not known without an account_file; it is made so:",
            "\n".join(account_lines(config)),
        )
        text = f"not known without the account; needed are {_IN_CONFIG}"
        yield Advice("settings", False, text, "\n".join(["[mariadb]", *missing_lines({}, config)]))
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
        text = f"the server cannot be asked: {why_not(error)}; the account is made so:"
        yield Advice("account", False, text, "\n".join(account_lines(config)))
        return
    yield Advice("account", True, "the server answers")
    folder = found.get("plugin_dir", "")
    if config.audit_log and folder and not (Path(folder) / "server_audit.so").exists():
        text = f"server_audit.so is not in {printable_name(folder)}: it is part of Debian's mariadb-server"
        yield Advice("plugin", False, text, "apt-get install mariadb-server")
    lines = tuple(missing_lines(found, config))
    if lines:
        yield Advice("settings", False, _IN_CONFIG, "\n".join(["[mariadb]", *lines]))
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
    examined = int(found.get("min_examined_row_limit", "0"))
    if examined > _MOST_EXAMINED or (found.get("slow_query_log") != "ON" and examined < _WANTED_EXAMINED):
        yield f"min_examined_row_limit = {_WANTED_EXAMINED}"
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
    size = int(found.get("server_audit_file_rotate_size", "1000000"))
    rotations = int(found.get("server_audit_file_rotations", "9"))
    if 0 < size * (1 + rotations) < _KEPT_BYTES and rotations:
        yield f"server_audit_file_rotate_size = {_KEPT_BYTES // (1 + rotations)}"
    if "server_audit_file_path" in found and not _is_same(found, "server_audit_file_path", config.audit_log):
        yield f"server_audit_file_path = {printable_name(config.audit_log)}"


def _is_same(found: Mapping[str, str], name: str, path: str) -> bool:
    return (Path(found.get("datadir", "/")) / found.get(name, "")).resolve() == Path(path).resolve()
