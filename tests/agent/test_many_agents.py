"""Many real shippers at one real server: a flood is held back and harms nobody, and nothing is lost.

How long it takes is for benchmarks/many_agents.py; here is only what must be true whenever it is done.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select

from agent.backoff import Backoff
from agent.packing import Signer
from agent.shippers.https import HttpsShipper
from agent.shipping import Shipping, Way
from agent.spool import Spool
from agent.spool_segment import NewEntry
from event_schema.codec import encode_event
from event_schema.control_records import Heartbeat
from event_schema.wire import RecordKind
from server.config import LimitsConfig
from server.pipeline.worker import PipelineWorker
from server.store.tables import agent_epochs, agent_findings
from tests.agent.enrolled import SHORT, all_logged, enrolled
from tests.server.api.running_server import RunningServer
from tests.server.pipeline.endpoint import copied_file
from tests.server.waiting import wait_until

pytestmark = pytest.mark.long

RATE, AT_ONCE = 1500, 2000
FLOOD = 8000
QUIET_AGENTS = 48
SEGMENT = 64 << 10
WEEK_MS = 7 * 86_400_000


class RealAgent:
    """A spool on disk, a shipper over TLS, the thread between them: the agent without its collectors."""

    def __init__(self, server: RunningServer, folder: Path, name: str, *, spool_bytes: int = 1 << 26) -> None:
        self.name = name
        self.spool = Spool(folder / name / "spool", max_bytes=spool_bytes, segment_bytes=SEGMENT)
        identity = enrolled(server, folder / name / "state", name)
        way = Way(Signer(identity.key, name, self.spool.epoch), HttpsShipper(identity, SHORT))
        self.shipping = Shipping(
            self.spool,
            way,
            self._heartbeat,
            lambda same: same,
            clock=server.clock,
            retry=Backoff(0.1, 0.2),
            heartbeat_seconds=0.5,
        )
        self.identity = identity
        self.dice = Random(name)
        self.clock = server.clock

    def observe(self, number: int, *, ago: int = 0) -> None:
        time_ms = self.clock() - ago
        event = encode_event(copied_file(time_ms, name="NAME"))
        # Names that do not compress: few events fill a spool.
        names = (f"{self.dice.randbytes(60).hex()}.bin".encode() for _ in range(number))
        events = [NewEntry("removable_storage", time_ms, event.replace(b"NAME", name)) for name in names]
        for first in range(0, number, 500):
            self.spool.append(events[first : first + 500])

    def is_through(self) -> bool:
        return self.spool.wait(-1, 0.0) == 0

    def close(self) -> None:
        assert self.shipping.finish(10)
        self.spool.close()

    def _heartbeat(self, stopping: bool) -> Heartbeat:
        stats = self.spool.stats()
        return Heartbeat(
            sent_at=self.clock(),
            version="0.1.0",
            next_seq=stats.next_seq,
            backlog_events=stats.backlog_events,
            backlog_bytes=0,
            lost_events=stats.lost_events,
            collectors=(),
            stopping=stopping or None,
        )


@pytest.fixture
def rate() -> int:
    return RATE


@pytest.fixture
def server(tmp_path: Path, rate: int) -> Iterator[RunningServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    limits = LimitsConfig(agent_events_per_second=rate, agent_events_at_once=AT_ONCE)
    running = RunningServer(folder, limits=limits)
    yield running
    running.close()


@contextmanager
def _closed_together(agents: Sequence[RealAgent]) -> Iterator[None]:
    """At the end each says goodbye; in turn that would take its time."""
    with ThreadPoolExecutor(16) as threads:
        try:
            yield
        finally:
            list(threads.map(RealAgent.close, agents))


def _numbers(server: RunningServer) -> dict[str, list[int]]:
    """All numbers of events on the log, by agent, in their order."""
    found: dict[str, list[int]] = {}
    for record in all_logged(server):
        if record.kind == RecordKind.EVENTS:
            found.setdefault(record.agent, []).extend(
                range(record.first_seq, record.first_seq + record.count)
            )
    return found


def _work_off(server: RunningServer) -> None:
    worker = PipelineWorker(server.database, server.log, clock=server.clock)
    while worker.step(0).records:
        pass


def test_a_flooding_agent_is_held_to_its_quota_and_no_other_agent_notices(
    server: RunningServer, tmp_path: Path
) -> None:
    names = ("flood", *(f"quiet-{number}" for number in range(QUIET_AGENTS)))
    agents = [RealAgent(server, tmp_path, name) for name in names]
    flood, *quiet = agents
    with _closed_together(agents):
        flood.observe(FLOOD)
        begun = time.monotonic()
        flood.shipping.start()
        wait_until("the flood is held back", lambda: "flood" in server.service.quota.held_back())
        for agent in quiet:
            agent.observe(3)
            agent.shipping.start()
        _wait_until_empty(quiet)
        arrived = len(_numbers(server).get("flood", []))
        seconds = time.monotonic() - begun
        assert arrived <= AT_ONCE + seconds * RATE + 2000
        assert arrived < FLOOD, "it still waits when all others are through"
        _wait_until_empty([flood])
        assert flood.shipping.state().fault is None
        assert server.service.quota.held_back().keys() == {"flood"}
    refused = server.service.counts()["POST /v1/records 429"]
    # Told how long to wait, it waits so long: each answer is followed by a request that is taken.
    assert refused <= 2 * FLOOD / 1000
    assert _numbers(server) == {
        "flood": list(range(FLOOD)),
        **{agent.name: [0, 1, 2] for agent in quiet},
    }


@pytest.mark.parametrize("rate", [20_000])
def test_an_agent_that_comes_back_after_a_week_with_a_full_spool_accounts_for_every_event(
    server: RunningServer, tmp_path: Path
) -> None:
    agent = RealAgent(server, tmp_path, "traveller", spool_bytes=12 * SEGMENT)
    observed = 0
    while not agent.spool.stats().lost_events:
        agent.observe(500, ago=WEEK_MS)
        observed += 500
    agent.observe(500)
    observed += 500
    lost = agent.spool.stats().lost_events
    assert observed - lost > AT_ONCE, "more is left than may come at once"
    agent.shipping.start()
    _wait_until_empty([agent])
    agent.close()
    arrived = _numbers(server)["traveller"]
    assert arrived == sorted(set(arrived))
    assert len(arrived) + lost == observed
    _work_off(server)
    with server.database.read() as connection:
        (epoch,) = connection.execute(select(agent_epochs)).all()
        findings = Counter(connection.execute(select(agent_findings.c.kind)).scalars())
    assert (epoch.seen, epoch.lost, epoch.duplicates) == (f"0-{observed - 1}", lost, 0)
    assert findings == {"events_lost": 1}


def test_a_cloned_machine_shows_and_its_events_are_kept_apart(server: RunningServer, tmp_path: Path) -> None:
    original = RealAgent(server, tmp_path, "desk-1")
    spool = Spool(tmp_path / "clone" / "spool", segment_bytes=SEGMENT)
    shipper = HttpsShipper(original.identity, SHORT)
    signer = Signer(original.identity.key, "desk-1", spool.epoch)
    clone_epoch = spool.epoch
    original.shipping.start()
    for turn in range(2):
        original.observe(2)
        _wait_until_empty([original])
        server.clock.now += 1000
        event = encode_event(copied_file(server.clock(), name="clone.bin"))
        spool.append([NewEntry("removable_storage", server.clock(), event)])
        shipper.ship(signer.records(spool.read(turn - 1)))
        server.clock.now += 1000
    shipper.close()
    spool.close()
    original.close()
    _work_off(server)
    with server.database.read() as connection:
        epochs = {row.epoch: row.seen for row in connection.execute(select(agent_epochs))}
        findings = set(connection.execute(select(agent_findings.c.kind)).scalars())
    assert epochs == {original.spool.epoch: "0-3", clone_epoch: "0-1"}
    assert findings == {"new_epoch", "cloned"}


def _wait_until_empty(agents: Sequence[RealAgent]) -> None:
    for agent in agents:
        wait_until(f"{agent.name} is through", agent.is_through, seconds=60)
