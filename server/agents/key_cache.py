"""Agents' keys in memory, so that a request costs no query; each is asked for again after a second.

So a revocation, made by another process, holds within KEPT_SECONDS. Only keys that exist are kept, so
requests with made-up names cannot push them out. Thread-safe.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from server.agents.registry import AgentKey, find_key
from server.store.database import Database

KEPT_SECONDS = 1.0
_KEYS_MAX = 20_000


class AgentKeyCache:
    """`monotonic` gives seconds."""

    def __init__(self, database: Database, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._monotonic = monotonic
        self._keys: dict[tuple[str, str], tuple[float, AgentKey]] = {}
        self._lock = threading.Lock()

    def find(self, agent: str, key_id: str) -> AgentKey | None:
        """The agent's key as the database had it at most KEPT_SECONDS ago. May ask the database."""
        place = (agent, key_id)
        now = self._monotonic()
        kept = self._keys.get(place)
        if kept is not None and now - kept[0] < KEPT_SECONDS:
            return kept[1]
        with self._database.read() as connection:
            key = find_key(connection, agent, key_id)
        with self._lock:
            self._keys.pop(place, None)
            if key is not None:
                if len(self._keys) >= _KEYS_MAX:
                    del self._keys[next(iter(self._keys))]
                self._keys[place] = (now, key)
        return key
