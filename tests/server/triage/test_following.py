"""Following alerts and people: for one's own eyes, with those to come, gone with what was followed."""

from __future__ import annotations

from sqlalchemy import delete, func, select

from server import audit
from server.store.database import Database
from server.store.tables import alerts, followed_alerts
from server.triage.following import follow, follow_subject, follows_subject, read_followed
from server.triage.merging import merge
from server.triage.outcome import Outcome, Why
from server.triage.verbs import assign
from tests.server.alerts.recorded_leak import NOW, open_alert
from tests.server.triage.queue import EVE, OMAR, column, of, queue, write


def followed(database: Database, actor: str = OMAR) -> dict[int, str]:
    with database.read() as connection:
        return dict(read_followed(connection, list(range(1, 10)), actor))


def test_alerts_are_followed_by_one_alone_until_they_are_no_longer(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        assign(connection, of(1, actor=EVE), "eve")
        # What others did meanwhile is no reason to refuse it.
        first = follow(connection, of(1, 2, 99, versions={1: 0}), on=True)
        again = follow(connection, of(1), on=True)
    assert (first.done, first.changed, first.group) == ((1, 2), (1, 2), None)
    assert [(each.id, each.why) for each in first.refused] == [(99, Why.UNKNOWN)]
    assert again == Outcome("follow", (1,))
    assert (followed(database), followed(database, EVE)) == ({1: "alert", 2: "alert"}, {})
    with database.begin() as connection:
        assert follow(connection, of(1, 3), on=False).changed == (1,)
        told = [(e.actor, e.action, e.object) for e in audit.newest(connection, limit=3)]
        connection.execute(delete(alerts).where(alerts.c.id == 2))
        assert connection.execute(select(func.count()).select_from(followed_alerts)).scalar() == 0
    assert told == [
        (OMAR, "alert.unfollow", "alert:1"), (OMAR, "alert.follow", "alert:2"),
        (OMAR, "alert.follow", "alert:1"),
    ]  # fmt: skip
    # Nothing of the alert changed.
    assert column(database, "triage_version") == {1: 1, 3: 0}


def test_whoever_follows_a_person_follows_what_comes_of_them(database: Database) -> None:
    queue(database)
    with database.begin() as connection:
        assert follow_subject(connection, "person:p2", "P-22222", actor=OMAR, at=NOW, on=True)
        assert not follow_subject(connection, "person:p2", "P-22222", actor=OMAR, at=NOW, on=True)
    open_alert(database, events=1, subject="person:p9", alert_id=7)
    write(database, 7, subject="person:p2", family="upload")
    assert (followed(database), followed(database, EVE)) == ({2: "about", 7: "about"}, {})
    with database.begin() as connection:
        merge(connection, of(2), 1)
        assert (follows_subject(connection, "person:p2", OMAR), audit.verify(connection)) == (True, None)
    # The main alert is shown for its parts.
    assert followed(database) == {1: "about", 2: "about", 7: "about"}
    with database.begin() as connection:
        follow(connection, of(7), on=True)
        assert follow_subject(connection, "person:p2", "P-22222", actor=OMAR, at=NOW, on=False)
    assert followed(database) == {7: "alert"}
