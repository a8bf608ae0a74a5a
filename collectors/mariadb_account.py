"""The monitoring account on MariaDB or MySQL: asks which program is at the other end of a connection.

It needs PROCESS and SELECT on performance_schema, and nothing else. Needs PyMySQL; the account's file is a
MySQL option file with [client].
"""

from __future__ import annotations

import configparser
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import pymysql

from collectors.database_config import AccountUnusable, read_account

PROGRAM: Final = "leaver-agent"
PROGRAMS_MAX: Final = 10_000
_EVERY_S: Final = 1.0
_AGAIN_S: Final = 10.0
_ANSWER_S: Final = 5
_QUERY: Final = (
    "SELECT PROCESSLIST_ID, ATTR_VALUE FROM performance_schema.session_connect_attrs"
    " WHERE ATTR_NAME = 'program_name' LIMIT 10000"
)

if TYPE_CHECKING:
    Connection = pymysql.connections.Connection[pymysql.cursors.Cursor]
else:
    Connection = pymysql.connections.Connection


def open_account(path: str) -> Connection:
    """Waits for nothing longer than 5 s. Raises AccountUnusable or pymysql.Error."""
    file = configparser.RawConfigParser(allow_no_value=True, strict=False)
    try:
        file.read_string(read_account(path))
        given = {name: (value or "").strip("\"'") for name, value in file["client"].items()}
        port = int(given.get("port") or 3306)
    except (configparser.Error, KeyError, ValueError) as error:
        # The error's own text would show the password.
        raise AccountUnusable(f"{path}: is no option file with [client]") from error
    connection: Connection = pymysql.connect(
        host=given.get("host") or "localhost",
        port=port,
        unix_socket=given.get("socket") or None,
        user=given.get("user") or None,
        password=given.get("password", ""),
        program_name=PROGRAM,
        autocommit=True,
        connect_timeout=_ANSWER_S,
        read_timeout=_ANSWER_S,
        write_timeout=_ANSWER_S,
    )
    return connection


def why_not(error: Exception) -> str:
    """An error of the account in words, without what could name people or hold a password."""
    if isinstance(error, AccountUnusable):
        return str(error)
    code = error.args[0] if error.args and isinstance(error.args[0], int) else None
    return type(error).__name__ + (f" {code}" if code else "")


def settings(connection: Connection, names: list[str]) -> dict[str, str]:
    """The server's settings of these names, as far as it has them."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL VARIABLES")
        found: Any = cursor.fetchall()
    return {str(name): str(value) for name, value in found if name in names}


class Programs:
    """Keeps in mind which program a connection is of, for as many as PROGRAMS_MAX. A thread asks, once a
    second and when `ask` is called. Connections that come and go between are not seen."""

    def __init__(self, account_file: str) -> None:
        self._account_file = account_file
        self._known: OrderedDict[int, str] = OrderedDict()
        self._wanted = threading.Event()
        self._stop = threading.Event()
        self.trouble: str | None = None
        """Why it cannot ask just now."""
        self.looks = 0
        self._thread = threading.Thread(target=self._run, name="mariadb-programs", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Somebody came."""
        self._wanted.set()

    def program_of(self, connection: int) -> str | None:
        return self._known.get(connection)

    def close(self) -> None:
        self._stop.set()
        self._wanted.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                connection = open_account(self._account_file)
                try:
                    self._watch(connection)
                finally:
                    connection.close()
            except Exception as error:  # noqa: BLE001 - the loop's edge: it is told, and tried again
                self.trouble = why_not(error)
                # After a restart the server gives the same numbers to others.
                self._known.clear()
            self._stop.wait(_AGAIN_S if self.looks == 0 else 1.0)

    def _watch(self, connection: Connection) -> None:
        while not self._stop.is_set():
            self._wanted.clear()
            with connection.cursor() as cursor:
                cursor.execute(_QUERY)
                for number, program in cursor.fetchall():
                    if program is None:
                        continue
                    self._known[int(number)] = str(program)
                    self._known.move_to_end(int(number))
            while len(self._known) > PROGRAMS_MAX:
                self._known.popitem(last=False)
            self.trouble = None
            self.looks += 1
            self._wanted.wait(_EVERY_S)
