"""A few slow readings at once: what opens stored events or long files leaves threads for quick pages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from server.api.errors import ApiError
from server.console.page import Console

AT_ONCE: Final = 3
WAIT_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 3


class SlowReads:
    """`console.made(SlowReads)`."""

    def __init__(self, _console: Console) -> None:
        self._places = threading.BoundedSemaphore(AT_ONCE)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Raises ApiError(503) where so many others read for as long as one waits here."""
        if not self._places.acquire(timeout=WAIT_SECONDS):
            raise ApiError(
                503, "busy", "others read much just now: try again soon", retry_after=RETRY_SECONDS
            )
        try:
            yield
        finally:
            self._places.release()
