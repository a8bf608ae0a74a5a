"""HR says it late: a person's stored events are scored again, as if it had been known when they came."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from sqlalchemy import func, select, update

from event_schema.byte_size import byte_size
from event_schema.wire import WireRecord
from policies.engine import PolicySet
from server.alerts.evidence import evidence
from server.alerts.queries import Verdict, close_alert
from server.erasure.undone_imports import undo_import
from server.look_back.queue import look_back_state
from server.pipeline.worker import PipelineWorker
from server.store.tables import (
    alert_rows,
    alerts,
    event_blocks,
    leaver_versions,
    look_backs,
    people_imports,
    rule_days,
)
from tests.server.enrich.people_who_left import act
from tests.server.look_back.company import STAYS, TODAY, archive, date_of, enrolled, flag, take_over, unflag
from tests.server.look_back.outcomes import (
    LEFT,
    known,
    look_back,
    outcome,
    rows,
)
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.correlated import FAMILY, adds_up, rule
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.scored_company import activate, learnt_models


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


HOUR = 3_600_000
FACTS: dict[str, Callable[[Server], None]] = {
    "who is flagged": flag,
    "who left weeks ago": lambda server: flag(server, TODAY - 12, notice=TODAY - 40),
    "who left by HR's file": lambda server: take_over(
        server, f"id,accounts,last working day\nE1,alice,{date_of(TODAY - 9)}\n"
    ),
    "who was in no file before": lambda server: take_over(
        server,
        "id,accounts,department,last working day,time zone\n"
        f"E9,nobody,lab,{date_of(TODAY - 3)},Asia/Shanghai\n",
    ),
    "whose account goes to somebody else": lambda server: take_over(
        server,
        "id,accounts,since,last working day\nE1,,,\n"
        f"E2,bob alice,{date_of(TODAY - 10)},{date_of(TODAY + 3)}\n",
    ),
    "who moves to another time zone": lambda server: take_over(
        server, f"id,accounts,time zone,last working day\nE1,alice,America/New_York,{date_of(TODAY - 5)}\n"
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
        enrolled(server, endpoints)
        take_over(server, STAYS)
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
    found = []
    for late in (False, True):
        server, endpoint = new_server(), Endpoint("desk-1")
        enrolled(server, [endpoint])
        take_over(server, STAYS)
        activate(server.database, learnt_models()[0])
        if not late:
            flag(server)
        for day in range(4, -1, -1):
            files = [copied_file(NOW - day * DAY + n, size=10**9, device=f"s{day}") for n in range(3)]
            server.take(endpoint.record(files))
        if late:
            without = outcome(server)["anomalies"]
            flag(server)
            assert look_back(server) == 1
        found.append(outcome(server))
    assert found[0] == found[1]
    assert found[1]["anomalies"] != without


def test_a_flag_raises_an_alert_about_what_was_done_before_and_says_that_it_was_found_so(
    server: Server,
) -> None:
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    server.take(endpoint.record([archive(NOW - 20 * DAY), archive(NOW - 20 * DAY, account="bob")]))
    assert rows(server, alerts) == []
    before = rows(server, event_blocks)
    server.now += DAY
    flag(server)
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
    server.take(endpoint.record([archive(NOW + 1000, name="b.zip")]))
    (joined,) = rows(server, alerts)
    assert (joined["id"], joined["looked_back_at"]) == (alert["id"], alert["looked_back_at"])
    assert joined["last_time"] == NOW + 1000


def test_a_widened_alert_says_the_same_volume_in_its_sentence_and_beside_it(server: Server) -> None:
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    sizes = {20: 50_000_000, 12: 70_000_000, 3: 20_000_000}
    for back, size in sizes.items():
        server.take(endpoint.record([archive(NOW - back * DAY, size=size)]))
    server.now += DAY
    flag(server)
    assert look_back(server) == 1
    (alert,) = rows(server, alerts)
    (row,) = rows(server, alert_rows)
    days = alert["facts"]["days"]
    assert len(days) > 1
    assert alert["facts"]["total"] == {"days": len(days), "files": row["files"], "bytes": row["bytes"]}
    told = f"{byte_size(row['bytes'])} ({row['files']} files) on {len(days)} days in all"
    assert told in alert["sentence"]["en"]
    assert row["bytes"] > max(sizes.values())


def test_a_withdrawn_resignation_takes_the_hits_back_and_leaves_the_alert_to_people(server: Server) -> None:
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    server.take(endpoint.record([copied_file(NOW - DAY)]))
    flag(server)
    server.take(endpoint.record([archive(NOW - DAY, name="small.zip", size=1000)]))
    (alert,) = rows(server, alerts)
    assert [row["title"] for row in rows(server, rule_days) if "on notice" in row["title"]]
    unflag(server)
    assert look_back(server) == 1
    (left,) = rows(server, alerts)
    assert (left["status"], left["score"]) == ("open", alert["score"])
    assert left["sentence"]["en"] == alert["sentence"]["en"] + LEFT
    assert [row["title"] for row in rows(server, rule_days) if "on notice" in row["title"]] == []
    # Said again, it is an alert like before.
    flag(server)
    look_back(server)
    (again,) = rows(server, alerts)
    assert again["sentence"] == alert["sentence"]


NOTICED = "00000000-0000-4000-8000-000000000005"


def test_what_correlations_count_adds_up_as_if_notice_had_been_known(new_server: NewServer) -> None:
    policies = PolicySet(
        [rule(NOTICED, "copied", {"leaver.person.status": "notice", "file.name|endswith": ".zip"})],
        [adds_up(total=250_000_000, days=7)],
    )
    found = []
    for late in (False, True):
        server, endpoint = new_server(), Endpoint("desk-1")
        enrolled(server, [endpoint])
        take_over(server, STAYS)
        if not late:
            flag(server)
        server.log.append([endpoint.record([archive(NOW - day * DAY)]) for day in (9, 0, 5, 2, 4, 3, 1)])
        worker = PipelineWorker(server.database, server.log, clock=server.clock, policies=policies)
        while worker.step(0).records:
            pass
        if late:
            assert rows(server, alerts) == []
            flag(server)
            assert look_back(server, policies) == 1
        found.append(outcome(server))
    assert found[0] == found[1]
    (alert,) = found[1]["alerts"]
    assert alert["family"] == FAMILY
    assert found[1]["correlated"]


def test_what_was_found_in_events_that_cannot_be_read_any_more_stays(server: Server) -> None:
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    flag(server)
    server.take(endpoint.record([archive(NOW - 2 * DAY, name="1.zip"), archive(NOW - 2 * DAY, name="2.zip")]))
    server.take(endpoint.record([archive(NOW - 2 * DAY), archive(NOW - DAY)]))
    before = outcome(server)
    with server.database.begin() as connection:
        first = select(func.min(event_blocks.c.id)).scalar_subquery()
        damaged = update(event_blocks).where(event_blocks.c.id == first)
        connection.execute(damaged.values(value=b"what a broken disk left of it"))
    flag(server, TODAY + 9)
    look_back(server)
    after = outcome(server)
    for part in ("days", "rules", "places", "agents", "index"):
        assert after[part] == before[part], part
    assert len(after["alerts"]) == len(before["alerts"]) == 1


def test_an_import_that_is_undone_leaves_what_was_before_it(server: Server) -> None:
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    server.take(endpoint.record([archive(NOW - DAY, account="nobody"), archive(NOW - DAY)]))
    before = outcome(server)
    day = date_of(TODAY + 3)
    take_over(server, f"id,accounts,last working day\nE9,nobody,{day}\nE1,alice,{day}\n")
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
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    server.take(
        endpoint.record(
            [copied_file(NOW - DAY, name="a.zip", size=3 * 10**9, device=f"d{n}") for n in range(3)]
        )
    )
    found = rows(server, alerts)
    if found:
        with server.database.begin() as connection:
            close_alert(connection, found[0]["id"], Verdict.EXPECTED, "his work", "analyst", NOW)
    flag(server, TODAY - 3)
    look_back(server)
    (alert,) = [row for row in rows(server, alerts) if row["status"] == "open"]
    with server.database.read() as connection:
        assert evidence(connection, alert["id"]).total == 3
    assert "judged before" not in alert["sentence"]["en"]


def test_alerts_about_an_account_follow_its_events_to_whose_it_turned_out_to_be(server: Server) -> None:
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)

    def copies(day: int) -> None:
        files = [
            copied_file(NOW - day * DAY, name=f"{n}.zip", size=3 * 10**9, account="nobody", device=f"d{day}")
            for n in range(3)
        ]
        server.take(endpoint.record(files))

    copies(12)
    (closed,) = rows(server, alerts)
    with server.database.begin() as connection:
        close_alert(connection, closed["id"], Verdict.EXPECTED, "a test", "analyst", NOW)
    copies(1)
    opened = rows(server, alerts)[1]
    assert [alert["subject"] for alert in (closed, opened)] == ["account:nobody@laptop-1"] * 2
    take_over(server, "id,accounts\nE9,nobody\n")
    look_back(server)
    found = {alert["id"]: alert for alert in rows(server, alerts)}
    assert {alert["subject"] for alert in found.values()} == {"person:E9"}
    assert found[opened["id"]]["status"] == "open"
    assert found[opened["id"]]["account_owner"] == "E9"
    with server.database.read() as connection:
        assert evidence(connection, closed["id"]).total == 3
        assert evidence(connection, opened["id"]).total == 3
    # What was judged is not judged again.
    assert found[opened["id"]]["facts"]["days"] == opened["facts"]["days"]


def test_who_used_a_machine_after_its_user_left_is_scored_again_with_them(new_server: NewServer) -> None:
    bound = []
    for late in (False, True):
        server, endpoint = new_server(), Endpoint("desk-1")
        enrolled(server, [endpoint])
        take_over(server, STAYS)
        if not late:
            flag(server, TODAY - 12, notice=TODAY - 40)
        elsewhere = copied_file(NOW - 2 * DAY, account="carol", host="laptop-2", device="other")
        server.take(endpoint.record([archive(NOW - 20 * DAY), elsewhere]))
        server.take(endpoint.record([archive(NOW - 2 * DAY, account="bob")]))
        if late:
            flag(server, TODAY - 12, notice=TODAY - 40)
            assert look_back(server) == 1
            with server.database.read() as connection:
                # Carol was elsewhere.
                assert look_back_state(connection).events_finished == 2
        bound.append({key: entry[1]["device"] for key, entry in known(server, whole=True).items()})
    assert bound[0] == bound[1]
    assert [device.get("bound_to_left_person") for device in bound[1].values()][2]


def test_a_colleagues_login_from_the_machine_of_somebody_whose_leaving_is_told_late_leads_to_them(
    new_server: NewServer,
) -> None:
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
        hers = [act("boris", NOW - n * HOUR, device="phone-1", ip="198.51.100.7") for n in (5, 4, 3)]
        server.take(endpoint.record(hers))
        if late:
            assert rows(server, alerts) == []
            flag(server, TODAY - 60, notice=TODAY - 70)
            look_back(server)
            once = outcome(server)
            # Said again in other words: what counts for her already counts once.
            flag(server, TODAY - 60, notice=TODAY - 71)
            look_back(server)
            assert outcome(server)["days"] == once["days"]
            assert outcome(server)["rules"] == once["rules"]
        found.append(outcome(server))
    assert [alert["suspected_actor"] for alert in found[0]["alerts"]] == ["E1"]
    for part in ("days", "rules", "index", "alerts"):
        assert found[1][part] == found[0][part], part


def test_only_what_changes_a_past_is_queued(server: Server) -> None:
    endpoint = Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    assert rows(server, look_backs) == [], "nothing was stored yet"
    server.take(endpoint.record([archive(NOW - DAY)]))
    take_over(server, STAYS)
    take_over(server, STAYS.replace("sales", "research"))
    take_over(server, f"id,last working day\nE1,{date_of(TODAY + 200)}\n")
    take_over(server, "id,name\nE7,Somebody New\n")
    assert rows(server, look_backs) == []
    take_over(server, f"id,last working day\nE1,{date_of(TODAY + 80)}\n")
    assert [row["person_id"] for row in rows(server, look_backs)] == ["E1"]
