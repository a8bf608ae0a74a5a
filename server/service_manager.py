"""Tells systemd that the server is ready, alive, or stopping: datagrams to $NOTIFY_SOCKET (sd_notify(3)).

Without that variable nothing is told. With WatchdogSec= in the unit, `alive` is told twice in that time,
and systemd starts a server again that has not said so.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping

_logger = logging.getLogger("leaver.server")


class ServiceManager:
    """`environment`: as systemd sets it. One thread uses it."""

    def __init__(
        self, environment: Mapping[str, str], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._monotonic = monotonic
        self._interval = _watchdog_seconds(environment) / 2
        self._alive_at = -self._interval

    def ready(self) -> None:
        self._say("READY=1")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def alive(self) -> None:
        """Call it often: it is told as often as systemd wants to hear it."""
        now = self._monotonic()
        if self._interval and now - self._alive_at >= self._interval:
            self._alive_at = now
            self._say("WATCHDOG=1")

    def _say(self, words: str) -> None:
        if not self._address:
            return
        # "@name" is a name in the abstract namespace.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(1.0)
                channel.sendto(words.encode(), address)
        except OSError as error:
            _logger.warning("service_manager_not_told", extra={"errno": error.errno})


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """0: nobody watches, or watches another process."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    value = environment.get("WATCHDOG_USEC", "")
    return int(value) / 1e6 if value.isascii() and value.isdigit() and len(value) < 16 else 0.0
