"""The child process of child_process.py: reads a database URL from standard input, trains, ends."""

from __future__ import annotations

import os
import sys
import time

from server.store.database import open_database
from server.training.storage_training import train_storage_model


def _now() -> int:
    return time.time_ns() // 1_000_000


def main() -> None:
    os.nice(10)
    database = open_database(sys.stdin.readline().strip(), clock=_now)
    try:
        train_storage_model(database, now=_now())
    finally:
        database.close()


if __name__ == "__main__":
    main()
