"""Runs of events of one setting leave what each event by itself leaves, in all that is stored."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
import zstandard
from sqlalchemy import select, update

from benchmarks import company_load
from benchmarks.company_load import Company
from event_schema.ocsf_events import Event
from event_schema.ocsf_network import DestinationEndpoint
from event_schema.ocsf_objects import Fingerprint, HashAlgorithm, User
from event_schema.ocsf_transfer_events import FileHostingActivity
from event_schema.wire import WireRecord
from policies.engine import PolicySet
from policies.rule_file import load_policies
from server.detection.anomaly_scoring import AnomalyScoring
from server.log.embedded import EmbeddedLog
from server.people.account_names import host_trait
from server.people.pseudonyms import keep_pseudonym_key
from server.pipeline.event_runs import EventRuns
from server.pipeline.subject_state import SubjectState
from server.pipeline.worker import PipelineWorker
from server.store.database import Database, open_database, upgrade
from server.store.tables import (
    account_bindings,
    accounts,
    activity_days,
    alert_days,
    alerts,
    anomaly_days,
    channel_days,
    correlation_groups,
    event_blocks,
    known_exports,
    rule_days,
    subject_agents,
    subject_events,
    subject_places,
    suspect_traits,
    trait_bindings,
    trait_uses,
)
from server.training.activity_training import train_activities
from tests.event_schema.sample_events import sample_events
from tests.server.enrich.people_who_left import act
from tests.server.pipeline.conftest import DAY, KEY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.scored_company import plain_step

TODAY = NOW // DAY
MINUTE = 60_000
POLICIES = load_policies()
UPLOAD = next(e for e in sample_events() if isinstance(e, FileHostingActivity))
EXPORT = "5a" * 32
TABLES = (
    channel_days,
    activity_days,
    anomaly_days,
    rule_days,
    subject_places,
    suspect_traits,
    subject_agents,
    subject_events,
    trait_uses,
    correlation_groups,
    known_exports,
    alert_days,
    alerts,
)


@pytest.fixture
def taken_in_runs(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each event, whether a run took it in."""
    found: list[bool] = []
    take_in = EventRuns.take_in

    def watched(self: EventRuns, *args: Any) -> Any:
        enriched = take_in(self, *args)
        found.append(enriched is not None)
        return enriched

    monkeypatch.setattr(EventRuns, "take_in", watched)
    return found


def _outcome(database: Database) -> dict[str, Any]:
    with database.read() as connection:
        found: dict[str, Any] = {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in TABLES
        }
        blocks = connection.execute(select(event_blocks.c.leaver).order_by(event_blocks.c.id)).scalars().all()
    unpack = zstandard.ZstdDecompressor().decompress
    return found | {"leaver": [orjson.loads(unpack(bytes(block))) for block in blocks]}


def _work(server: Server, records: list[WireRecord], policies: PolicySet, cut: int) -> None:
    server.log.append(records)
    worker = PipelineWorker(
        server.database, server.log, clock=server.clock, policies=policies, records_per_batch=cut
    )
    while worker.step(0).records:
        pass


def _company(server: Server, endpoints: list[Endpoint]) -> None:
    """Alice left, Bob is leaving, Carol came to Dave's account and machine; `kefu` is shared."""
    server.employ("p1", "alice", last_working_day=TODAY - 20)
    server.employ("p2", "bob", notice_date=TODAY - 3, last_working_day=TODAY + 2)
    server.employ("p3", "carol")
    server.employ("p4", "dave")
    moved = NOW - 2 * DAY + 7 * MINUTE
    with server.database.begin() as connection:
        connection.execute(
            accounts.insert().values(system="", account="kefu", kind="shared", source="import", changed_at=0)
        )
        handed_on = account_bindings.c.account == "dave"
        connection.execute(update(account_bindings).where(handed_on).values(valid_until=moved))
        bound = {"source": "import", "confidence": 1.0}
        everywhere = {"system": "", **bound}
        connection.execute(
            account_bindings.insert(),
            [
                {
                    "account": "dave",
                    "person_id": "p3",
                    "relation": "owner",
                    "valid_from": moved,
                    **everywhere,
                },
                {"account": "kefu", "person_id": "p3", "relation": "owner", "valid_from": None, **everywhere},
            ],
        )
        held = {"trait": host_trait("laptop-dave"), **bound}
        connection.execute(
            trait_bindings.insert(),
            [
                {"person_id": "p4", "valid_from": None, "valid_until": moved, **held},
                {"person_id": "p3", "valid_from": moved, "valid_until": None, **held},
            ],
        )
    for endpoint in endpoints:
        endpoint.enrol(server.database)


def _one(dice: random.Random, time: int) -> Event:
    kind = dice.random()
    account = dice.choice(("carol", "carol", "dave", "dave", "bob", "alice", "kefu", "nobody"))
    # Now and then somebody else's.
    own = account if dice.random() < 0.9 else dice.choice(("carol", "alice"))
    if kind < 0.2:
        ip = f"198.51.100.{len(own) + dice.randrange(2)}"
        return act(account, time, ip=ip, device=dice.choice((None, own)), failed=dice.random() < 0.2)
    if kind < 0.4:
        to = DestinationEndpoint(hostname=f"files{dice.randrange(2)}.example")
        actor = msgspec.structs.replace(UPLOAD.actor, user=User(name=account))
        host = msgspec.structs.replace(UPLOAD.device, hostname=f"laptop-{own}")
        return msgspec.structs.replace(UPLOAD, time=time, actor=actor, device=host, dst_endpoint=to)
    return copied_file(
        time,
        name=f"{dice.choice(('customers', 'notes', '客户'))}-{dice.randrange(99)}.csv",
        size=dice.choice((0, 100, 10**6, 10**8)),
        account=account,
        device=f"0781:5591:{own}",
        host=f"laptop-{own}",
    )


def _again(dice: random.Random, event: Event, time: int) -> Event:
    """More of the same, as most events are."""
    if not hasattr(event, "file"):
        return msgspec.structs.replace(event, time=time)
    hashes = (Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=dice.choice((EXPORT, "77" * 32))),)
    file = msgspec.structs.replace(event.file, size=dice.choice((5, 10**6, 3 * 10**7)), hashes=hashes)
    return msgspec.structs.replace(event, time=time, file=file)


def _events(dice: random.Random, number: int) -> list[Event]:
    """Runs of one setting to a few, between each other; now and then hours, days or weeks pass, or the clock
    goes back."""
    found: list[Event] = []
    # Also while the account and the machine go from one to another, at an end of a day, when notice begins.
    moments = (NOW - 18 * DAY, NOW - 2 * DAY, (TODAY - 19) * DAY - 5 * MINUTE, (TODAY - 3) * DAY - 5 * MINUTE)
    time = dice.choice(moments)
    kinds = [_one(dice, time) for _ in range(4)]
    for _ in range(number):
        jump = dice.random()
        if jump < 0.04:
            time += dice.choice((-DAY, -MINUTE, 3 * DAY // 2, 7 * DAY, 15 * DAY, 20 * MINUTE))
            time = min(max(time, NOW - 40 * DAY), NOW - DAY)
        if jump < 0.1:
            kinds[dice.randrange(len(kinds))] = _one(dice, time)
        time += dice.randrange(2 * MINUTE)
        found.append(_again(dice, kinds[min(dice.randrange(12), 11) % len(kinds) if jump < 0.5 else 0], time))
    if dice.random() < 0.5:
        export = copied_file(NOW - 3 * DAY, account="carol")
        assert hasattr(export, "file")
        hashes = (Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=EXPORT),)
        file = msgspec.structs.replace(export.file, hashes=hashes, size=10**6)
        unmapped = msgspec.structs.replace(export.unmapped, origin="postgresql:crm", peripheral_device=None)
        found.insert(number // 3, msgspec.structs.replace(export, file=file, unmapped=unmapped))
    return found


def _records(seed: int, endpoints: list[Endpoint]) -> list[WireRecord]:
    dice = random.Random(seed)
    found: list[WireRecord] = []
    for _ in range(8):
        endpoint = dice.choice(endpoints)
        found.append(endpoint.record(_events(dice, dice.randint(5, 60))))
        if dice.random() < 0.3:
            # Sent again.
            found.append(dice.choice(found))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_events_taken_in_runs_leave_what_they_leave_one_by_one(
    new_server: NewServer, taken_in_runs: list[bool], seed: int
) -> None:
    endpoints = [Endpoint(f"desk-{number}", epoch=f"{number:016x}") for number in (1, 2)]
    records = _records(seed, endpoints)
    outcomes = []
    for in_runs in (True, False):
        server = new_server()
        _company(server, endpoints)
        with pytest.MonkeyPatch.context() as patch:
            if not in_runs:
                patch.setattr(EventRuns, "begin", lambda *_: None)
            _work(server, records, POLICIES, cut=3)
        outcomes.append(_outcome(server.database))
    together, alone = outcomes
    half = len(taken_in_runs) // 2
    assert sum(taken_in_runs[:half]) > 20, "hardly any event came into a run"
    assert not any(taken_in_runs[half:])
    for name, rows in alone.items():
        assert together[name] == rows, name
    assert alone["alerts"]


def test_days_are_found_as_strange_in_runs_as_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken_in_runs: list[bool]
) -> None:
    monkeypatch.setattr(company_load, "PEOPLE", 60)
    monkeypatch.setattr(company_load, "AGENTS", 12)
    outcomes = []
    for in_runs in (True, False):
        folder = tmp_path / str(in_runs)
        folder.mkdir()
        database = open_database(f"sqlite:///{folder}/leaver.db", clock=lambda: NOW)
        upgrade(database)
        company = Company(1, TODAY - 1)
        with database.begin() as connection:
            keep_pseudonym_key(connection, KEY)
            company.settle(connection)
        assert not train_activities(database, now=NOW - 5 * DAY).summary.cold_start
        log = EmbeddedLog(folder / "log.db", clock=lambda: NOW)
        log.append(company.week(4000).records)
        with monkeypatch.context() as patch:
            if not in_runs:
                patch.setattr(EventRuns, "begin", lambda *_: None)
            worker = PipelineWorker(database, log, clock=lambda: NOW, policies=POLICIES)
            while worker.step(0).records:
                pass
        log.close()
        outcomes.append(_outcome(database))
        database.close()
    assert sum(taken_in_runs) > 2500
    assert any(row[anomaly_days.c.keys().index("points")] > 0 for row in outcomes[0]["anomaly_days"])
    assert outcomes[0] == outcomes[1]


def test_a_day_is_scored_at_its_steps_wherever_records_are_cut_while_two_sticks_take_turns(
    new_server: NewServer, monkeypatch: pytest.MonkeyPatch, taken_in_runs: list[bool]
) -> None:
    monkeypatch.setattr(company_load, "PEOPLE", 60)
    monkeypatch.setattr(company_load, "AGENTS", 12)
    scored: dict[str, list[int]] = {}
    note = AnomalyScoring.note

    def watched(self: AnomalyScoring, state: SubjectState, activity: str, day: int, **around: Any) -> None:
        scored.setdefault(state.subject, []).append(state.activities.days(activity)[day].amounts[1])
        note(self, state, activity, day, **around)

    monkeypatch.setattr(AnomalyScoring, "note", watched)
    server = new_server()
    with server.database.begin() as connection:
        Company(1, TODAY - 1).settle(connection)
    assert not train_activities(server.database, now=NOW - 5 * DAY).summary.cold_start
    endpoint = Endpoint("desk")
    endpoint.enrol(server.database)
    dice, size = random.Random(1), 40_000_000
    sticks = [stick for turn in range(12) for stick in ["AB"[turn % 2]] * dice.randint(1, 9)]
    records = []
    for cut in range(1, len(sticks) + 1):
        account = f"user-{cut}"
        server.employ(f"p{1000 + cut}", account)
        events = [
            copied_file(
                NOW - DAY + at, size=size, account=account, device=f"0781:5591:{cut}{stick}", host=account
            )
            for at, stick in enumerate(sticks)
        ]
        records += [endpoint.record(part) for part in (events[:cut], events[cut:]) if part]
    _work(server, records, POLICIES, cut=100)

    steps = []
    for files in range(1, len(sticks) + 1):
        before, after = (
            (plain_step(at, "count"), plain_step(at * size, "bytes"), len(set(sticks[:at])))
            for at in (files - 1, files)
        )
        if after != before:
            steps.append(files)
    assert sum(taken_in_runs) > len(taken_in_runs) // 2
    assert {tuple(sizes) for sizes in scored.values()} == {tuple(steps)}
    with server.database.read() as connection:
        at = anomaly_days.c
        query = select(at.points).where(at.subject.in_(scored), at.day == TODAY - 1)
        anomalies = list(connection.execute(query).scalars())
    assert len(anomalies) == len(sticks)
    assert len(set(anomalies)) == 1
    assert anomalies[0] > 0
