"""The server that tests use: it comes back with its data after any end, and never outlives who started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.postgres_server.server import PostgresServer

_STARTER = """
import sys
from tests.postgres_server.server import PostgresServer
server = PostgresServer()
print(server.pid, server.directory, flush=True)
sys.stdin.read()
"""


def test_it_comes_back_with_its_data_after_kill_9_and_after_an_orderly_restart() -> None:
    server = PostgresServer()
    try:
        with server.connect() as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("INSERT INTO kept VALUES (7)")
        for end in (server.kill, server.halt):
            end()
            with pytest.raises(psycopg.OperationalError):
                server.connect()
            server.start()
            with server.connect() as connection:
                assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]
    finally:
        server.stop()
    assert not server.directory.exists()


def test_it_ends_with_the_process_that_started_it_even_by_kill_9() -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    pid, directory = starter.stdout.readline().split()
    process = Path("/proc", pid)
    assert process.exists()
    starter.kill()
    starter.wait()
    deadline = time.monotonic() + 20
    while process.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    gone = not process.exists()
    if not gone:
        os.kill(int(pid), signal.SIGKILL)
    shutil.rmtree(directory, ignore_errors=True)
    assert gone
