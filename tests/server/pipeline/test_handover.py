"""An account that goes from one person to another: each event is about whoever had it then."""

from __future__ import annotations

from sqlalchemy import select

from server.people.facts import LeaverFlag
from server.people.flags import flag_person
from server.people.hr_import import import_people
from server.store.tables import channel_days, rule_days
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file


def _files(server: Server) -> dict[str, int]:
    with server.database.read() as connection:
        return {row.subject: row.files for row in connection.execute(select(channel_days))}


def _hr(server: Server, text: str, at: int) -> None:
    with server.database.begin() as connection:
        import_people(connection, text.encode(), actor="test", at=at)


def test_events_before_and_after_in_one_batch_are_judged_by_their_own_time(server: Server) -> None:
    desk = Endpoint("desk-1")
    desk.enrol(server.database)
    _hr(server, "id,accounts\n1,front\n2,bob\n", NOW - 10 * DAY)
    _hr(server, "id,accounts\n1,\n2,bob front\n", NOW - 2 * 3_600_000)
    times = (NOW - 3 * 3_600_000, NOW - 2 * 3_600_000 - 1, NOW - 2 * 3_600_000, NOW - 1)
    files = [copied_file(at, name=str(at), account="FRONT", host="desk-1") for at in times]
    server.take(desk.record(files[2:]), desk.record(files[:2]))
    assert _files(server) == {"person:1": 2, "person:2": 2}


def test_the_result_does_not_depend_on_how_events_were_cut(server: Server) -> None:
    desk = Endpoint("desk-1")
    desk.enrol(server.database)
    _hr(server, "id,accounts\n1,front\n2,\n", NOW - 10 * DAY)
    _hr(server, "id,accounts\n1,\n2,front\n", NOW - 3_600_000)
    files = [
        copied_file(NOW - at * 600_000, name=str(at), account="front", host="desk-1") for at in range(12)
    ]
    server.take(*(desk.record([each]) for each in files), records_per_batch=1)
    assert _files(server) == {"person:1": 5, "person:2": 7}


def test_after_the_last_hour_of_the_last_day_somebody_has_left_and_before_it_not(server: Server) -> None:
    desk = Endpoint("desk-1")
    desk.enrol(server.database)
    _hr(server, "id,accounts,tz\n1,ada,Asia/Shanghai\n", NOW - 10 * DAY)
    # 18:30 there; NOW is 19:06.
    flag = LeaverFlag(last_day=NOW // DAY, last_minute=18 * 60 + 30)
    with server.database.begin() as connection:
        flag_person(connection, "1", flag, actor="test", at=NOW - DAY, reason=None)
    server.take(desk.record([copied_file(NOW - 3_600_000, name="before", account="ada", host="desk-1")]))
    with server.database.read() as connection:
        before = set(connection.execute(select(rule_days.c.title)).scalars())
    server.take(desk.record([copied_file(NOW - 60_000, name="after", account="ada", host="desk-1")]))
    with server.database.read() as connection:
        after = set(connection.execute(select(rule_days.c.title)).scalars())
    assert not any("ormer employee" in title or "has left" in title for title in before)
    assert any("ormer employee" in title or "has left" in title for title in after - before), after
