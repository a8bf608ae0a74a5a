"""Looking back while the pipeline goes on, HR says more, or the process dies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from server.store.tables import alerts, leaver_versions, rule_days, state_versions
from tests.server.enrich.people_who_left import act
from tests.server.look_back.company import STAYS, TODAY, archive, enrolled, flag, take_over
from tests.server.look_back.outcomes import indexed, known, look_back, looking_back, outcome, rows
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint

HOUR = 3_600_000
ON_NOTICE = "A person on notice copies to removable storage"


def test_events_that_come_while_it_goes_on_count_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.look_back.attempt.BLOCKS_A_PORTION", 2)
    monkeypatch.setattr("server.look_back.attempt.BLOCKS_AT_THE_END", 1)
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    server.take(*[endpoint.record([archive(NOW - n * DAY, name=f"{n}.zip")]) for n in range(10)])
    flag(server)
    worker = looking_back(server)
    left = [3, 3, 2, 1, 1]

    class MeanwhileRead(type(worker._pulse)):  # type: ignore[misc]
        def beat(self) -> None:
            super().beat()
            if left:
                server.take(
                    *[endpoint.record([archive(NOW - DAY, name="more.zip")]) for _ in range(left.pop())]
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


def test_a_worker_that_remembers_a_person_forgets_what_looking_back_replaced(server: Server) -> None:
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    worker = server.worker()
    server.log.append([endpoint.record([archive(NOW - DAY)])])
    assert worker.step(0).events == 1
    flag(server)
    look_back(server)
    server.log.append([endpoint.record([archive(NOW)])])
    assert worker.step(0).events == 1
    (alert,) = rows(server, alerts)
    assert alert["events"] == 2
    noticed = {row["day"]: row["hits"] for row in rows(server, rule_days) if row["title"] == ON_NOTICE}
    assert noticed == {TODAY - 1: 1, TODAY: 1}


def test_whatever_it_dies_of_it_begins_anew_and_counts_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.look_back.attempt.BLOCKS_A_PORTION", 1)
    monkeypatch.setattr("server.look_back.attempt.VERSIONS_A_TRANSACTION", 1)
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    server.take(*[endpoint.record([archive(NOW - n * DAY, name=f"{n}.zip")]) for n in range(6)])
    unknown = known(server)
    flag(server)
    whole = server.database.begin
    for fatal in range(1, 40):
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
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    server.take(endpoint.record([archive(NOW - DAY), archive(NOW - DAY, account="bob")]))
    worker = looking_back(server)
    said: list[Callable[[], None]] = []

    def meanwhile() -> None:
        if said:
            said.pop()()

    monkeypatch.setattr(worker._pulse, "beat", meanwhile)
    flag(server)
    said.append(lambda: flag(server, person="E3"))
    # That is about others, and waits by itself.
    assert [worker.step(), worker.step(), worker.step()] == [1, 1, 0]
    flag(server, TODAY + 7)
    said.append(lambda: flag(server, TODAY + 9))
    assert [worker.step(), worker.step(), worker.step()] == [0, 1, 0]
    assert {entry["person"].get("days_to_last_day") for _, entry in known(server).values()} == {10, None}
    assert len(rows(server, leaver_versions)) == 2
    versions = {row["key"]: row["version"] for row in rows(server, state_versions)}
    assert versions["person:E1"] > versions["person:E2"]


def test_it_ends_though_a_suspects_machine_is_in_steady_use_meanwhile(new_server: NewServer) -> None:
    found = []
    for late in (False, True):
        server, endpoint = new_server(), Endpoint("laptop-1")
        enrolled(server, [endpoint])
        take_over(server, "id,accounts,manager\nE2,boris,\nE1,alice,E2\n")
        if not late:
            flag(server, TODAY - 60, notice=TODAY - 70)
        own = [act("alice", NOW - n * DAY, device="phone-1", ip="198.51.100.7") for n in (89, 85, 80)]
        his = [act("boris", NOW - n * DAY, device="pc-2", ip="198.51.100.8") for n in (89, 70, 40, 3)]
        server.take(endpoint.record(own + his))
        more = [act("boris", NOW - n * HOUR, device="phone-1", ip="198.51.100.7") for n in (6, 5, 4, 3)]
        server.take(endpoint.record(more[:2]))
        if late:
            flag(server, TODAY - 60, notice=TODAY - 70)
            worker = looking_back(server)
            acts = [endpoint.record([event]) for event in more[2:]]

            class InUse(type(worker._pulse)):  # type: ignore[misc]
                def beat(self, acts: list[Any] = acts, server: Server = server) -> None:
                    super().beat()
                    if acts:
                        server.take(acts.pop(0))

            worker._pulse = InUse(60.0)
            assert worker.step() == 1
            assert len(acts) < 2
            server.take(*acts)
        else:
            server.take(endpoint.record(more[2:3]), endpoint.record(more[3:]))
        found.append(outcome(server))
    assert [alert["suspected_actor"] for alert in found[0]["alerts"]] == ["E1"]
    for part in ("days", "rules", "index", "alerts"):
        assert found[1][part] == found[0][part], part
