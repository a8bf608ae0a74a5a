"""HR says it late: a person's stored events are scored again, as if it had been known when they came."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from analytics.storage_model import StorageModel
from event_schema.ocsf_events import Event
from event_schema.wire import WireRecord
from server.alerts.evidence import evidence
from server.alerts.queries import Verdict, close_alert
from server.detection.storage_anomaly import CHANNEL
from server.look_back.queue import look_back_state
from server.people.facts import LeaverFlag
from server.people.flags import flag_person, unflag_person
from server.people.hr_import import import_people
from server.people.undo import undo_import
from server.store.tables import (
    alerts,
    event_blocks,
    leaver_versions,
    look_backs,
    models,
    people_imports,
    rule_days,
    state_versions,
)
from tests.analytics.simulated_company import simulated_histories, training_set
from tests.server.look_back.outcomes import (
    LEFT,
    indexed,
    known,
    look_back,
    looking_back,
    outcome,
    rows,
)
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

TODAY = NOW // DAY
STAYS = "id,accounts,department,last working day\nE1,alice,sales,\nE2,bob,sales,\nE3,carol,lab,\n"


def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _import(server: Server, text: str) -> None:
    with server.database.begin() as connection:
        import_people(connection, text.encode(), actor="HR", at=server.now)


def _flag(server: Server, last_day: int = TODAY + 6, person: str = "E1", notice: int | None = None) -> None:
    with server.database.begin() as connection:
        flag = LeaverFlag(last_day=last_day, notice_day=notice)
        flag_person(connection, person, flag, actor="x", at=server.now, reason="r")


def _unflag(server: Server, person: str = "E1") -> None:
    with server.database.begin() as connection:
        unflag_person(connection, person, actor="x", at=server.now, reason="r")


def _enrolled(server: Server, endpoints: list[Endpoint]) -> None:
    for endpoint in endpoints:
        endpoint.enrol(server.database)


def _secrets(
    time: int, *, account: str = "alice", name: str = "customers.zip", size: int = 50_000_000
) -> Event:
    """An archive on a stick: policies look at it once its person is leaving."""
    return copied_file(time, name=name, size=size, account=account)


def _flow(dice: random.Random, endpoints: list[Endpoint]) -> list[WireRecord]:
    """Four weeks of three people and an account of nobody on shared machines, some of it late, some twice."""
    records: list[WireRecord] = []
    for _ in range(14):
        endpoint = dice.choice(endpoints)
        files = [
            copied_file(
                NOW - dice.randrange(28) * DAY - dice.randrange(DAY),
                name=f"{dice.randrange(10**6)}.{dice.choice(('zip', 'xlsx', 'pdf'))}",
                size=dice.choice((1000, 10**6, 10**9)),
                account=dice.choice(("alice", "alice", "bob", "carol", "nobody")),
                device=f"stick-{dice.randrange(4)}",
                host=endpoint.name,
            )
            for _ in range(dice.randint(1, 5))
        ]
        records.append(endpoint.record(files))
        if dice.random() < 0.2:
            records.append(dice.choice(records))
    return records


FACTS: dict[str, Callable[[Server], None]] = {
    "who is flagged": _flag,
    "who left weeks ago": lambda server: _flag(server, TODAY - 12, notice=TODAY - 40),
    "who left by HR's file": lambda server: _import(
        server, f"id,accounts,last working day\nE1,alice,{_date(TODAY - 9)}\n"
    ),
    "who was in no file before": lambda server: _import(
        server,
        "id,accounts,department,last working day,time zone\n"
        f"E9,nobody,lab,{_date(TODAY - 3)},Asia/Shanghai\n",
    ),
    "whose account goes to somebody else": lambda server: _import(
        server,
        f"id,accounts,since,last working day\nE1,,,\nE2,bob alice,{_date(TODAY - 10)},{_date(TODAY + 3)}\n",
    ),
    "who moves to another time zone": lambda server: _import(
        server, f"id,accounts,time zone,last working day\nE1,alice,America/New_York,{_date(TODAY - 5)}\n"
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("facts", FACTS)
def test_facts_that_come_late_leave_what_they_would_have_left_in_time(
    new_server: NewServer, facts: str, seed: int
) -> None:
    dice = random.Random(seed)
    endpoints = [Endpoint("desk-1"), Endpoint("desk-2", epoch="e" * 16)]
    records = _flow(dice, endpoints)
    servers = []
    for late in (False, True):
        server = new_server()
        _enrolled(server, endpoints)
        _import(server, STAYS)
        if not late:
            FACTS[facts](server)
        server.take(*records, records_per_batch=dice.randint(1, 5))
        if late:
            FACTS[facts](server)
            assert look_back(server) == 1
        servers.append(server)
    in_time, too_late = map(outcome, servers)
    for part, wanted in in_time.items():
        assert too_late[part] == wanted, part
    assert in_time["alerts"], "a flow that raises nothing shows nothing"


def test_the_anomaly_of_a_day_is_weighed_as_if_notice_had_been_known(new_server: NewServer) -> None:
    model = StorageModel.train(training_set(simulated_histories(1, people=150, days=60), 0, 60), seed=1)
    found = []
    for late in (False, True):
        server, endpoint = new_server(), Endpoint("desk-1")
        _enrolled(server, [endpoint])
        _import(server, STAYS)
        with server.database.begin() as connection:
            row = {"kind": CHANNEL, "created_at": 0, "active": True, "summary": {}}
            connection.execute(insert(models).values(**row, state=model.to_bytes()))
        if not late:
            _flag(server)
        for day in range(4, -1, -1):
            files = [copied_file(NOW - day * DAY + n, size=10**9, device=f"s{day}") for n in range(3)]
            server.take(endpoint.record(files))
        if late:
            without = [row["anomaly"] for row in outcome(server)["days"]]
            _flag(server)
            assert look_back(server) == 1
        found.append(outcome(server))
    assert found[0] == found[1]
    assert [row["anomaly"] for row in found[1]["days"]] != without


def test_a_flag_raises_an_alert_about_what_was_done_before_and_says_that_it_was_found_so(
    server: Server,
) -> None:
    endpoint = Endpoint("desk-1")
    _enrolled(server, [endpoint])
    _import(server, STAYS)
    server.take(endpoint.record([_secrets(NOW - 20 * DAY), _secrets(NOW - 20 * DAY, account="bob")]))
    assert rows(server, alerts) == []
    before = rows(server, event_blocks)
    server.now += DAY
    _flag(server)
    assert look_back(server) == 1
    (alert,) = rows(server, alerts)
    assert (alert["subject"], alert["family"]) == ("person:E1", "removable_storage_copy")
    assert alert["looked_back_at"] == alert["opened_at"] == server.now
    assert alert["last_time"] == NOW - 20 * DAY
    with server.database.read() as connection:
        proven = evidence(connection, alert["id"])
        state = look_back_state(connection)
    (event,) = proven.events
    assert (event.leaver.person.status, event.leaver.person.days_to_last_day) == ("notice", 26)
    assert (state.waiting, state.finished, state.opened, state.events_finished) == (0, 1, 1, 1)
    # What was known when it came is kept, and the events are as they were signed.
    assert rows(server, event_blocks) == before
    assert len(rows(server, leaver_versions)) == 1
    # The alert goes on as any other: what comes later joins it, and does not take the mark away.
    server.take(endpoint.record([_secrets(NOW + 1000, name="b.zip")]))
    (joined,) = rows(server, alerts)
    assert (joined["id"], joined["looked_back_at"]) == (alert["id"], alert["looked_back_at"])
    assert joined["last_time"] == NOW + 1000


def test_a_withdrawn_resignation_takes_the_hits_back_and_leaves_the_alert_to_people(server: Server) -> None:
    endpoint = Endpoint("desk-1")
    _enrolled(server, [endpoint])
    _import(server, STAYS)
    server.take(endpoint.record([copied_file(NOW - DAY)]))
    without = outcome(server)["rules"]
    _flag(server)
    server.take(endpoint.record([_secrets(NOW - DAY, name="small.zip", size=1000)]))
    (alert,) = rows(server, alerts)
    _unflag(server)
    assert look_back(server) == 1
    (left,) = rows(server, alerts)
    assert (left["status"], left["score"]) == ("open", alert["score"])
    assert left["sentence"]["en"] == alert["sentence"]["en"] + LEFT
    assert outcome(server)["rules"] == without
    # Said again, it is an alert like before.
    _flag(server)
    look_back(server)
    (again,) = rows(server, alerts)
    assert again["sentence"] == alert["sentence"]


def test_an_import_that_is_undone_leaves_what_was_before_it(server: Server) -> None:
    endpoint = Endpoint("desk-1")
    _enrolled(server, [endpoint])
    _import(server, STAYS)
    server.take(endpoint.record([_secrets(NOW - DAY, account="nobody"), _secrets(NOW - DAY)]))
    before = outcome(server)
    day = _date(TODAY + 3)
    _import(server, f"id,accounts,last working day\nE9,nobody,{day}\nE1,alice,{day}\n")
    assert look_back(server) == 2
    assert outcome(server)["index"] != before["index"]
    assert {alert["subject"] for alert in outcome(server)["alerts"]} == {"person:E1", "person:E9"}
    with server.database.begin() as connection:
        last = connection.execute(select(func.max(people_imports.c.id))).scalar_one()
        undo_import(connection, last, actor="HR", at=server.now)
    assert look_back(server) == 2
    after = outcome(server)
    for part in ("days", "rules", "places", "agents", "index", "known"):
        assert after[part] == before[part], part


def test_what_was_judged_under_other_facts_is_evidence_again(server: Server) -> None:
    endpoint = Endpoint("desk-1")
    _enrolled(server, [endpoint])
    _import(server, STAYS)
    server.take(
        endpoint.record(
            [copied_file(NOW - DAY, name="a.zip", size=3 * 10**9, device=f"d{n}") for n in range(3)]
        )
    )
    found = rows(server, alerts)
    if found:
        with server.database.begin() as connection:
            close_alert(connection, found[0]["id"], Verdict.EXPECTED, "his work", "analyst", NOW)
    _flag(server, TODAY - 3)
    look_back(server)
    (alert,) = [row for row in rows(server, alerts) if row["status"] == "open"]
    with server.database.read() as connection:
        assert evidence(connection, alert["id"]).total == 3
    assert "judged before" not in alert["sentence"]["en"]


def test_only_what_changes_a_past_is_queued(server: Server) -> None:
    endpoint = Endpoint("desk-1")
    _enrolled(server, [endpoint])
    _import(server, STAYS)
    assert rows(server, look_backs) == [], "nothing was stored yet"
    server.take(endpoint.record([_secrets(NOW - DAY)]))
    _import(server, STAYS)
    _import(server, STAYS.replace("sales", "research"))
    _import(server, f"id,last working day\nE1,{_date(TODAY + 200)}\n")
    _import(server, "id,name\nE7,Somebody New\n")
    assert rows(server, look_backs) == []
    _import(server, f"id,last working day\nE1,{_date(TODAY + 80)}\n")
    assert [row["person_id"] for row in rows(server, look_backs)] == ["E1"]


def test_events_that_come_while_it_goes_on_count_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.look_back.looking_back.BLOCKS_A_PORTION", 2)
    monkeypatch.setattr("server.look_back.looking_back.BLOCKS_AT_THE_END", 1)
    endpoint = Endpoint("desk-1")
    _enrolled(server, [endpoint])
    _import(server, STAYS)
    server.take(*[endpoint.record([_secrets(NOW - n * DAY, name=f"{n}.zip")]) for n in range(10)])
    _flag(server)
    worker = looking_back(server)
    left = [3, 3, 2, 1, 1]

    class MeanwhileRead(type(worker._pulse)):  # type: ignore[misc]
        def beat(self) -> None:
            super().beat()
            if left:
                server.take(
                    *[endpoint.record([_secrets(NOW - DAY, name="more.zip")]) for _ in range(left.pop())]
                )

    worker._pulse = MeanwhileRead(60.0)
    assert worker.step() == 1
    assert not left
    assert sum(row["files"] for row in outcome(server)["days"]) == 20
    hits = {row["rule_id"]: 0 for row in rows(server, rule_days)}
    for row in rows(server, rule_days):
        hits[row["rule_id"]] += row["hits"]
    assert max(hits.values()) == 20
    assert len(indexed(server)) == 20


def test_whatever_it_dies_of_it_begins_anew_and_counts_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.look_back.looking_back.BLOCKS_A_PORTION", 1)
    endpoint = Endpoint("desk-1")
    _enrolled(server, [endpoint])
    _import(server, STAYS)
    server.take(*[endpoint.record([_secrets(NOW - n * DAY, name=f"{n}.zip")]) for n in range(6)])
    unknown = known(server)
    _flag(server)
    whole = server.database.begin
    for fatal in range(1, 12):
        calls = 0

        def dies(**settings: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == fatal:  # noqa: B023 - called within this turn of the loop
                raise ConnectionResetError
            return whole(**settings)

        monkeypatch.setattr(server.database, "begin", dies)
        try:
            looking_back(server).step()
        except ConnectionResetError:
            # What is written beside the blocks does not count before the end.
            assert known(server) == unknown
            assert rows(server, alerts) == []
        else:
            break
    monkeypatch.undo()
    assert fatal > 8
    assert len(rows(server, alerts)) == 1
    assert len({row["version"] for row in rows(server, leaver_versions)}) == 1
    assert {entry["person"]["status"] for _, entry in known(server).values()} == {"notice"}
    assert look_back(server) == 0


def test_what_hr_says_meanwhile_begins_it_anew_where_it_is_about_the_same_people(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint("desk-1")
    _enrolled(server, [endpoint])
    _import(server, STAYS)
    server.take(endpoint.record([_secrets(NOW - DAY), _secrets(NOW - DAY, account="bob")]))
    worker = looking_back(server)
    said: list[Callable[[], None]] = []

    def meanwhile() -> None:
        if said:
            said.pop()()

    monkeypatch.setattr(worker._pulse, "beat", meanwhile)
    _flag(server)
    said.append(lambda: _flag(server, person="E3"))
    # That is about others, and waits by itself.
    assert [worker.step(), worker.step(), worker.step()] == [1, 1, 0]
    _flag(server, TODAY + 7)
    said.append(lambda: _flag(server, TODAY + 9))
    assert [worker.step(), worker.step(), worker.step()] == [0, 1, 0]
    assert {entry["person"].get("days_to_last_day") for _, entry in known(server).values()} == {10, None}
    assert len(rows(server, leaver_versions)) == 2
    versions = {row["key"]: row["version"] for row in rows(server, state_versions)}
    assert versions["person:E1"] > versions["person:E2"]
