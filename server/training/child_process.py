"""Runs a training in a child process, so that it neither stops the stream nor leaves its memory behind."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Literal

from server.store.database import Database

SECONDS_MAX = 3600
_LOOK_SECONDS = 0.2

Task = Literal["activities", "watch"]
"""The anomaly models are trained, or the active one is watched."""


class TrainingFailed(Exception):
    """The child ended badly; the message is its last line."""


def train_in_child(database: Database, stop: threading.Event, task: Task) -> None:
    """Does it, and waits unless stop is set. Raises TrainingFailed."""
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
        child.stdin.write(f"{task}\n{database.url}\n")
        child.stdin.close()
        child.stdin = None
        waited = 0.0
        while child.poll() is None:
            if stop.wait(_LOOK_SECONDS):
                return
            waited += _LOOK_SECONDS
            if waited > SECONDS_MAX:
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
