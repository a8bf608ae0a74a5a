"""Runs a training in a child process, so that it neither stops the stream nor leaves its memory behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Literal

from server.retention import ACTIVITY_DAYS
from server.store.database import Database

SECONDS_MAX = 4 * 3600
"""By the clock, not of CPU: 50,000 people took 38 minutes beside ten other busy processes on two cores."""
_LOOK_SECONDS = 0.2

Task = Literal["activities", "watch"]
"""The anomaly models are trained, or the active one is watched."""


class TrainingFailed(Exception):
    """The child ended badly; the message is its last line."""


def train_in_child(
    database: Database, stop: threading.Event, task: Task, *, activity_days: int = ACTIVITY_DAYS
) -> None:
    """Does it, and waits unless stop is set. `activity_days`: for how many days sums by activity count.
    Raises TrainingFailed."""
    child = subprocess.Popen(
        [sys.executable, "-m", "server.training"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdin is not None
        # By standard input: a database URL may hold a password, and arguments can be read by everybody.
        child.stdin.write(f"{task}\n{activity_days}\n{database.url}\n")
        child.stdin.close()
        child.stdin = None
        begun = time.monotonic()
        while child.poll() is None:
            if stop.wait(_LOOK_SECONDS):
                return
            if time.monotonic() - begun > SECONDS_MAX:
                raise TrainingFailed(f"it took more than {SECONDS_MAX} s")
        if child.returncode != 0:
            assert child.stderr is not None
            lines = child.stderr.read()[-4096:].strip().splitlines()
            raise TrainingFailed(lines[-1] if lines else f"exit code {child.returncode}")
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        if child.stderr is not None:
            child.stderr.close()
