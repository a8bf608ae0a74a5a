"""Starts, stops and kills one MariaDB on a free port of 127.0.0.1, with its audit plugin and slow log.

Programs: Debian's mariadb-server-core and mariadb-client-core; the plugin server_audit, which Debian keeps in
mariadb-server (whose installation would start a server for the whole machine), from .tools/mariadb, where
deploy/prepare.sh puts it. It ends when the thread that started it ends.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

import pymysql

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / ".tools" / "mariadb"
START_SECONDS = 60
ROWS = 2_000
DATABASE = "crm"
CLERK = "li.wei"
CLERK_PASSWORD = "clerk"
MONITOR = "leaver_monitor"
MONITOR_PASSWORD = "pass@word: of nobody else's/%41"
_SETTINGS = """[mysqld]
datadir={data}
socket={folder}/s.sock
pid-file={folder}/pid
tmpdir={folder}
port={port}
bind-address=127.0.0.1
skip-name-resolve
plugin_dir={plugins}
secure_file_priv=
innodb_flush_log_at_trx_commit=0
innodb_buffer_pool_size=32M
innodb_log_file_size=8M
default_time_zone=+08:00
{more}
"""


_AUDITED = """
plugin_load_add=server_audit
server_audit_logging=ON
server_audit_events=CONNECT,QUERY,TABLE
server_audit_output_type=file
server_audit_file_path={folder}/audit.log
server_audit_query_log_limit=65536
server_audit_file_rotate_size=50000000
slow_query_log=1
slow_query_log_file={folder}/slow.log
long_query_time=0
min_examined_row_limit=0
log_output=FILE
performance_schema=ON
"""


class MariadbFailed(Exception):
    """MariaDB is missing or does not start; the message says why."""


class MariadbServer:
    """`crm.customers` has ROWS rows; `li.wei` may read and write files. `is_bare`: it is as its makers
    set it, and logs nothing. Raises MariadbFailed."""

    def __init__(self, settings: tuple[str, ...] = (), *, is_bare: bool = False) -> None:
        if not (PLUGINS / "server_audit.so").exists() or shutil.which("mariadb-install-db") is None:
            raise MariadbFailed("MariaDB is not installed: run deploy/prepare.sh tests")
        self.directory = Path(tempfile.mkdtemp(prefix="leaver-mariadb-"))
        self.data = self.directory / "data"
        self.audit_log, self.slow_log = self.directory / "audit.log", self.directory / "slow.log"
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] = (self.directory / "server.out").open("wb")
        try:
            self.port = _free_port()
            self._make(settings, "" if is_bare else _AUDITED)
            self.start()
            self._fill()
        except BaseException:
            self.stop()
            raise

    def add_settings(self, *lines: str) -> None:
        """For the next start."""
        with (self.directory / "my.cnf").open("a") as file:
            file.writelines(line + "\n" for line in lines)

    def _make(self, settings: tuple[str, ...], audit: str) -> None:
        (self.directory / "my.cnf").write_text(
            (_SETTINGS + audit).format(
                data=self.data,
                folder=self.directory,
                port=self.port,
                plugins=PLUGINS,
                more="\n".join(settings),
            )
        )
        if self._user is not None:
            os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
        done = subprocess.run(
            [
                *self._become(),
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={self.data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
            cwd=self.directory,
            # Each server removes at its start what lies in the folder as temporary tables: also another's.
            env=os.environ | {"TMPDIR": str(self.directory)},
        )
        if done.returncode != 0:
            raise MariadbFailed(f"the data cannot be made:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def _become(self) -> list[str]:
        become = ["setpriv", "--pdeathsig", "KILL"]
        if self._user is not None:
            become += [f"--reuid={self._user.pw_uid}", f"--regid={self._user.pw_gid}", "--clear-groups"]
        return become

    def start(self) -> None:
        """Starts the server on its data and waits until it answers."""
        program = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        self._process = subprocess.Popen(
            [*self._become(), program, f"--defaults-file={self.directory / 'my.cnf'}"],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            process_group=0,
            cwd=self.directory,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                output = (self.directory / "server.out").read_text(errors="replace")[-3000:]
                raise MariadbFailed(f"MariaDB does not answer on port {self.port}:\n{output}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.err.OperationalError:
            return False
        return True

    def connect(self, database: str | None = None) -> pymysql.connections.Connection[pymysql.cursors.Cursor]:
        """As root, over the socket; each statement commits by itself."""
        return pymysql.connect(
            unix_socket=str(self.directory / "s.sock"), user="root", database=database, autocommit=True
        )

    def execute(self, *statements: str, database: str | None = None) -> None:
        with self.connect(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _fill(self) -> None:
        quoted = MONITOR_PASSWORD.replace("'", "''")
        self.execute(
            f"CREATE DATABASE {DATABASE}",
            f"CREATE USER '{CLERK}'@'127.0.0.1' IDENTIFIED BY '{CLERK_PASSWORD}'",
            f"GRANT SELECT, INSERT, LOCK TABLES, SHOW VIEW ON {DATABASE}.* TO '{CLERK}'@'127.0.0.1'",
            f"GRANT FILE, PROCESS ON *.* TO '{CLERK}'@'127.0.0.1'",
            f"CREATE USER {MONITOR}@'127.0.0.1' IDENTIFIED BY '{quoted}'",
            f"GRANT SELECT ON performance_schema.* TO {MONITOR}@'127.0.0.1'",
            f"GRANT PROCESS ON *.* TO {MONITOR}@'127.0.0.1'",
        )
        self.execute(
            "CREATE TABLE customers (id bigint PRIMARY KEY, name varchar(40), phone varchar(20))",
            "CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint)",
            "INSERT INTO customers SELECT seq, concat('SECRET', seq), concat('1380000', seq)"
            f" FROM seq_1_to_{ROWS}",
            "INSERT INTO orders SELECT seq, seq FROM seq_1_to_300",
            database=DATABASE,
        )

    def write_account(self, path: Path) -> Path:
        """The monitoring account's option file."""
        path.touch(0o600)
        path.write_text(
            f'[client]\nhost=127.0.0.1\nport={self.port}\nuser={MONITOR}\npassword="{MONITOR_PASSWORD}"\n'
        )
        return path

    def mariadb(self, *statements: str) -> str:
        """What the real client prints, as li.wei over TCP."""
        return self.run("mariadb", "--batch", DATABASE, "-e", ";".join(statements))

    def run(self, command: str, *arguments: str) -> str:
        login = ("--no-defaults", "-h127.0.0.1", f"-P{self.port}", f"-u{CLERK}", f"-p{CLERK_PASSWORD}")
        done = subprocess.run(
            [command, *login, *arguments], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kill(self) -> None:
        """kill -9: no goodbye, and recovery at the next start."""
        self._signal_and_wait(signal.SIGKILL)

    def restart(self) -> None:
        self._signal_and_wait(signal.SIGTERM)
        self.start()

    def stop(self) -> None:
        """Ends the server and removes its data. May be called twice."""
        self._signal_and_wait(signal.SIGTERM)
        self._output.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _signal_and_wait(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
