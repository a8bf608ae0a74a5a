"""Who looked at what: a row of the audit trail for each user, object and hour, before anything is shown.

Whoever opens the same alert ten times within an hour saw it once. What was written is remembered here, so
only the first sight writes; after a restart there may be one row more.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from server import audit
from server.console.page import Ask, Console

HOUR_MS: Final = 3_600_000
REMEMBERED_MAX: Final = 50_000


class Views:
    """What was written lately; one for a listener."""

    def __init__(self, _console: Console) -> None:
        self._written: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._lock = threading.Lock()

    def is_new(self, actor: str, object: str, hour: int) -> bool:
        with self._lock:
            return self._written.get((actor, object)) != hour

    def written(self, actor: str, object: str, hour: int) -> None:
        with self._lock:
            self._written.pop((actor, object), None)
            self._written[actor, object] = hour
            while len(self._written) > REMEMBERED_MAX:
                self._written.popitem(last=False)


def note_view(console: Console, ask: Ask, object: str) -> None:
    """To be called before the object is shown: "alert:7", "person:E123", "case:3". The row's action is
    "alert.view" and so on. Needs no open transaction. Raises StoreUnavailable: then nothing may be shown."""
    views = console.made(Views)
    actor, hour = ask.viewer.actor, ask.now // HOUR_MS
    if not views.is_new(actor, object, hour):
        return
    action = f"{object.partition(':')[0]}.view"
    with console.database.begin() as connection:
        audit.append(
            connection, at=ask.now, actor=actor, action=action, object=object[: audit.OBJECT_CHARACTERS]
        )
    views.written(actor, object, hour)
