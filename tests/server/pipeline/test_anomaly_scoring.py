"""A running day's anomaly says what plain arithmetic makes of its events, however they reach the server."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert, select

from analytics.anomaly_model import AnomalyModel
from analytics.calmed_day import Accepted, calmed_day
from server.pipeline.measuring import measured
from server.pipeline.memory import Memory
from server.retention import ACTIVITY_DAYS, first_activity_day
from server.store.tables import activity_days, alert_days, alerts
from server.training.activity_panel import activity_panel
from tests.server.pipeline.conftest import DAY, KEY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.scored_company import (
    TODAY,
    PlainDay,
    account_of,
    activate,
    acts_of,
    alert_rows,
    learnt_company,
    learnt_models,
    records,
    stored_anomalies,
)
from tests.server.training.measured_company import subject

SEEDS = range(2)
pytestmark = pytest.mark.databases("sqlite")
ON_BOTH = pytest.mark.databases("sqlite", "postgresql")
ONE = 3
"""A person of the company."""


@pytest.fixture(scope="module")
def model() -> bytes:
    return learnt_models()[0]


def _endpoint(server: Server, name: str = "laptop-1") -> Endpoint:
    endpoint = Endpoint(name)
    endpoint.enrol(server.database)
    return endpoint


def _stored(server: Server) -> list[dict[str, Any]]:
    with server.database.read() as connection:
        return stored_anomalies(connection)


def _of(server: Server, person: int = ONE, day: int = TODAY) -> dict[str, Any]:
    return next(row for row in _stored(server) if (row["subject"], row["day"]) == (subject(person), day))


@ON_BOTH
@pytest.mark.parametrize("seed", SEEDS)
def test_each_number_is_what_plain_arithmetic_makes_of_the_events(
    server: Server, model: bytes, seed: int
) -> None:
    learnt_company(server.database, model)
    dice = random.Random(seed)
    people = dice.sample(range(40), 4)
    events = {person: acts_of(person, dice, 60) for person in people}
    with server.database.read() as connection:
        loaded = AnomalyModel.from_bytes(model)
        plain = {person: PlainDay(connection, loaded, person, events[person]) for person in people}
    together = sorted((event for each in events.values() for event in each), key=lambda event: event.time)
    endpoint = _endpoint(server)
    server.take(*records(endpoint, together, dice.sample(range(len(together)), 9)), records_per_batch=3)
    stored = {row["subject"]: row for row in _stored(server)}
    assert stored.keys() == {subject(person) for person in people}
    for person in people:
        row, wanted = stored[subject(person)], plain[person]
        assert row["evidence"] == pytest.approx(wanted.evidence, abs=1e-5)
        assert row["points"] == pytest.approx(wanted.points, abs=1e-4)
        assert row["uncalmed"] == row["points"]
        assert row["slow_points"] == pytest.approx(wanted.slow_points, abs=1e-4)
        assert row["family"] == wanted.family
        assert row["uncalmed_evidence"] == {}
    assert max(row["points"] for row in stored.values()) > 0


@ON_BOTH
@pytest.mark.parametrize("seed", SEEDS)
def test_neither_records_nor_batches_nor_restarts_nor_duplicates_show(
    new_server: NewServer, model: bytes, seed: int
) -> None:
    dice = random.Random(100 + seed)
    people = dice.sample(range(40), 3)
    events = sorted(
        (event for person in people for event in acts_of(person, dice, 20)), key=lambda event: event.time
    )
    outcomes = []
    for how in ("at once", "cut", "each by a worker of its own, twice"):
        server = new_server()
        learnt_company(server.database, model)
        endpoint = _endpoint(server)
        if how == "at once":
            server.take(*records(endpoint, events, ()))
        elif how == "cut":
            server.take(*records(endpoint, events, range(1, len(events))), records_per_batch=7)
        else:
            for record in records(endpoint, events, dice.sample(range(len(events)), 6)):
                server.take(record, record)
        outcomes.append((_stored(server), alert_rows(server)))
    assert len(outcomes[0][0]) == 3
    assert outcomes[1] == outcomes[0]
    assert outcomes[2] == outcomes[0]


def test_how_activities_interleave_shows_neither_in_evidence_nor_in_points(
    new_server: NewServer, model: bytes
) -> None:
    events = acts_of(ONE, random.Random(7), 80)
    apart = sorted(events, key=lambda event: (measured(event, False) or ("",))[0])
    assert apart != events
    outcomes = []
    for order in (events, apart):
        server = new_server()
        learnt_company(server.database, model)
        server.take(*records(_endpoint(server), order, ()))
        row = _of(server)
        outcomes.append((row["evidence"], row["points"]))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1] > 0


def test_without_a_model_nothing_is_scored_and_the_first_one_scores_the_whole_day(
    server: Server, model: bytes
) -> None:
    learnt_company(server.database)
    events = acts_of(ONE, random.Random(1), 40)
    endpoint = _endpoint(server)
    server.take(endpoint.record(events))
    assert _stored(server) == []
    activate(server.database, model)
    more = copied_file(NOW, size=5 * 10**9, account=account_of(ONE))
    with server.database.read() as connection:
        wanted = PlainDay(connection, AnomalyModel.from_bytes(model), ONE, [*events, more])
    server.take(endpoint.record([more]))
    row = _of(server)
    assert row["evidence"].keys() == wanted.evidence.keys()
    assert row["evidence"] == pytest.approx(wanted.last, abs=1e-5)


def test_a_cold_start_ranks_and_gives_no_points_and_its_evidence_is_not_taken_for_another_models(
    server: Server,
) -> None:
    warm, cold = learnt_models()
    learnt_company(server.database, cold)
    events = acts_of(ONE, random.Random(2), 40)
    endpoint = _endpoint(server)
    server.take(endpoint.record(events))
    before = _of(server)
    assert (before["points"], before["uncalmed"], before["slow_points"]) == (0, 0, 0)
    assert sum(before["evidence"].values()) > 0
    activate(server.database, warm)
    more = copied_file(NOW, size=5 * 10**9, account=account_of(ONE))
    with server.database.read() as connection:
        wanted = PlainDay(connection, AnomalyModel.from_bytes(warm), ONE, [*events, more])
    server.take(endpoint.record([more]))
    after = _of(server)
    assert after["model_id"] == before["model_id"] + 1
    assert after["evidence"] == pytest.approx(wanted.last, abs=1e-5)


def test_what_comes_late_of_an_earlier_day_counts_for_what_comes_after_it(
    new_server: NewServer, model: bytes
) -> None:
    loaded = AnomalyModel.from_bytes(model)
    first = copied_file(NOW - 1000, size=10**9, account=account_of(ONE))
    late = copied_file(NOW - DAY, size=2 * 10**12, account=account_of(ONE), device="0781:5591:S2")
    then = copied_file(NOW, size=10**9, account=account_of(ONE), name="b")
    outcomes = []
    for cut in (True, False):
        server = new_server()
        learnt_company(server.database, model)
        endpoint = _endpoint(server)
        with server.database.read() as connection:
            before = PlainDay(connection, loaded, ONE, [first]).evidence
            alone = PlainDay(connection, loaded, ONE, [first, then]).evidence
        # In one record and batch, or each by a worker of its own.
        for record in records(endpoint, [first, late, then], (1, 2) if cut else ()):
            server.take(record)
        with server.database.read() as connection:
            after = PlainDay(connection, loaded, ONE, [first, then]).last
        assert after != alone
        wanted = max(before["removable_storage"], after["removable_storage"])
        assert _of(server)["evidence"]["removable_storage"] == pytest.approx(wanted, abs=1e-5)
        assert _of(server, day=TODAY - 1)["evidence"]["removable_storage"] > 0
        outcomes.append(_stored(server))
    assert outcomes[0] == outcomes[1]


def test_a_laptop_that_was_away_for_weeks_is_scored_the_same_in_one_batch_or_in_many(
    new_server: NewServer, model: bytes
) -> None:
    outcomes = []
    dice = random.Random(5)
    old = NOW - 20 * DAY
    events = sorted(
        [*acts_of(ONE, dice, 15, time=old), *acts_of(ONE, dice, 15, time=old - 3 * DAY)],
        key=lambda event: event.time,
    )
    for cut in (True, False):
        server = new_server()
        learnt_company(server.database, model)
        parts = records(_endpoint(server), events, range(1, len(events)) if cut else ())
        server.take(*parts, records_per_batch=1 if cut else 100)
        with server.database.read() as connection:
            query = select(activity_days).where(activity_days.c.subject == subject(ONE))
            outcomes.append((_stored(server), sorted(map(tuple, connection.execute(query)))))
    assert outcomes[0] == outcomes[1]
    assert [row["day"] for row in outcomes[0][0]] == [TODAY - 23, TODAY - 20]


def test_what_was_judged_harmless_calms_the_same_again_and_what_it_would_have_been_is_kept(
    server: Server, model: bytes
) -> None:
    learnt_company(server.database, model)
    day = TODAY - 4
    accepted = [["removable_storage", "bytes", 4 * 10**9, day], ["removable_storage", "files", 30, day]]
    with server.database.begin() as connection:
        number = connection.execute(
            insert(alerts)
            .values(**_closed(day, "false"), facts={"accepted": accepted})
            .returning(alerts.c.id)
        ).scalar_one()
        place = {"alert": number, "channel": "removable_storage", "day": day, "whole": True}
        connection.execute(insert(alert_days).values(place))
    copies = [
        copied_file(NOW - 10_000 + n, size=10**8, account=account_of(ONE), name=f"{n}") for n in range(25)
    ]
    with server.database.read() as connection:
        memory = Memory(connection, server.clock)
        plain = PlainDay(connection, AnomalyModel.from_bytes(model), ONE, copies)
    server.take(_endpoint(server).record(copies))
    row = _of(server)
    assert row["uncalmed"] == pytest.approx(plain.points, abs=1e-4)
    assert row["uncalmed_evidence"] == pytest.approx(plain.evidence, abs=1e-5)
    assert row["points"] < row["uncalmed"]
    with server.database.read() as connection:
        memory = Memory(connection, server.clock)
        memory.load_subjects(connection, [subject(ONE)])
        state = memory.subjects[subject(ONE)]
        person = memory.enricher.person_of(subject(ONE))
        explained = memory.scorer.explained(connection, state, TODAY, person=person)
        judged = memory.scorer.accepted(connection, state, TODAY)
    assert [each.measure for each in judged] == ["bytes", "files"]
    assert all(isinstance(each, Accepted) for each in judged)
    found = calmed_day(explained, TODAY + 719_163, judged)
    assert len(found.because) == 2


def test_a_confirmed_leak_is_not_what_is_usual(server: Server, model: bytes) -> None:
    learnt_company(server.database, model)
    day = TODAY - 2
    with server.database.begin() as connection:
        number = connection.execute(
            insert(alerts).values(**_closed(day, "confirmed"), facts={}).returning(alerts.c.id)
        ).scalar_one()
        place = {"alert": number, "channel": "removable_storage", "day": day, "whole": True}
        connection.execute(insert(alert_days).values(place))
    copy = copied_file(NOW, size=10**9, account=account_of(ONE))
    with server.database.read() as connection:
        plain = PlainDay(
            connection, AnomalyModel.from_bytes(model), ONE, [copy], missing={subject(ONE): [day]}
        )
    server.take(_endpoint(server).record([copy]))
    assert _of(server)["evidence"] == pytest.approx(plain.evidence, abs=1e-5)


def _closed(day: int, verdict: str) -> dict[str, Any]:
    return {
        "subject": subject(ONE),
        "family": "removable_storage_copy",
        "status": "closed",
        "verdict": verdict,
        "opened_at": day * DAY,
        "updated_at": day * DAY,
        "closed_at": day * DAY,
        "first_time": day * DAY,
        "last_time": day * DAY,
        "score": 60,
        "sentence": {"en": "x", "zh": "x"},
        "shares": [],
        "events": 1,
        "policy_version": "1",
        "traits": [],
    }


@ON_BOTH
def test_what_is_explained_is_what_is_trained_on(server: Server, model: bytes) -> None:
    learnt_company(server.database, model)
    server.take(_endpoint(server).record(acts_of(ONE, random.Random(3), 30)))
    with server.database.read() as connection:
        memory = Memory(connection, server.clock)
        memory.load_subjects(connection, [subject(ONE)])
        state = memory.subjects[subject(ONE)]
        person = memory.enricher.person_of(subject(ONE))
        explained = memory.scorer.explained(connection, state, TODAY, person=person)
        before, until = (activity_panel(connection, TODAY + more) for more in (0, 1))
        row = before.subjects.index(subject(ONE))
        for name, found in explained.history.items():
            wanted, today = before.activity(name).of(slice(row, row + 1)), until.activity(name)
            assert np.array_equal(found.values, wanted.values)
            assert np.array_equal(found.seen, wanted.seen)
            assert np.array_equal(explained.today[name].values[0], today.values[row, -1])
            assert explained.today[name].seen[0] == today.seen[row, -1]
        assert np.array_equal(explained.off, before.off)


def test_an_alert_by_the_anomaly_alone_says_what_stood_out(server: Server, model: bytes) -> None:
    learnt_company(server.database, model)
    dice = random.Random(4)
    copies = [
        copied_file(NOW - 60_000 + n, size=3 * 10**9, account=account_of(ONE), name=f"{dice.random()}.txt")
        for n in range(30)
    ]
    server.take(_endpoint(server).record(copies))
    assert _of(server)["points"] > 50
    with server.database.read() as connection:
        row = connection.execute(select(alerts)).one()
    assert (row.family, row.status) == ("removable_storage_copy", "open")
    assert {share["source"] for share in row.shares} >= {"anomaly"}
    assert row.facts["explanation"]


def test_what_is_past_its_end_counts_no_more_whether_housekeeping_came_or_not(
    new_server: NewServer, model: bytes
) -> None:
    events = acts_of(ONE, random.Random(8), 30)
    outcomes = []
    for kept, dropping in ((ACTIVITY_DAYS, False), (40, False), (40, True)):
        server = new_server()
        learnt_company(server.database, model)
        if dropping:
            with server.database.begin() as connection:
                first = first_activity_day(NOW, kept)
                gone = connection.execute(activity_days.delete().where(activity_days.c.day < first))
                assert gone.rowcount
        server.log.append(records(_endpoint(server), events, ()))
        server.worker(activity_days=kept).step(0)
        outcomes.append(_stored(server))
    assert outcomes[1] == outcomes[2]
    assert outcomes[0] != outcomes[1]


def test_the_same_places_have_other_numbers_in_another_installation(new_server: NewServer) -> None:
    event = copied_file(NOW)
    found = []
    for key in (KEY, KEY[::-1]):
        server = new_server()
        server.use_key(key)
        server.take(_endpoint(server).record([event]))
        with server.database.read() as connection:
            found.append(connection.execute(select(activity_days.c.places)).scalar_one())
    assert found[0] != found[1]
    assert [len(json.loads(places)[0]) for places in found] == [1, 1]
