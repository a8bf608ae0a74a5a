"""Alerts about an account follow its events to the person whose it turned out to be.

Only where all of its events went to one person. An alert that is not closed becomes theirs where they have
none of that family; else it stays, and says that nothing is left of it. What was judged, and the closed
alerts that show what it was, always go along.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, exists, select, update

from server.detection.assessment import ANOMALY, DRIFT
from server.store.tables import alerts, judged_days, subject_events
from server.store.upsert import upsert


def follow_events(connection: Connection, went_to: Mapping[str, set[str]], now: int) -> None:
    """`went_to`: subjects by the one that their events were of. The index is as it will be."""
    for old, news in sorted(went_to.items()):
        if len(news) != 1 or not old.startswith("account:"):
            continue
        left = select(exists().where(subject_events.c.subject == old))
        if not connection.execute(left).scalar():
            _follow(connection, old, next(iter(news)), now)


def _follow(connection: Connection, old: str, new: str, now: int) -> None:
    theirs = alerts.alias()
    taken = exists().where(
        theirs.c.subject == new, theirs.c.family == alerts.c.family, theirs.c.status != "closed"
    )
    goes = (alerts.c.subject == old) & ((alerts.c.status == "closed") | ~taken)
    values = {"subject": new, "looked_back_at": now, "updated_at": now}
    connection.execute(update(alerts).where(goes).values(values))
    judged = judged_days.c
    names = ("family", "rule_id", "day")
    columns = [*(judged[name] for name in names), judged["count"]]
    counts: dict[tuple[str, str, int], int] = {}
    for subject in (new, old):
        for *key, count in connection.execute(select(*columns).where(judged.subject == subject)):
            place = (key[0], key[1], key[2])
            before = counts.get(place, 0)
            # Hits add up, points do not.
            counts[place] = max(before, count) if place[1] in (ANOMALY, DRIFT) else before + count
    connection.execute(delete(judged_days).where(judged.subject == old))
    rows = [
        {"subject": new, "count": count} | dict(zip(names, place, strict=True))
        for place, count in counts.items()
    ]
    upsert(connection, judged_days, rows)
