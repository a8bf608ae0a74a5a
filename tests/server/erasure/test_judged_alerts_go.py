"""What analysts did with the alerts of who is erased goes too, and what was merged into them is not lost."""

from __future__ import annotations

from sqlalchemy import select

from server.alerts.history import history_of
from server.alerts.queries import Verdict
from server.retention import ACTIVITY_DAYS
from server.store.tables import alert_history, alert_notes, alerts, followed_alerts, followed_subjects
from server.triage.following import follow, follow_subject
from server.triage.judging import close
from server.triage.merging import merge
from server.triage.reading import notes_of
from server.triage.verbs import assign, note
from tests.server.alerts.recorded_leak import open_alert
from tests.server.erasure.shared_machine import PERSON, erase, prepare, take_over, traces_in_rows
from tests.server.pipeline.conftest import Server
from tests.server.pipeline.endpoint import Endpoint
from tests.server.triage.queue import lost, of


def test_notes_and_history_go_and_parts_stand_by_themselves(server: Server) -> None:
    prepare(server, [Endpoint("desk-4")])
    take_over(server, "id,name\nE2,Jo Alder\nE3,Kim Birch\n")
    for number, subject in ((101, f"person:{PERSON}"), (102, "person:E2"), (103, "person:E3")):
        open_alert(server.database, events=1, subject=subject, alert_id=number)
    with server.database.begin() as connection:
        merge(connection, of(102), 101)
        assign(connection, of(101), "omar")
        note(connection, of(101, 102), f"Zymborska, Xanthippe ({PERSON}) and Jo did it together")
        follow(connection, of(101, 102), on=True)
        for subject in (f"person:{PERSON}", "person:E2"):
            follow_subject(connection, subject, "P-XXXXX", actor="user:omar", at=1, on=True)
        reason = f"as Xanthippe Zymborska ({PERSON}) said"
        close(connection, of(103), Verdict.EXPECTED, reason, activity_days=ACTIVITY_DAYS)
    erase(server)
    assert [trace for trace in traces_in_rows(server) if not trace.startswith("audit")] == []
    assert lost(server.database) == []
    with server.database.read() as connection:
        left = connection.execute(select(alerts.c.id, alerts.c.merged_into).where(alerts.c.id > 100)).all()
        assert sorted(map(tuple, left)) == [(102, None), (103, None)]
        assert connection.execute(select(alert_notes).where(alert_notes.c.alert == 101)).all() == []
        assert connection.execute(select(alert_history).where(alert_history.c.alert == 101)).all() == []
        (kept,) = notes_of(connection, 102)
        assert kept.text == "[name] ([name]) and Jo did it together"
        assert [step.verb for step in history_of(connection, 102)] == ["unmerge", "merge"]
        assert list(connection.execute(select(followed_alerts.c.alert)).scalars()) == [102]
        assert list(connection.execute(select(followed_subjects.c.subject)).scalars()) == ["person:E2"]
        assert history_of(connection, 103)[0].reason == "as [name] ([name]) said"
