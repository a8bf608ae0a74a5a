"""A PostgreSQL that tells what is read (pgaudit, pg_stat_statements, jsonlog, csvlog), and what to take."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.postgres_server.server import PASSWORD, PostgresServer

ROWS = 2_000
DATABASE = "crm"
CLERK = "li.wei"
CLERK_PASSWORD = "clerk"
MONITOR = "leaver_monitor"
SETTINGS = (
    "shared_preload_libraries = 'pgaudit,pg_stat_statements'",
    "logging_collector = on",
    "log_destination = 'jsonlog,csvlog'",
    "log_filename = 'postgresql-%Y-%m-%d_%H%M%S.log'",
    "log_file_mode = 0640",
    "log_min_messages = log",
    "log_connections = on",
    "log_disconnections = on",
    "log_timezone = 'Asia/Shanghai'",
    "pgaudit.log = 'read, misc'",
    "pgaudit.log_rows = on",
    "pgaudit.log_relation = on",
    "pgaudit.log_catalog = off",
    "compute_query_id = on",
)


class AuditedPostgres(PostgresServer):
    """`crm.customers` has ROWS rows with `SECRET` in each; `li.wei` may read them and write files."""

    def __init__(self, settings: tuple[str, ...] = ()) -> None:
        super().__init__((*SETTINGS, *settings))
        try:
            self._fill()
        except BaseException:
            self.stop()
            raise

    def _fill(self) -> None:
        quoted = PASSWORD.replace("'", "''")
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
            connection.execute("CREATE EXTENSION pg_stat_statements")
            connection.execute(f"CREATE ROLE \"{CLERK}\" LOGIN PASSWORD '{CLERK_PASSWORD}'")
            connection.execute(f'GRANT pg_write_server_files, pg_execute_server_program TO "{CLERK}"')
            connection.execute(f"CREATE ROLE {MONITOR} LOGIN PASSWORD '{quoted}' IN ROLE pg_monitor")
        with self.connect(DATABASE) as connection:
            connection.execute("CREATE TABLE customers (id bigint PRIMARY KEY, name text, phone text)")
            connection.execute("CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint)")
            connection.execute(
                f"INSERT INTO customers SELECT n, 'SECRET' || n, '1380000' || n"
                f" FROM generate_series(1, {ROWS}) n"
            )
            connection.execute("INSERT INTO orders SELECT n, n FROM generate_series(1, 300) n")
            connection.execute(f'GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO "{CLERK}"')

    @property
    def log_folder(self) -> Path:
        return self.directory / "data" / "log"

    def write_account(self, path: Path) -> Path:
        """The monitoring account's file."""
        path.touch(0o600)
        quoted = PASSWORD.replace("'", "\\'")
        path.write_text(f"host=127.0.0.1 port={self.port} user={MONITOR} password='{quoted}'\n")
        return path

    def psql(self, *statements: str, program: str = "psql", variables: tuple[str, ...] = ()) -> str:
        """What real psql prints, as li.wei over TCP; each statement is a command of its own."""
        options = [f"--set={each}" for each in variables]
        commands = [option for each in statements for option in ("-c", each)]
        return self.run("psql", "-qAtX", *options, *commands, program=program)

    @property
    def environment(self) -> dict[str, str]:
        """With which PostgreSQL's clients are li.wei's."""
        return {
            "PATH": os.environ["PATH"],
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": CLERK,
            "PGPASSWORD": CLERK_PASSWORD,
            "PGDATABASE": DATABASE,
        }

    def run(self, command: str, *arguments: str, program: str | None = None) -> str:
        done = subprocess.run(
            [str(self._programs / command), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=self.environment | ({} if program is None else {"PGAPPNAME": program}),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
