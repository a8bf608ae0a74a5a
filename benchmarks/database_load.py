"""Reads one row after the other of a database that benchmarks.database_statements started, at a steady rate.

python -m benchmarks.database_load postgresql|mariadb PORT RATE SECONDS     prints how many it did
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pymysql

from tests.mariadb_server.server import CLERK, CLERK_PASSWORD, DATABASE

_EACH = 20
"""Statements between two looks at the clock."""
_LOGIN: dict[str, Any] = {"host": "127.0.0.1", "user": CLERK, "password": CLERK_PASSWORD}


def reader_of(kind: str, port: int) -> Callable[[str], object]:
    if kind == "postgresql":
        connection = psycopg.connect(**_LOGIN, port=port, dbname=DATABASE, autocommit=True)
        return lambda statement: connection.execute(statement.encode())
    cursor = pymysql.connect(**_LOGIN, port=port, database=DATABASE, autocommit=True).cursor()
    read: Callable[[str], object] = cursor.execute
    return read


def main() -> None:
    kind, port, rate, seconds = sys.argv[1], *map(int, sys.argv[2:5])
    read = reader_of(kind, port)
    began, done = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        for number in range(done, done + _EACH):
            read(f"SELECT name, phone FROM customers WHERE id = {number % 2000 + 1} AND name <> 'n{number}'")  # noqa: S608
        done += _EACH
        time.sleep(max(0.0, began + done / rate - time.monotonic()))
    sys.stdout.write(f"{done}\n")


if __name__ == "__main__":
    main()
