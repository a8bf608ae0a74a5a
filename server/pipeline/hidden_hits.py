"""What exceptions hid in a batch: counted with the batch's own commit, so that each event counts once."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, case, update

from policies.exceptions import Hidden
from server.store.tables import hidden_hits
from server.store.upsert import insert_missing


class HiddenHits:
    """Hits, and the time of the last event, by exception, rule and local day."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, int], tuple[int, int]] = {}

    def add(self, hidden: Iterable[Hidden], day: int, time: int) -> None:
        for each in hidden:
            key = (each.exception_id, each.rule_id, day)
            count, last = self._found.get(key, (0, 0))
            self._found[key] = (count + 1, max(last, time))

    def write(self, connection: Connection) -> None:
        """Adds to what is there, in the order of the keys: other workers do so too."""
        table = hidden_hits
        keys = [
            dict(zip(("exception_id", "rule_id", "day"), key, strict=True)) for key in sorted(self._found)
        ]
        insert_missing(connection, table, [key | {"hits": 0, "last_time": 0} for key in keys])
        for (exception_id, rule_id, day), (count, last) in sorted(self._found.items()):
            connection.execute(
                update(table)
                .where(table.c.exception_id == exception_id, table.c.rule_id == rule_id, table.c.day == day)
                .values(
                    hits=table.c.hits + count,
                    last_time=case((table.c.last_time < last, last), else_=table.c.last_time),
                )
            )
