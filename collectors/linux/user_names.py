"""Names of accounts, without ever making the caller wait long for a slow directory server."""

from __future__ import annotations

import logging
import pwd
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

FRESH_S: Final = 600.0
"""How long an answer is believed."""
PATIENCE_S: Final = 0.1
"""How long the first question for a uid may hold up its caller; later ones never wait."""
MOST_NAMES: Final = 4096

_log: Final = logging.getLogger(__name__)


def account_name(uid: int) -> str | None:
    """The account's name by the system's name service; None where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError, OverflowError):
        return None


class UserNames:
    """A cache over the name service, which one daemon thread asks.

    An answer that is overdue is not waited for a second time: it counts as unknown until it comes.
    An old answer is given on while a new one is fetched.
    """

    def __init__(
        self,
        ask: Callable[[int], str | None] = account_name,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._known: OrderedDict[int, tuple[float, str | None]] = OrderedDict()
        self._asked: dict[int, threading.Event] = {}
        self._questions: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None

    def name(self, uid: int | None) -> str | None:
        """The name of the account, or None when it has none or the answer is not there in time."""
        if uid is None:
            return None
        with self._lock:
            known = self._known.get(uid)
            if known is not None and self._monotonic() - known[0] < FRESH_S:
                return known[1]
            waiting = self._asked.get(uid)
            first = waiting is None
            if waiting is None:
                waiting = self._asked[uid] = threading.Event()
                self._start_worker()
                self._questions.put(uid)
        if known is not None:
            return known[1]
        if first:
            waiting.wait(PATIENCE_S)
        with self._lock:
            known = self._known.get(uid)
            return known[1] if known is not None else None

    def __len__(self) -> int:
        return len(self._known)

    def close(self) -> None:
        """Ends the thread once it has its present answer."""
        with self._lock:
            if self._worker is not None:
                self._questions.put(None)
                self._worker = None

    def _start_worker(self) -> None:
        if self._worker is None:
            self._worker = threading.Thread(target=self._answer, name="user-names", daemon=True)
            self._worker.start()

    def _answer(self) -> None:
        while (uid := self._questions.get()) is not None:
            try:
                name = self._ask(uid)
            except Exception as error:  # noqa: BLE001 - whatever the name service does, later questions need the thread
                # Without the traceback: what a name service says may hold names.
                _log.error("the name service failed", extra={"facts": {"error": type(error).__name__}})
                name = None
            with self._lock:
                self._known[uid] = (self._monotonic(), name)
                self._known.move_to_end(uid)
                while len(self._known) > MOST_NAMES:
                    self._known.popitem(last=False)
                self._asked.pop(uid).set()
