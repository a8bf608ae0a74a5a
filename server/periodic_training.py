"""Trains the models when they are due, and watches the active one, in child processes. The work of a
SupervisedThread.

Not in the first minutes of a start: a model made while the backlog of a long stop (or a first import) is
still being worked off would know only half of the days.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection

from server.pulse import Pulse
from server.retention import ACTIVITY_DAYS
from server.store.database import Database
from server.training import activity_training, drift_watching
from server.training.child_process import SECONDS_MAX, Task, TrainingFailed, train_in_child

FIRST_LOOK_SECONDS = 600.0
LOOK_SECONDS = 600.0
RETRY_SECONDS = 600.0
RETRY_SECONDS_MAX = 6 * 3600.0

TURN_SECONDS_MAX = SECONDS_MAX + 2 * FIRST_LOOK_SECONDS

_DUE: Final[dict[Task, Callable[[Connection, int], bool]]] = {
    # Before the training: what the old model was like in its last week is kept with it.
    "watch": drift_watching.is_due,
    "activities": activity_training.is_due,
}

_logger = logging.getLogger("leaver.training")


class PeriodicTraining:
    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], int],
        activity_days: int = ACTIVITY_DAYS,
        first_look_seconds: float = FIRST_LOOK_SECONDS,
        look_seconds: float = LOOK_SECONDS,
        pulse: Pulse | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._activity_days = activity_days
        self._pause = first_look_seconds
        self._look_seconds = look_seconds
        self._pulse = pulse or Pulse(TURN_SECONDS_MAX)

    def run(self, stop: threading.Event) -> None:
        """Until stop is set. Raises TrainingFailed: start it again, after a good while."""
        while not stop.wait(self._pause):
            self._pause = self._look_seconds
            failed: TrainingFailed | None = None
            for task, is_due in _DUE.items():
                self._pulse.beat()
                with self._database.read() as connection:
                    due = is_due(connection, self._clock())
                if not due or stop.is_set():
                    continue
                _logger.info("training_begins", extra={"task": task})
                try:
                    train_in_child(self._database, stop, task, activity_days=self._activity_days)
                except TrainingFailed as error:
                    # The others do not wait for it: a model that cannot be watched is to be replaced.
                    _logger.warning("training_failed", extra={"task": task})
                    failed = error
                else:
                    _logger.info("training_ends", extra={"task": task})
            if failed is not None:
                raise failed
