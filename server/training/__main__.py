"""The child process of child_process.py: reads a task, for how many days sums by activity count, and
a database URL from standard input, a line each, does it, ends. What fails is the last line of standard
error."""

from __future__ import annotations

import os
import sys
import time

from server.store.database import open_database
from server.training.activity_training import NothingMeasured, train_activities
from server.training.drift_watching import watch


def _now() -> int:
    return time.time_ns() // 1_000_000


def main() -> None:
    os.nice(10)
    task = sys.stdin.readline().strip()
    activity_days = int(sys.stdin.readline())
    database = open_database(sys.stdin.readline().strip(), clock=_now)
    try:
        if task == "activities":
            train_activities(database, now=_now(), activity_days=activity_days)
        elif task == "watch":
            watch(database, now=_now(), activity_days=activity_days)
        else:
            raise ValueError(f"no task {task!r}")
    except NothingMeasured as error:
        # Looked at again with the next due time; what is not there is no fault.
        sys.stderr.write(f"{error}\n")
    finally:
        database.close()


if __name__ == "__main__":
    main()
