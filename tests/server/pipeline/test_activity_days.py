"""Days by activity: sums and sets that neither order nor batches change, kept for as long as models need."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest

from analytics.measures import ACTIVITIES, VALUE_MAX
from event_schema.ocsf_events import Event
from event_schema.ocsf_unmapped import DestinationCategory
from event_schema.wire import WireRecord
from server.evaluation.departures.observed_acts import act, laptop, login
from server.evaluation.simulator.desks import Desk
from server.evaluation.simulator.single_events import mailed, queried, uploaded
from server.housekeeping import drop_old
from server.pipeline.activity_history import NEW_AFTER_DAYS, running_day
from server.pipeline.subject_activities import PRINTS_MAX, ActivityDay, SubjectActivities
from server.pipeline.subject_state import load_subjects
from server.retention import ACTIVITY_DAYS, EVER
from server.store.tables import activity_days
from tests.server.look_back.company import STAYS, enrolled, flag, take_over
from tests.server.look_back.outcomes import look_back, rows
from tests.server.pipeline.company import TODAY
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

DESK = Desk("alice", laptop("laptop-1"), "198.51.100.7")


def _one(dice: random.Random, time: int) -> Event:
    match dice.randrange(6):
        case 0:
            return copied_file(time, size=dice.randrange(10**9), device=f"stick-{dice.randrange(4)}")
        case 1:
            categories: tuple[DestinationCategory, ...] = ("cloud_drive", "other", "messenger")
            category, size = dice.choice(categories), dice.randrange(10**7)
            return uploaded(DESK, "x", category, "a.txt", size, "0" * 64, "u.example", time)
        case 2:
            return mailed(DESK, "gmail.com", "webmail", "a.txt", 1000, "0" * 64, time)
        case 3:
            return queried(DESK, time, rows=dice.randrange(1000), count=3, size=10)
        case 4:
            kind = dice.choice(("document", "customer", None))
            return act(
                time, DESK.host, "crm", "alice", "open", address=DESK.address, device=None, object_type=kind
            )
        case _:
            address = f"203.0.113.{dice.randrange(5)}"
            return login(time, laptop(f"h-{dice.randrange(5)}"), "alice", service="sshd", address=address)


def _flow(seed: int, endpoint: Endpoint) -> list[WireRecord]:
    dice = random.Random(seed)
    found = []
    for _ in range(40):
        time = NOW - dice.randrange(40) * DAY - dice.randrange(DAY)
        found.append(endpoint.record([_one(dice, time + n) for n in range(dice.randint(1, 6))]))
    return found


def _activities(server: Server, subject: str = "person:p1") -> SubjectActivities:
    with server.database.read() as connection:
        return load_subjects(connection, [subject], activities_since=EVER)[subject].activities


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_they_are_the_same_in_any_order_however_cut_sent_twice_and_after_a_restart(
    new_server: NewServer, seed: int
) -> None:
    dice = random.Random(seed)
    endpoint = Endpoint()
    records = _flow(seed, endpoint)
    found = []
    for cut in (100, 1, 7):
        server = new_server()
        server.employ()
        endpoint.enrol(server.database)
        server.take(*records, records_per_batch=cut)
        found.append(rows(server, activity_days))
        dice.shuffle(records)
        records += dice.sample(records, 5)
    assert len({row["activity"] for row in found[0]}) > 6
    assert found[0] == found[1] == found[2]


def test_days_made_anew_from_stored_events_are_those_that_were_counted_as_they_came(server: Server) -> None:
    endpoint = Endpoint()
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    server.take(*_flow(9, endpoint))
    before = rows(server, activity_days)
    with server.database.begin() as connection:
        connection.execute(activity_days.update().values(amounts="[0]", events=10**9))
    flag(server)
    assert look_back(server) == 1
    assert rows(server, activity_days) == before


def test_a_stick_is_new_on_the_first_of_its_days_also_when_that_is_told_late(server: Server) -> None:
    server.employ()
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    day = TODAY - 5
    server.take(endpoint.record([copied_file(day * DAY, device="a"), copied_file(day * DAY + 1, device="b")]))
    assert running_day(_activities(server), "removable_storage", day) == (2000, 2, 2)
    server.take(endpoint.record([copied_file((day - 3) * DAY, device="a")]))
    assert running_day(_activities(server), "removable_storage", day) == (2000, 2, 1)
    assert running_day(_activities(server), "removable_storage", day - 3) == (1000, 1, 1)
    server.take(endpoint.record([copied_file((day - 3 - NEW_AFTER_DAYS) * DAY, device="a")]))
    assert running_day(_activities(server), "removable_storage", day - 3)[2] == 0
    server.take(endpoint.record([copied_file((day - 4) * DAY, device="b")]))
    assert running_day(_activities(server), "removable_storage", day)[2] == 0
    server.now += 2 * DAY
    far = TODAY + 1 - NEW_AFTER_DAYS
    server.take(
        endpoint.record([copied_file((far - 1) * DAY, device="c"), copied_file(NOW + DAY, device="c")])
    )
    assert running_day(_activities(server), "removable_storage", TODAY + 1)[2] == 1


def test_logins_count_distinct_machines_of_the_day_and_new_ones_and_addresses(server: Server) -> None:
    server.employ()
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    acts = [
        login(NOW - DAY * ago + number, laptop(host), "alice", service="sshd", address=address)
        for number, (ago, host, address) in enumerate(
            [
                (1, "h-1", "203.0.113.1"),
                (0, "h-1", "203.0.113.1"),
                (0, "h-1", "203.0.113.2"),
                (0, "H-2", None),
            ]
        )
    ]
    server.take(endpoint.record(acts))
    names = [measure.name for measure in ACTIVITIES["logins"]]
    today = dict(zip(names, running_day(_activities(server), "logins", TODAY), strict=True))
    wanted = {"logins": 3, "off_hours": 0, "hosts": 2, "failures": 0, "new_hosts": 1, "new_addresses": 1}
    assert today == wanted


def test_a_backup_job_and_ten_thousand_sticks_are_bounded_whatever_came_first() -> None:
    dice = random.Random(1)
    prints = [dice.getrandbits(48) for _ in range(2000)]
    found = []
    for _ in range(3):
        dice.shuffle(prints)
        activities = SubjectActivities()
        for start in range(0, len(prints), 40):
            part = tuple(prints[start : start + 40])
            activities.add(("removable_storage", (10**18, 1, 0)), 5, "work", (part,))
        found.append(list(activities.rows(SubjectActivities())))
        assert running_day(activities, "removable_storage", 5) == (VALUE_MAX, 50, PRINTS_MAX)
    assert found[0] == found[1] == found[2]


def test_only_days_from_which_it_was_loaded_stay_in_memory_once_they_are_written() -> None:
    activities = SubjectActivities(since=100)
    for day in (99, 100):
        activities.add(("mail", (7, 1, 0)), day, "work")
    stored = SubjectActivities(since=0)
    stored.restore("mail", 99, ActivityDay("off", (10**15, 2, 1), (), 5))
    stored.restore("mail", 100, ActivityDay("off", (1, 1, 1), (), 1))
    assert activities.older_days() == {99}
    written = {
        row["day"]: (row["day_type"], row["amounts"], row["events"]) for row in activities.rows(stored)
    }
    assert written == {99: ("off", "[1000000000000000,3,1]", 6), 100: ("work", "[7,1,0]", 1)}
    activities.written()
    assert set(activities.days("mail")) == {100}
    assert list(activities.rows(stored)) == []


def test_rows_of_another_registry_are_not_known_any_more(server: Server) -> None:
    server.employ()
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    with server.database.begin() as connection:
        for activity, amounts, places in (
            ("dowsing", "[1]", "[]"),
            ("mail", "[1, 2]", "[]"),
            ("cloud", "[1, 2, 3]", "[[1], [2]]"),
        ):
            values = {"day": TODAY, "day_type": "work", "amounts": amounts, "places": places, "events": 1}
            connection.execute(
                activity_days.insert().values(subject="person:p1", activity=activity, **values)
            )
    known = _activities(server)
    assert not any(known.days(activity) for activity in ("dowsing", "mail", "cloud"))
    server.take(endpoint.record([mailed(DESK, "b.example", "other", "a.txt", 1000, "0" * 64, NOW)]))
    assert running_day(_activities(server), "mail", TODAY) == (1333, 1, 0)


@pytest.mark.parametrize("kept", [ACTIVITY_DAYS, 70])
def test_they_stay_longer_than_events_and_go_at_their_own_end(new_server: NewServer, kept: int) -> None:
    found: list[list[dict[str, Any]]] = []
    endpoint = Endpoint()
    for dropping in (True, False):
        server = new_server()
        server.employ()
        endpoint.enrol(server.database)
        endpoint.next_seq = 0
        worker = server.worker(events_days=10, activity_days=kept)
        for day in range(0, kept + 40, 20):
            server.now = NOW + day * DAY
            late = copied_file(server.now - (kept + 5) * DAY)
            server.log.append([endpoint.record([late, copied_file(server.now)])])
            while worker.step(0).records:
                pass
            if dropping:
                _drop(server, kept)
        _drop(server, kept)
        found.append(rows(server, activity_days))
    days = sorted(row["day"] - TODAY for row in found[0])
    assert found[0] == found[1]
    assert (days[0], days[-1]) == (40, kept + 30)


def _drop(server: Server, kept: int) -> None:
    drop_old(
        server.database,
        now=server.now,
        events_days=10,
        alerts_days=730,
        uses_days=730,
        sums_days=kept,
        stop=threading.Event(),
    )
