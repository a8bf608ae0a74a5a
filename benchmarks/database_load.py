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


def reader_of(kind: str, port: int) -> Callable[[list[str]], None]:
    if kind == "postgresql":
        connection = psycopg.connect(**_LOGIN, port=port, dbname=DATABASE, autocommit=True)

        def read_together(statements: list[str]) -> None:
            with connection.pipeline():
                for statement in statements:
                    connection.execute(statement.encode())

        return read_together
    cursor = pymysql.connect(**_LOGIN, port=port, database=DATABASE, autocommit=True).cursor()

    def read(statements: list[str]) -> None:
        for statement in statements:
            cursor.execute(statement)

    return read


def main() -> None:
    kind, port, rate, seconds = sys.argv[1], *map(int, sys.argv[2:5])
    read = reader_of(kind, port)
    began, done = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        each = "SELECT name, phone FROM customers WHERE id = {} AND name <> 'n{}'"
        read([each.format(number % 2000 + 1, number) for number in range(done, done + _EACH)])
        done += _EACH
        time.sleep(max(0.0, began + done / rate - time.monotonic()))
    sys.stdout.write(f"{done}\n")


if __name__ == "__main__":
    main()
