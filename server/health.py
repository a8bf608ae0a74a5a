"""Alive, and ready? The answers behind GET /healthz, GET /readyz and systemd's watchdog.

Alive: every loop of this process turns. A process that is not alive is best started again.
Ready: records are taken and worked on: the pipeline runs, log and database can be written, and there is
room on the disk. A process that is alive and not ready needs something from outside.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from server.log.contract import EventLog, LogUnavailable
from server.store.database import Database, StoreUnavailable
from server.supervision import PartState

ASK_SECONDS = 1.0
FAULT_SECONDS = 30.0
"""So long a failed append makes the server unready, unless one succeeds before."""
ANSWER_SECONDS = 10.0
"""A question to the database that takes longer is an answer, too."""


class Health:
    """Thread-safe. `parts`: state of every loop, by name. `disk`: whose free space counts."""

    def __init__(
        self,
        parts: Callable[[], Mapping[str, PartState]],
        log: EventLog,
        database: Database,
        *,
        disk: Path,
        disk_free_bytes: int,
    ) -> None:
        self._parts = parts
        self._log = log
        self._database = database
        self._disk = disk
        self._disk_free_bytes = disk_free_bytes
        self._append_fault: float | None = None
        self._asking = threading.Lock()
        self._asked_since: float | None = None
        self._answer: tuple[float, tuple[str, ...]] = (-ASK_SECONDS, ())

    def not_alive(self) -> tuple[str, ...]:
        """Names of the loops that do not turn. Never blocks."""
        return tuple(name for name, part in self._parts().items() if part.state in {"hanging", "stopped"})

    def not_ready(self) -> tuple[str, ...]:
        """What keeps records from being taken: disk, log, database, or a loop's name. May block a while."""
        pipeline = self._parts().get("pipeline")
        # Where there is none it is left to other processes.
        faults = [] if pipeline is None or pipeline.state == "running" else ["pipeline"]
        asked = self._ask()
        fault = self._append_fault
        if "log" not in asked and fault is not None and time.monotonic() - fault < FAULT_SECONDS:
            faults.append("log")
        return tuple(dict.fromkeys((*faults, *asked)))

    def append_failed(self) -> bool:
        """Notes that the log refused records. Whether that is news."""
        news = self._append_fault is None
        self._append_fault = time.monotonic()
        return news

    def append_succeeded(self) -> None:
        self._append_fault = None

    def _ask(self) -> tuple[str, ...]:
        # Anybody may ask for the health: they share one question a second, and one that waits.
        if not self._asking.acquire(blocking=False):
            since = self._asked_since
            late = since is not None and time.monotonic() - since > ANSWER_SECONDS
            return ("database",) if late else self._answer[1]
        try:
            if time.monotonic() - self._answer[0] >= ASK_SECONDS:
                self._asked_since = time.monotonic()
                self._answer = (time.monotonic(), tuple(self._faults_outside()))
                self._asked_since = None
            return self._answer[1]
        finally:
            self._asking.release()

    def _faults_outside(self) -> list[str]:
        faults = []
        try:
            if shutil.disk_usage(self._disk).free < self._disk_free_bytes:
                faults.append("disk")
        except OSError:
            faults.append("disk")
        try:
            self._log.end_offsets()
        except LogUnavailable:
            faults.append("log")
        try:
            with self._database.begin() as connection:
                connection.exec_driver_sql("SELECT 1")
        except StoreUnavailable:
            faults.append("database")
        return faults
