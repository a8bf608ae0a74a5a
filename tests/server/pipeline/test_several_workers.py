"""Workers that share one log on Kafka and one database: what they do in each other's way does not show.

Shares are set by hand and steps are taken in turn, so that every meeting happens at a chosen moment: between
the reading and the committing of a batch.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator

import pytest

from server.people.hr_import import import_people
from server.pipeline import worker as pipeline_worker
from server.pipeline.commit import FencedOut
from server.store.tables import (
    agent_epochs,
    agent_findings,
    alerts,
    channel_days,
    known_exports,
    log_positions,
    workers,
)
from tests.kafka_broker.broker import KafkaBroker
from tests.server.pipeline.company import (
    PARTITIONS,
    TODAY,
    Company,
    Interrupted,
    SetShare,
    beat,
    partition_of,
    prepare,
    records_by_endpoint,
)
from tests.server.pipeline.conftest import NOW, NewServer, known_since
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.test_known_exports import SHA, copied, exported

pytestmark = [pytest.mark.kafka, pytest.mark.long]

NewCompany = Callable[[], Company]


_on_postgresql = pytest.mark.databases("postgresql")
"""Where workers really run beside each other."""


@pytest.fixture
def new_company(new_server: NewServer, kafka_broker: KafkaBroker) -> Iterator[NewCompany]:
    made: list[Company] = []

    def make() -> Company:
        made.append(Company(new_server(), kafka_broker))
        return made[-1]

    yield make
    for company in made:
        company.close()


def two_endpoints(company: Company) -> tuple[Endpoint, int, Endpoint, int]:
    """Alice's two machines, and the partitions in which their records lie."""
    names = (f"laptop-{number}" for number in itertools.count())
    first = next(names)
    other = next(n for n in names if partition_of(n) != partition_of(first))
    endpoints = Endpoint(first), Endpoint(other)
    for endpoint in endpoints:
        endpoint.enrol(company.server.database)
    return endpoints[0], partition_of(first), endpoints[1], partition_of(other)


def _leaver(company: Company) -> None:
    company.server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)


def _files(company: Company) -> list[tuple[str, int]]:
    subject, files = (list(channel_days.c.keys()).index(name) for name in ("subject", "files"))
    return [(row[subject], row[files]) for row in company.rows(channel_days)]


@_on_postgresql
def test_a_person_on_two_machines_under_two_workers_is_counted_once_for_each_file(
    new_company: NewCompany,
) -> None:
    company = new_company()
    _leaver(company)
    first, place, other, other_place = two_endpoints(company)
    ours, theirs = company.worker(SetShare("ours", place)), company.worker(SetShare("theirs", other_place))
    company.log.append([first.record([copied_file(NOW, size=10)]), other.record([copied_file(NOW, size=20)])])
    ours.meanwhile = lambda: theirs.step(5)
    done = ours.step(5)
    assert (done.events, done.conflicts) == (1, 1)
    assert _files(company) == [("person:p1", 2)]
    # Memory that another worker overtook is not used again, though nobody met this time.
    company.log.append([other.record([copied_file(NOW + 1)])])
    assert theirs.step(5).conflicts == 0
    company.log.append([first.record([copied_file(NOW + 2)])])
    assert ours.step(5).conflicts == 0
    assert _files(company) == [("person:p1", 4)]
    ((_, _, family, *_),) = company.rows(alerts)
    assert family == "removable_storage_copy"


@_on_postgresql
def test_an_export_of_a_batch_that_is_worked_out_again_is_stored(new_company: NewCompany) -> None:
    company = new_company()
    company.server.employ("p1", "alice")
    first, place, other, other_place = two_endpoints(company)
    ours, theirs = company.worker(SetShare("ours", place)), company.worker(SetShare("theirs", other_place))
    company.log.append([first.record([exported()]), other.record([copied_file(NOW)])])
    ours.meanwhile = lambda: theirs.step(5)
    assert ours.step(5).conflicts == 1
    assert [row[1] for row in company.rows(known_exports)] == [SHA]
    # The other one, which has a memory of its own, knows it at once.
    company.log.append([other.record([copied()])])
    assert theirs.step(5).events == 1


@_on_postgresql
def test_watched_days_do_not_make_a_memory_current_that_another_worker_overtook(
    new_company: NewCompany,
) -> None:
    company = new_company()
    company.server.employ("p1", "alice")
    first, place, other, other_place = two_endpoints(company)
    ours, theirs = company.worker(SetShare("ours", place)), company.worker(SetShare("theirs", other_place))
    company.log.append([first.record([copied_file(NOW)])])
    assert ours.step(5).events == 1
    company.log.append([other.record([copied_file(NOW)])])
    assert theirs.step(5).events == 1
    # Without an open alert it is not looked at again, only its version rises.
    company.log.append([first.heartbeat(beat(range(TODAY - 5, TODAY)))])
    assert ours.step(5).records == 1
    company.log.append([first.record([copied_file(NOW)])])
    assert ours.step(5).events == 1
    assert _files(company) == [("person:p1", 3)]


@_on_postgresql
def test_a_batch_that_was_overtaken_is_done_again_with_its_people_locked(new_company: NewCompany) -> None:
    company = new_company()
    first, place, other, other_place = two_endpoints(company)
    ours = company.worker(SetShare("ours", place))
    theirs = company.worker(SetShare("theirs", other_place), 1)
    company.log.append([first.record([copied_file(NOW)])])
    company.log.append([other.record([copied_file(NOW + i)]) for i in range(3)])
    thread = threading.Thread(target=theirs.step, args=(5,))

    def try_to_overtake() -> None:
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "it waits for the batch that has locked the person"

    ours.meanwhile = lambda: theirs.step(5)
    ours.while_locked = try_to_overtake
    assert ours.step(5).conflicts == 1
    thread.join(20)
    # Where they met they will meet again: for a while both lock before they read.
    company.log.append([first.record([copied_file(NOW + 9)])])
    ours.meanwhile = lambda: theirs.step(5)
    assert ours.step(5).conflicts == 0
    assert ours.meanwhile is not None
    assert theirs.step(5).conflicts == 0
    assert sum(files for _, files in _files(company)) == 1 + 3 + 1


@_on_postgresql
def test_a_worker_that_lost_its_partition_in_mid_batch_writes_nothing_of_it(new_company: NewCompany) -> None:
    company = new_company()
    first, place, _, _ = two_endpoints(company)
    share = SetShare("zombie", place)
    zombie, heir = company.worker(share), company.worker(SetShare("heir", place))
    company.log.append([first.record([copied_file(NOW + i)]) for i in range(3)])
    zombie.meanwhile = lambda: heir.step(5)
    with pytest.raises(FencedOut):
        zombie.step(5)
    assert sum(files for _, files in _files(company)) == 3
    (position,) = company.rows(log_positions)
    assert position[:2] == (place, 2)
    # Back in its group it has nothing, and the heir goes on.
    share.partitions = frozenset()
    company.log.append([first.record([copied_file(NOW + 9)])])
    assert zombie.step(0).records == 0
    assert heir.step(5).events == 1
    assert sum(files for _, files in _files(company)) == 4


@_on_postgresql
def test_an_account_that_moves_to_another_person_in_mid_batch_is_counted_for_one_of_them(
    new_company: NewCompany,
) -> None:
    company = new_company()
    database = company.server.database
    people = b"id,accounts\np1,alice\np2,bob\n"
    with database.begin() as connection:
        import_people(connection, people, actor="test", at=NOW)
    first, place, other, other_place = two_endpoints(company)
    ours, theirs = company.worker(SetShare("ours", place)), company.worker(SetShare("theirs", other_place))
    company.log.append([first.record([copied_file(NOW)]), other.record([copied_file(NOW)])])
    ours.step(5)
    theirs.step(5)
    assert _files(company) == [("person:p1", 2)]

    def move() -> None:
        with database.begin() as connection:
            report = import_people(connection, b"id,accounts\np1,\np2,alice\n", actor="test", at=NOW)
            assert report.changed == 2

    company.log.append([first.record([copied_file(NOW + 1)]), other.record([copied_file(NOW + 2)])])
    ours.meanwhile = move
    assert ours.step(5).conflicts == 1
    assert theirs.step(5).conflicts == 0
    # What came before the import stays where it was counted; what was committed after it is the new owner's.
    assert _files(company) == [("person:p1", 2), ("person:p2", 2)]


@_on_postgresql
def test_watched_days_told_to_one_worker_change_what_an_other_ones_alerts_say(
    new_company: NewCompany,
) -> None:
    said = []
    for order in ("one worker", "two workers"):
        company = new_company()
        _leaver(company)
        known_since(company.server, "person:p1", TODAY - 61)
        first, place, other, other_place = two_endpoints(company)
        ours = company.worker(SetShare("ours", place))
        theirs = ours if order == "one worker" else company.worker(SetShare("theirs", other_place))
        if order == "one worker":
            ours = theirs = company.worker(SetShare("only", place, other_place))
        for worker, endpoint in ((ours, first), (theirs, other)):
            company.log.append([endpoint.record([copied_file(NOW, size=3_000_000)])])
            worker.step(5)
        company.log.append([other.heartbeat(beat(range(TODAY - 60, TODAY + 1)))])
        theirs.step(5)
        company.log.append([first.record([copied_file(NOW + 1, size=3_000_000)])])
        ours.step(5)
        said.append(company.outcome()["alerts"])
    assert said[0] == said[1]
    assert "60" in repr(said[0]), "the alert does not speak of the watched days: nothing is shown"


@_on_postgresql
def test_an_endpoint_that_writes_into_two_partitions_is_counted_once(new_company: NewCompany) -> None:
    company = new_company()
    first, place, _, other_place = two_endpoints(company)
    ours, theirs = company.worker(SetShare("ours", place)), company.worker(SetShare("theirs", other_place))
    twice = first.record([copied_file(NOW)])
    for partition in (place, other_place):
        company.append_to(partition, twice)
    ours.meanwhile = lambda: theirs.step(5)
    assert ours.step(5).conflicts == 1
    assert sum(files for _, files in _files(company)) == 1
    ((_, _, _, seen, lost, duplicates),) = company.rows(agent_epochs)
    assert (seen, lost, duplicates) == ("0-0", 0, 1)


@_on_postgresql
def test_unknown_names_that_two_workers_meet_make_one_finding(new_company: NewCompany) -> None:
    company = new_company()
    stranger = Endpoint("nobody-enrolled-me")
    ours, theirs = company.worker(SetShare("ours", 0)), company.worker(SetShare("theirs", 1))
    for partition in (0, 1):
        company.append_to(partition, stranger.record([copied_file(NOW)]))
    ours.meanwhile = lambda: theirs.step(5)
    ours.step(5)
    ((agent, kind, _, _, _, count, _),) = company.rows(agent_findings, "id")
    assert (agent, kind, count) == (stranger.name, "unknown_agent", 2)


@_on_postgresql
def test_each_worker_leaves_a_sign_of_life_and_takes_it_away_at_its_end(new_company: NewCompany) -> None:
    company = new_company()
    ours, theirs = company.worker(SetShare("ours", 0, 1)), company.worker(SetShare("theirs", 2, 3))
    for worker in (ours, theirs):
        worker.step(0)
    assert [(row[0], row[3]) for row in company.rows(workers)] == [("ours", [0, 1]), ("theirs", [2, 3])]
    ours.end()
    assert [row[0] for row in company.rows(workers)] == ["theirs"]


def test_workers_that_come_go_and_meet_at_random_leave_what_a_single_one_leaves(
    new_company: NewCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else they would soon be careful, and not meet any more.
    monkeypatch.setattr(pipeline_worker, "LOCKED_BATCHES", 0)
    dice = random.Random(2)
    by_endpoint = records_by_endpoint(dice)
    alone = new_company()
    prepare(alone, by_endpoint)
    alone.log.append(list(itertools.chain(*by_endpoint.values())))
    only = alone.worker(SetShare("only", *range(PARTITIONS)))
    while only.step(1).records:
        pass

    crowd = new_company()
    prepare(crowd, by_endpoint)
    streams = list(by_endpoint.values())
    while ready := [stream for stream in streams if stream]:
        crowd.log.append([dice.choice(ready).pop(0)])
    team = _Team(crowd, dice)
    while team.step(dice.choice(team.workers)):
        pass
    assert team.conflicts > 0
    assert team.fenced > 0
    expected, found = alone.outcome(), crowd.outcome()
    for name, rows in expected.items():
        assert found[name] == rows, name


class _Team:
    """Three workers that share what lies on the log; who reads what changes all the time."""

    def __init__(self, company: Company, dice: random.Random) -> None:
        self.company = company
        self.dice = dice
        self.shares = [SetShare(f"worker-{number}") for number in range(3)]
        self.workers = [company.worker(share, dice.randint(1, 3)) for share in self.shares]
        self.ends = company.log.end_offsets()
        self.conflicts = self.fenced = 0
        self.share_out()

    def share_out(self) -> None:
        for share in self.shares:
            share.partitions = frozenset()
        for partition in range(PARTITIONS):
            self.dice.choice(self.shares).partitions |= {partition}

    def waiting(self) -> set[int]:
        """Partitions that are not read to their end."""
        done = {row[0]: row[2] for row in self.company.rows(log_positions)}
        return {partition for partition, end in self.ends.items() if done.get(partition, 0) < end}

    def step(self, worker: Interrupted) -> bool:
        """By this worker, or by another one if it has nothing to do. Whether anybody had."""
        waiting = self.waiting()
        able = [w for w, share in zip(self.workers, self.shares, strict=True) if share.partitions & waiting]
        if not able:
            return False
        worker = worker if worker in able else able[0]
        if self.dice.random() < 0.7:
            worker.meanwhile = lambda: self.cross(worker)
        try:
            self.conflicts += worker.step(10).conflicts
        except FencedOut:
            self.fenced += 1
        worker.meanwhile = None
        return True

    def cross(self, worker: Interrupted) -> None:
        """While this worker is in the middle of a batch."""
        if self.dice.random() < 0.2:
            self.share_out()
        waiting = self.waiting()
        for other, share in zip(self.workers, self.shares, strict=True):
            if other is not worker and share.partitions & waiting:
                try:
                    self.conflicts += other.step(10).conflicts
                except FencedOut:
                    self.fenced += 1
                return
