"""Correlations on the server: one alert with the evidence of all steps, whatever the cuts and the order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from event_schema.ocsf_events import Event
from event_schema.wire import WireRecord
from policies.correlation.group_state import decode_group
from policies.engine import PolicySet
from server.alerts.evidence import evidence_events
from server.detection.alert_text import LATE_EN
from server.erasure.erasing import begin, carry_out
from server.erasure.plan import days_target, person_target
from server.evidence_seal import SealKey
from server.housekeeping import drop_old
from server.pipeline.subject_correlations import LIMITS
from server.pipeline.worker import PipelineWorker
from server.store.tables import alert_days, alerts, correlated_ranges, correlation_groups, rule_days
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.correlated import (
    ADDS_UP,
    COPIED,
    FAMILY,
    IN_ORDER,
    adds_up,
    policies,
    steps,
)
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.test_worker import rows

TODAY = NOW // DAY
SEQUENCE = [("dump.sql", NOW - 2 * DAY), ("all.zip", NOW - DAY), ("out.pdf", NOW)]
_OUTCOME: dict[Any, tuple[str, ...]] = {
    rule_days: (),
    correlation_groups: (),
    alerts: ("id", "opened_at", "updated_at", "policy_version"),
    alert_days: ("alert",),
    correlated_ranges: ("alert",),
}


def worker(server: Server, policy: PolicySet, records: int = 100, **more: Any) -> PipelineWorker:
    return PipelineWorker(
        server.database, server.log, clock=server.clock, policies=policy, records_per_batch=records, **more
    )


def take(server: Server, policy: PolicySet, *records: WireRecord, at_once: int = 100) -> None:
    server.log.append(records)
    working = worker(server, policy, at_once)
    while working.step(0).records:
        pass


def outcome(server: Server) -> dict[str, list[Any]]:
    with server.database.read() as connection:
        return {
            table.name: sorted(
                (
                    _whenever_it_came(row._asdict())
                    for row in connection.execute(select(*(c for c in table.c if c.name not in without)))
                ),
                key=repr,
            )
            for table, without in _OUTCOME.items()
        }


def _whenever_it_came(row: dict[str, Any]) -> tuple[Any, ...]:
    """Without the marks of what came late, which are all that the order of arrival may show in."""
    if "state" in row:
        key, kept = decode_group(row["state"])
        entries = [msgspec.structs.replace(entry, late=False) for entry in kept.entries]
        days = [msgspec.structs.replace(day, late=False) for day in kept.days]
        row["state"] = (key, msgspec.structs.replace(kept, entries=entries, days=days))
    if "facts" in row:
        for fired in row["facts"]["rules"]:
            fired.pop("late", None)
        row["sentence"] = row["sentence"]["en"].replace(LATE_EN, "")
    return tuple(row.values())


def evidence_names(server: Server, alert: int) -> list[str]:
    with server.database.read() as connection:
        damaged: list[str] = []
        found = list(evidence_events(connection, alert, damaged))
        assert damaged == []
    return sorted(each.event.file.name for each in found)  # type: ignore[union-attr]


def enrolled(server: Server, *names: str) -> list[Endpoint]:
    endpoints = [Endpoint(name, epoch=f"{at:016x}") for at, name in enumerate(names)]
    for endpoint in endpoints:
        endpoint.enrol(server.database)
    return endpoints


def test_steps_over_three_days_are_one_alert_with_the_events_of_all_of_them(server: Server) -> None:
    server.employ("p1", "alice")
    (laptop,) = enrolled(server, "laptop")
    noise = copied_file(NOW - 2 * DAY, name="holiday.jpg")
    take(
        server,
        policies(),
        laptop.record([noise, *(copied_file(time, name=name) for name, time in SEQUENCE)]),
    )
    (alert,) = rows(server, alerts)
    assert (alert["subject"], alert["family"], alert["score"]) == ("person:p1", FAMILY, 95)
    assert [rule["id"] for rule in alert["facts"]["rules"]] == [IN_ORDER]
    assert evidence_names(server, alert["id"]) == ["all.zip", "dump.sql", "out.pdf"]
    assert [(each["channel"], TODAY - each["day"]) for each in rows(server, alert_days)] == [
        ("removable_storage", 2),
        ("removable_storage", 1),
        ("removable_storage", 0),
    ]
    assert (alert["first_time"], alert["events"]) == (NOW - 2 * DAY, 3)
    assert "late" not in alert["facts"]["rules"][0]
    assert [step["time"] for step in alert["facts"]["steps"]] == [time for _, time in SEQUENCE]


def test_a_step_that_leads_nowhere_is_no_evidence(server: Server) -> None:
    (laptop,) = enrolled(server, "laptop")
    before = [("out.early.pdf", NOW - 2 * DAY - 2), ("early.zip", NOW - 2 * DAY - 1)]
    after = [("later.sql", NOW + 1), ("later.zip", NOW + 2)]
    events = [copied_file(time, name=name) for name, time in (*before, *SEQUENCE, *after)]
    take(server, policies(), laptop.record(events))
    (alert,) = rows(server, alerts)
    assert evidence_names(server, alert["id"]) == ["all.zip", "dump.sql", "out.pdf"]
    assert alert["events"] == 3


def test_what_a_late_event_completed_says_so(server: Server) -> None:
    (laptop, desktop) = enrolled(server, "laptop", "desktop")
    events = [copied_file(time, name=name, host="one-name") for name, time in SEQUENCE]
    take(server, policies(), laptop.record([events[0], events[2]]))
    assert rows(server, alerts) == []
    take(server, policies(), desktop.record([events[1]]))
    (alert,) = rows(server, alerts)
    assert alert["facts"]["rules"][0]["late"] is True
    assert alert["sentence"]["en"].endswith("; an event that came late completed it")
    assert evidence_names(server, alert["id"]) == ["all.zip", "dump.sql", "out.pdf"]


def test_many_last_steps_do_not_push_out_the_first_ones(server: Server) -> None:
    (laptop,) = enrolled(server, "laptop")
    many = [copied_file(NOW + at, name=f"out{at}.pdf") for at in range(LIMITS.entries_in_group + 200)]
    events = [copied_file(time, name=name) for name, time in SEQUENCE]
    told = [*events, *many]
    take(server, policies(), *(laptop.record(told[at : at + 150]) for at in range(0, len(told), 150)))
    (alert,) = rows(server, alerts)
    names = evidence_names(server, alert["id"])
    assert names[:2] == ["all.zip", "dump.sql"]
    assert f"out{len(many) - 1}.pdf" in names


@pytest.mark.parametrize(
    "changed",
    [
        [SEQUENCE[1], SEQUENCE[0], SEQUENCE[2]],
        [(name, NOW + (at - 2) * 2 * DAY) for at, (name, _) in enumerate(SEQUENCE)],
        SEQUENCE[1:],
    ],
    ids=["another order", "too slow", "a step is missing"],
)
def test_other_sequences_are_no_alert(server: Server, changed: list[tuple[str, int]]) -> None:
    (laptop,) = enrolled(server, "laptop")
    events = [copied_file(NOW - (3 - at), name=name) for at, (name, _) in enumerate(changed)]
    if changed[0][0] == "dump.sql":
        events = [copied_file(time, name=name) for name, time in changed]
    take(server, policies(), laptop.record(events))
    assert rows(server, alerts) == []


def test_steps_of_different_people_are_nobody_s_sequence(server: Server) -> None:
    (laptop,) = enrolled(server, "laptop")
    accounts = ("alice", "bob", "alice")
    events = [
        copied_file(when, name=name, account=account)
        for (name, when), account in zip(SEQUENCE, accounts, strict=True)
    ]
    take(server, policies(), laptop.record(events))
    assert rows(server, alerts) == []


def test_many_small_copies_add_up_over_days(server: Server) -> None:
    (laptop,) = enrolled(server, "laptop")
    days = [6, 5, 3, 1, 0]
    events = [copied_file(NOW - day * DAY, name=f"{day}.doc", size=1_000) for day in days]
    take(server, policies(), laptop.record(events[:-1]))
    assert rows(server, alerts) == []
    take(server, policies(), laptop.record(events[-1:]))
    (alert,) = rows(server, alerts)
    assert alert["facts"]["rules"][0]["id"] == ADDS_UP
    assert evidence_names(server, alert["id"]) == ["0.doc", "1.doc", "3.doc", "5.doc", "6.doc"]
    (group,) = [g for g in rows(server, correlation_groups) if g["rule_id"] == ADDS_UP]
    assert (TODAY - group["first_day"], TODAY - group["last_day"]) == (6, 0)
    assert len(group["state"]) < 250


def _company(seed: int) -> dict[Endpoint, list[tuple[int, Event]]]:
    """Events of three accounts on two endpoints, with their places in each endpoint's order."""
    dice = random.Random(seed)
    names = ["dump.sql", "all.zip", "out.pdf", "a.doc", "b.doc", "holiday.jpg"]
    found: dict[Endpoint, list[tuple[int, Event]]] = {}
    for place in range(2):
        endpoint = Endpoint(f"desk-{place}", epoch=f"{place:016x}")
        found[endpoint] = [
            (
                at,
                copied_file(
                    NOW - dice.randrange(12) * DAY - dice.randrange(5) * 1000,
                    name=dice.choice(names),
                    size=dice.randrange(2_000),
                    account=dice.choice(["alice", "bob", "carol"]),
                    host="one-name-for-all",
                ),
            )
            for at in range(24)
        ]
    return found


def test_neither_cuts_nor_restarts_nor_the_order_of_arrival_show(new_server: NewServer) -> None:
    seed = 1
    company = _company(seed)
    dice = random.Random(seed)
    endpoints = list(company)
    records = {
        endpoint: [endpoint.record([event]) for _, event in events] for endpoint, events in company.items()
    }
    outcomes = []
    for way in ("at once", "one by one, restarted", "the other way round", "shuffled"):
        server = new_server()
        server.employ("p1", "alice")
        for endpoint in endpoints:
            endpoint.enrol(server.database)
        arriving = [record for endpoint in endpoints for record in records[endpoint]]
        if way == "the other way round":
            arriving.reverse()
        elif way == "shuffled":
            dice.shuffle(arriving)
        if way == "one by one, restarted":
            server.log.append(arriving)
            for _ in arriving:
                assert worker(server, policies(), 1).step(0).records == 1
        else:
            take(server, policies(), *arriving, at_once=100 if way == "at once" else 3)
        outcomes.append(outcome(server))
    assert {day[1] for day in outcomes[0]["rule_days"]} >= {IN_ORDER, ADDS_UP}
    for other in outcomes[1:]:
        assert other == outcomes[0]


_FOREVER = """
import sys
from pathlib import Path
from tests.server.pipeline.conftest import Server
from tests.server.pipeline.correlated import policies
from tests.server.pipeline.test_correlations import worker
server = Server(Path(sys.argv[1]), sys.argv[2])
working = worker(server, policies(), 1)
print("ready", flush=True)
while working.step(0).records:
    print("step", flush=True)
"""


@pytest.mark.databases("sqlite")
def test_kill_nine_changes_nothing(new_server: NewServer) -> None:
    company = _company(4)
    records = [endpoint.record([event]) for endpoint, events in company.items() for _, event in events]
    outcomes = []
    for killed in (False, True):
        server = new_server()
        for endpoint in company:
            endpoint.enrol(server.database)
        server.log.append(records)
        deaths = 0
        while killed and deaths < 3:
            command = [sys.executable, "-c", _FOREVER, str(server.folder), server.database.place]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                for _ in range(2 + deaths * 3):
                    process.stdout.readline()
                time.sleep(0.003 * deaths)
                os.kill(process.pid, signal.SIGKILL)
            deaths += 1
        take(server, policies())
        outcomes.append(outcome(server))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0]["alerts"]


def test_a_correlation_that_changed_starts_anew_and_its_neighbour_goes_on(server: Server) -> None:
    (laptop,) = enrolled(server, "laptop")
    first = [copied_file(when, name=name) for name, when in SEQUENCE[:2]]
    first += [copied_file(NOW - day * DAY, name="x.doc", size=2_000) for day in (2, 1)]
    take(server, policies(), laptop.record(first))
    last = [copied_file(NOW, name="out.pdf"), copied_file(NOW, name="y.doc", size=2_000)]
    take(server, policies(steps("2d"), adds_up()), laptop.record(last))
    assert {hit["rule_id"] for hit in rows(server, rule_days) if hit["family"]} == {ADDS_UP}


def test_who_is_erased_leaves_no_window(server: Server) -> None:
    server.employ("p1", "alice")
    (laptop,) = enrolled(server, "laptop")
    events = [copied_file(NOW, name="dump.sql", account=account) for account in ("alice", "bob")]
    take(server, policies(), laptop.record(events))
    assert {row["subject"] for row in rows(server, correlation_groups)} > {"person:p1"}
    _erase_person(server, "p1")
    (left,) = rows(server, correlation_groups)
    assert left["subject"] != "person:p1"


def _erase_person(server: Server, person: str) -> None:
    with server.database.begin() as connection:
        target = person_target(connection, person)
        number = begin(connection, target, actor="a", reason="r", at=NOW, blocked_until=NOW)
    carry_out(server.database, number, seal_key=SealKey.new(), actor="a", progress=lambda *_: None)


def test_erased_days_take_the_windows_that_hold_them(server: Server) -> None:
    (laptop,) = enrolled(server, "laptop")
    events = [copied_file(NOW - 3 * DAY, name="x.doc"), copied_file(NOW, name="dump.sql")]
    take(server, policies(), laptop.record(events))
    with server.database.begin() as connection:
        target = days_target(connection, TODAY - 3, TODAY - 3, "that day")
        number = begin(connection, target, actor="a", reason="r", at=NOW, blocked_until=NOW)
    carry_out(server.database, number, seal_key=SealKey.new(), actor="a", progress=lambda *_: None)
    assert [row["rule_id"] for row in rows(server, correlation_groups)] == [IN_ORDER]


def test_windows_lose_the_days_that_are_past_their_end(server: Server) -> None:
    (laptop,) = enrolled(server, "laptop")
    days = (10, 9, 2)
    events = [copied_file(NOW - day * DAY, name="x.doc", size=2_000) for day in days]
    take(server, policies(), laptop.record(events[:2]))
    take(server, policies(), laptop.record(events[2:]))
    dropped = drop_old(
        server.database, now=NOW, events_days=8, alerts_days=90, uses_days=730, stop=threading.Event()
    )
    assert dropped["correlation_windows"] == 1
    (group,) = rows(server, correlation_groups)
    assert TODAY - group["first_day"] == 9, "local days may begin a day earlier"
    take(server, policies(), laptop.record([copied_file(NOW - 4 * DAY, name="y.doc", size=1_000)]))
    assert _days_that_add_up(server) == [], "with the tenth day it would have"
    take(server, policies(), laptop.record([copied_file(NOW - 4 * DAY, name="z.doc", size=2_000)]))
    assert _days_that_add_up(server) == [2], "day 4's window is no longer whole, and a sum might be less"
    late = NOW + 60 * DAY
    assert (
        drop_old(
            server.database, now=late, events_days=90, alerts_days=90, uses_days=730, stop=threading.Event()
        )["correlation_groups"]
        == 1
    ), "no event can come any more that needs it"


def _days_that_add_up(server: Server) -> list[int]:
    return [TODAY - hit["day"] for hit in rows(server, rule_days) if hit["rule_id"] == ADDS_UP]


def test_rules_that_only_correlations_count_make_no_alert(server: Server) -> None:
    (laptop,) = enrolled(server, "laptop")
    take(server, policies(), laptop.record([copied_file(NOW, name="x.doc", size=10) for _ in range(50)]))
    assert [(hit["rule_id"], hit["hits"]) for hit in rows(server, rule_days)] == [(COPIED, 50)]
    assert rows(server, alerts) == []
