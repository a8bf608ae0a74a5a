"""Starts, stops, kills and pauses one PostgreSQL on a free port of 127.0.0.1, from Debian's package.

The data directory lives as long as the object, so that a server that was killed comes back with its data, on
the same port. PostgreSQL refuses to run as root: then it runs as the user `postgres` that the package
makes. It ends when the thread that started it ends (PDEATHSIG): a test run that is killed leaves nothing
behind; start it from a thread that stays.

Names sort by a language's rules (ICU, en-US) here: what depended on the database's own order would show.
"""

from __future__ import annotations

import contextlib
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

import psycopg
from sqlalchemy.engine import URL

from server.store.database import open_database, upgrade

START_SECONDS = 60
ROLE = "leaver"
PASSWORD = "pass@word: of nobody else's/%41"
_TEMPLATE = "leaver_template"
_ROOM = 1 << 30
_SETTINGS = (
    # A throw-away cluster: what a power cut would do to it does not matter.
    "fsync = off",
    "autovacuum = off",
    "shared_buffers = 48MB",
    "max_wal_size = 256MB",
    "max_connections = 60",
    # In the cluster's folder, so that nothing of a server that was killed stays behind.
    "dynamic_shared_memory_type = mmap",
    "log_min_messages = warning",
    "listen_addresses = '127.0.0.1'",
)
_HBA = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


class PostgresFailed(Exception):
    """PostgreSQL is missing or does not start; the message says why."""


class PostgresServer:
    """A server that answers when the constructor returns. `settings`: lines of postgresql.conf that go last.
    Raises PostgresFailed."""

    def __init__(self, settings: tuple[str, ...] = ()) -> None:
        self._settings = settings
        self._programs = _programs()
        self._user = _unprivileged_user()
        self.directory = Path(tempfile.mkdtemp(prefix="leaver-postgres-", dir=_place()))
        self._data = self.directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] = (self.directory / "server.out").open("wb")
        self._databases = 0
        self._template_made = False
        try:
            if self._user is not None:
                os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
            self.port = _free_port()
            self._make_cluster()
            self.start()
        except BaseException:
            self.stop()
            raise

    def _make_cluster(self) -> None:
        locale = ("--locale=C", "--locale-provider=icu", "--icu-locale=en-US", "--encoding=UTF8")
        done = subprocess.run(
            self._command("initdb", "-U", ROLE, "--no-sync", "--auth=trust", *locale),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
            cwd=self.directory,
            env=_environment(),
        )
        if done.returncode != 0:
            raise PostgresFailed(f"the cluster cannot be made:\n{done.stdout}{done.stderr}")
        settings: tuple[str, ...] = (
            *_SETTINGS,
            f"port = {self.port}",
            f"unix_socket_directories = '{self.directory}'",
        )
        settings += self._settings
        with (self._data / "postgresql.conf").open("a") as file:
            file.write("".join(f"{line}\n" for line in settings))
        (self._data / "pg_hba.conf").write_text(_HBA)

    def _command(self, program: str, *arguments: str) -> list[str]:
        """On the cluster's data, as the user who may, and not longer than this process's thread."""
        become = ["setpriv", "--pdeathsig", "KILL"]
        if self._user is not None:
            become += [f"--reuid={self._user.pw_uid}", f"--regid={self._user.pw_gid}", "--clear-groups"]
        return [*become, str(self._programs / program), "-D", str(self._data), *arguments]

    def start(self) -> None:
        """Starts the server on its data and waits until it answers."""
        self._process = subprocess.Popen(
            self._command("postgres"),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            process_group=0,
            cwd=self.directory,
            env=_environment(),
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                output = (self.directory / "server.out").read_text(errors="replace")[-3000:]
                raise PostgresFailed(f"PostgreSQL does not answer on port {self.port}:\n{output}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with self.connect():
                return True
        except psycopg.OperationalError:
            return False

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """As the role that owns everything, over the socket; each statement commits by itself."""
        return psycopg.connect(
            host=str(self.directory), port=self.port, user=ROLE, dbname=database, autocommit=True
        )

    def url(self, database: str, *, role: str = ROLE, password: str | None = None) -> str:
        """Without a password it goes over the socket, where none is asked for."""
        host = "127.0.0.1" if password is not None else str(self.directory)
        query = {} if password is not None else {"host": host}
        made = URL.create(
            "postgresql",
            username=role,
            password=password,
            host=host if password is not None else None,
            port=self.port,
            database=database,
            query=query,
        )
        return made.render_as_string(hide_password=False)

    def new_database(self, *, migrated: bool = True) -> str:
        """A database of its own, with all tables where `migrated`; returns its name. Quick: a copy."""
        self._databases += 1
        name = f"leaver_{self._databases}"
        with self.connect() as connection:
            if migrated and not self._template_made:
                connection.execute(f'CREATE DATABASE "{_TEMPLATE}"')
                template = open_database(self.url(_TEMPLATE), clock=lambda: 0)
                upgrade(template)
                template.close()
                self._template_made = True
            connection.execute(
                f'CREATE DATABASE "{name}" TEMPLATE "{_TEMPLATE if migrated else "template1"}"'
            )
        return name

    def drop_database(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def end_connections(self, database: str) -> int:
        """pg_terminate_backend for all of a database's connections. Returns how many there were."""
        with self.connect() as connection:
            query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
            row = connection.execute(query, [database]).fetchone()
        assert row is not None
        assert isinstance(row[0], int)
        return row[0]

    @property
    def pid(self) -> int:
        """The running server's process id. Raises PostgresFailed."""
        if self._process is None:
            raise PostgresFailed("the server is not running")
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Of all of the server's processes that live, user and system."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                pid, _, rest = stat.read_text().partition(" (")
                fields = rest.rpartition(") ")[2].split()
                if self.pid in (int(pid), int(fields[1])):
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """kill -9 of the server: no goodbye, and recovery at the next start."""
        self._signal_and_wait(signal.SIGKILL, 10)
        # Its children notice a moment later; the next start refuses the data before that.
        deadline = time.monotonic() + START_SECONDS
        while self._still_used() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _still_used(self) -> bool:
        for cwd in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):
                if cwd.readlink() == self._data:
                    return True
        return False

    def pause(self) -> None:
        """Connections stay open and nobody new is answered."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def halt(self) -> None:
        """An orderly end that waits for nobody ("fast"); `start` brings it back, same port, same data."""
        self._signal_and_wait(signal.SIGINT, 30)

    def restart(self) -> None:
        self.halt()
        self.start()

    def stop(self) -> None:
        """Ends the server and removes its data. May be called twice."""
        self.halt()
        self._output.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _signal_and_wait(self, number: signal.Signals, seconds: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _place() -> Path | None:
    """In memory where there is room: copying a database makes 300 files, a third of a second on a disk."""
    try:
        memory = shutil.disk_usage("/dev/shm")
    except OSError:
        return None
    return Path("/dev/shm") if memory.free > _ROOM else None


def _programs() -> Path:
    """Where initdb and postgres are: Debian keeps them out of PATH, one folder a version."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]), reverse=True
    )
    if found:
        return found[0].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise PostgresFailed("PostgreSQL is not installed: run deploy/prepare.sh tests")
    return Path(on_path).parent


def _unprivileged_user() -> pwd.struct_passwd | None:
    """None: this process may run it as it is."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _environment() -> dict[str, str]:
    """Nothing of PG* that somebody may have set for another server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
