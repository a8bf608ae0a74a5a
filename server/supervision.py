"""Keeps a part of the server running: a thread that starts again, ever more slowly, when its work fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import msgspec

from server.pulse import Pulse

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
CALM_SECONDS = 300.0
"""Work that ran for so long without a failure starts again quickly after the next one."""

_logger = logging.getLogger("leaver.server")


class PartState(msgspec.Struct, frozen=True):
    """`state` is starting, running, hanging (its loop does not turn), waiting (to start again) or stopped.
    `turned`: seconds since its loop turned last, None where nobody counts."""

    state: str
    restarts: int
    last_error: str | None
    turned: float | None = None


class SupervisedThread:
    """Runs `work(stop)` until stop is set. `work` returning earlier is a failure too. `work` beats its
    `pulse`, so that a loop that does not turn any more shows."""

    def __init__(
        self,
        name: str,
        work: Callable[[threading.Event], None],
        *,
        first_pause: float = FIRST_PAUSE,
        longest_pause: float = LONGEST_PAUSE,
        pulse: Pulse | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._work = work
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._pulse = pulse
        self._monotonic = monotonic
        self._stop = threading.Event()
        self._state = PartState("starting", 0, None)
        # A daemon: when it does not stop in time the process ends all the same. What it was doing was
        # one transaction, which is then rolled back.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def state(self) -> PartState:
        state, pulse = self._state, self._pulse
        if state.state != "running" or pulse is None:
            return state
        name = "hanging" if pulse.hangs else "running"
        return msgspec.structs.replace(state, state=name, turned=round(pulse.age, 1))

    @property
    def alive(self) -> bool:
        return self.state.state == "running" and self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Asks it to stop, returns at once."""
        self._stop.set()

    def join(self, seconds: float) -> bool:
        """Whether it stopped within this time."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause = self._first_pause
        restarts = 0
        error: str | None = None
        while not self._stop.is_set():
            if self._pulse is not None:
                self._pulse.beat()
            self._state = PartState("running", restarts, error)
            started = self._monotonic()
            try:
                self._work(self._stop)
                error = "it ended by itself"
            except Exception as failure:
                # The loop's edge: whatever failed, it starts again.
                error = type(failure).__name__
                _logger.exception("part_failed", extra={"part": self.name, "restarts": restarts})
            if self._stop.is_set():
                break
            if self._monotonic() - started > CALM_SECONDS:
                pause = self._first_pause
            restarts += 1
            self._state = PartState("waiting", restarts, error)
            self._stop.wait(pause)
            pause = min(pause * 2, self._longest_pause)
        self._state = PartState("stopped", restarts, error)
