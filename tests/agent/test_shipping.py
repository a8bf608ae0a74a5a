"""Shipping from a real spool to the real server: order, batching, refusal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.backoff import Backoff
from agent.packing import Signer
from agent.shippers.https import HttpsShipper
from agent.shipping import Shipping, Way
from agent.spool import Spool
from agent.spool_segment import NewEntry
from event_schema.control_records import Heartbeat, Loss, LossReason, decode_heartbeat, decode_loss
from event_schema.wire import RecordKind, WireRecord, unpack_content
from server.agents.registry import revoke
from server.api.app import create_app
from server.api.errors import ApiError, closing, refusal_response
from server.api.https_server import HttpsServer
from tests.agent.enrolled import SHORT, all_logged, enrolled, stop_https
from tests.server.api.running_server import RunningServer

SEGMENT = 64 << 10


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    running = RunningServer(folder)
    yield running
    running.close()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool", max_bytes=4 * SEGMENT, segment_bytes=SEGMENT)
    yield opened
    opened.close()


class Shipped:
    """Shipping that runs, from a spool to a server."""

    def __init__(
        self,
        server: RunningServer,
        spool: Spool,
        state_dir: Path,
        *,
        refused: Backoff | None = None,
        retry: Backoff | None = None,
        shipper: type[HttpsShipper] = HttpsShipper,
    ) -> None:
        self.server, self.spool = server, spool
        identity = enrolled(server, state_dir)
        self.upkeeps = 0
        way = Way(Signer(identity.key, "host-1", spool.epoch), shipper(identity, SHORT))
        self.shipping = Shipping(
            spool,
            way,
            self._heartbeat,
            self._upkeep,
            clock=lambda: 1,
            retry=retry or Backoff(0.1, 0.2),
            refused=refused,
            heartbeat_seconds=0.5,
        )

    def _heartbeat(self, stopping: bool) -> Heartbeat:
        return Heartbeat(
            sent_at=1,
            version="0",
            next_seq=self.spool.stats().next_seq,
            backlog_events=0,
            backlog_bytes=0,
            lost_events=0,
            collectors=(),
            stopping=stopping or None,
        )

    def _upkeep(self, way: Way) -> Way:
        self.upkeeps += 1
        return way

    def logged(self, kind: RecordKind | None = None) -> list[WireRecord]:
        return [r for r in all_logged(self.server) if kind is None or r.kind == kind]


@pytest.fixture
def shipped(server: RunningServer, spool: Spool, tmp_path: Path) -> Iterator[Shipped]:
    made = Shipped(server, spool, tmp_path / "state")
    yield made
    made.shipping.finish(5)


def entry(number: int, size: int = 100) -> NewEntry:
    return NewEntry("scripted", number, f'{{"n":{number},"x":"{"y" * size}"}}'.encode())


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_losses_and_events_lie_on_the_log_in_the_order_of_their_numbers(
    shipped: Shipped, spool: Spool
) -> None:
    # Noise, so that packed segments do not keep the spool under its cap.
    for number in range(3000):
        noise = f"{hash((number, 1)) & 0xFFFFFFFFFFFFFFFF:016x}" * 2
        spool.append([entry(number * 100 + k) for k in range(10)] + [NewEntry("s", 1, noise.encode())])
    assert spool.stats().lost_events > 0
    total = spool.stats().next_seq
    shipped.shipping.start()
    until(lambda: spool.acknowledged == total)
    covered: list[int] = []
    for record in shipped.logged():
        assert record.first_seq == len(covered)
        covered += range(record.first_seq, record.first_seq + record.count)
    assert covered == list(range(total))
    assert len(shipped.logged(RecordKind.LOSS)) >= 1
    assert spool.stats().backlog_events == 0


def test_a_burst_of_single_events_is_sent_in_few_records(shipped: Shipped, spool: Spool) -> None:
    shipped.shipping.start()
    until(lambda: bool(shipped.logged(RecordKind.HEARTBEAT)))
    for number in range(1000):
        spool.append([entry(number)])
    until(lambda: spool.acknowledged == 1000)
    records = shipped.logged(RecordKind.EVENTS)
    assert sum(record.count for record in records) == 1000
    assert len(records) < 100
    state = shipped.shipping.state()
    assert (state.shipped_events, state.fault) == (1000, None)


def test_a_revoked_agent_keeps_its_events_and_says_why_nothing_is_sent(
    shipped: Shipped, spool: Spool
) -> None:
    shipped.shipping.start()
    until(lambda: shipped.shipping.state().last_success is not None)
    with shipped.server.database.begin() as connection:
        revoke(connection, "host-1", reason="stolen", now=shipped.server.clock(), actor="test")
    until(lambda: shipped.shipping.state().fault_code == "revoked")
    spool.append([entry(n) for n in range(10)])
    time.sleep(0.3)
    assert shipped.shipping.finish(5)
    assert "revoked" in (shipped.shipping.state().fault or "")
    assert (spool.acknowledged, spool.stats().backlog_events) == (0, 10)
    assert shipped.logged(RecordKind.EVENTS) == []


def test_heartbeats_go_on_while_there_is_nothing_to_ship_and_the_last_one_says_goodbye(
    shipped: Shipped, spool: Spool
) -> None:
    spool.append([entry(0)])
    shipped.shipping.start()
    until(lambda: len(shipped.logged(RecordKind.HEARTBEAT)) >= 3)
    assert shipped.upkeeps >= 3
    assert shipped.shipping.finish(5)
    last = shipped.logged()[-1]
    assert (last.kind, last.first_seq) == (RecordKind.HEARTBEAT, 1)


class OnlyHeartbeats(HttpsShipper):
    """Breaks in a way that nobody foresaw when it is given events, until `broken` is cleared."""

    broken: ClassVar[bool] = True
    tries: ClassVar[list[float]] = []

    def ship(self, records: Sequence[WireRecord]) -> None:
        if self.broken and any(record.kind != RecordKind.HEARTBEAT for record in records):
            self.tries.append(time.monotonic())
            raise RuntimeError("not foreseen")
        super().ship(records)


def test_a_fault_about_events_is_seen_until_events_go_whatever_heartbeats_do(
    server: RunningServer, spool: Spool, tmp_path: Path
) -> None:
    OnlyHeartbeats.broken, OnlyHeartbeats.tries = True, []
    steady = Backoff(0.5, 60.0, jitter=lambda: 1.0)
    shipped = Shipped(server, spool, tmp_path / "state", retry=steady, shipper=OnlyHeartbeats)
    spool.append([entry(n) for n in range(10)])
    shipped.shipping.start()
    until(lambda: shipped.shipping.state().fault is not None)
    seen: set[str | None] = set()
    while len(shipped.logged(RecordKind.HEARTBEAT)) < 6 or len(OnlyHeartbeats.tries) < 3:
        seen.add(shipped.shipping.state().fault_code)
        time.sleep(0.01)
    assert seen == {"internal"}
    # Each wait twice the last, although heartbeats went between: 0.5 s, 1 s, 2 s.
    waits = [later - earlier for earlier, later in pairwise(OnlyHeartbeats.tries)]
    assert len(waits) >= 2
    assert all(wait >= 0.5 * 2**n for n, wait in enumerate(waits))
    OnlyHeartbeats.broken = False
    until(lambda: spool.acknowledged == 10)
    until(lambda: shipped.shipping.state().fault is None)
    assert shipped.shipping.finish(5)


def test_goodbye_is_said_although_events_cannot_be_sent(
    server: RunningServer, spool: Spool, tmp_path: Path
) -> None:
    OnlyHeartbeats.broken = True
    shipped = Shipped(server, spool, tmp_path / "state", shipper=OnlyHeartbeats)
    spool.append([entry(0)])
    shipped.shipping.start()
    until(lambda: shipped.shipping.state().fault_code == "internal")
    assert shipped.shipping.finish(5)
    last = decode_heartbeat(unpack_content(shipped.logged()[-1]))
    assert last.stopping is True
    assert spool.stats().backlog_events == 1


class Narrow:
    """What stands before the server and takes no request over its limit, as a proxy does."""

    def __init__(self, app: ASGIApp, limit: list[int]) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = int(dict(scope["headers"]).get(b"content-length", b"0"))
        if length <= self._limit[0]:
            await self._app(scope, receive, send)
            return
        refusal = closing(refusal_response(ApiError(413, "oversized", "too large for the proxy")))
        await refusal(scope, receive, send)


@pytest.fixture
def limit(server: RunningServer) -> list[int]:
    """Of a request's bytes; may be changed."""
    limit = [20_000]
    stop_https(server)
    app = create_app(server.service)
    app.add_middleware(Narrow, limit=limit)
    certificate = server.pki.ensure_server(server.authority, server.config.listen)
    server.https = HttpsServer(app, server.url.removeprefix("https://"), certificate, connections=200)
    server.https.start()
    return limit


@pytest.fixture
def patient(server: RunningServer, spool: Spool, tmp_path: Path) -> Iterator[Shipped]:
    """Tries what was refused again at once."""
    made = Shipped(server, spool, tmp_path / "state", refused=Backoff(0.02, 0.05))
    yield made
    made.shipping.finish(5)


def incompressible(number: int, size: int) -> NewEntry:
    return NewEntry(
        "scripted", number, f'{{"n":{number},"x":"{Random(number).randbytes(size).hex()}"}}'.encode()
    )


@pytest.mark.long
@pytest.mark.usefixtures("limit")
def test_an_event_too_large_for_the_way_is_told_as_a_loss_and_those_behind_it_arrive(
    patient: Shipped, spool: Spool
) -> None:
    large = (137, 138, 299)
    spool.append([incompressible(n, 30_000) if n in large else incompressible(n, 100) for n in range(300)])
    patient.shipping.start()
    until(lambda: spool.acknowledged == 300)
    until(lambda: patient.shipping.state().fault is None)
    losses = [decode_loss(unpack_content(record)) for record in patient.logged(RecordKind.LOSS)]
    assert losses == [
        Loss(reason=LossReason.TOO_LARGE, first_seq=n, count=1, first_time=n, last_time=n) for n in large
    ]
    arrived = {
        seq
        for record in patient.logged(RecordKind.EVENTS)
        for seq in range(record.first_seq, record.first_seq + record.count)
    }
    assert arrived == set(range(300)) - set(large)
    assert (spool.stats().lost_events, spool.stats().backlog_events) == (3, 0)
    assert patient.shipping.state().shipped_events == 297


def test_a_way_that_takes_not_even_a_loss_costs_no_event_and_is_told(
    patient: Shipped, spool: Spool, limit: list[int], tmp_path: Path
) -> None:
    limit[0] = 10
    spool.append([entry(n) for n in range(20)])
    patient.shipping.start()
    until(lambda: patient.shipping.state().fault_code == "too_large")
    time.sleep(1.0)
    assert (spool.acknowledged, spool.stats().lost_events) == (0, 0)
    # Not while it runs: between an event's last try and its loss, a limit may be raised too late.
    assert patient.shipping.finish(5)
    limit[0] = 20_000
    again = Shipped(patient.server, spool, tmp_path / "state after")
    again.shipping.start()
    until(lambda: spool.acknowledged == 20)
    assert again.shipping.finish(5)
    assert sum(record.count for record in again.logged(RecordKind.EVENTS)) == 20
    assert again.logged(RecordKind.LOSS) == []


def test_an_event_that_was_given_up_stays_counted_after_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([entry(n) for n in range(5)])
    spool.acknowledge(1, lost=1)
    spool.close()
    again = Spool(tmp_path / "spool")
    assert (again.stats().lost_events, again.stats().backlog_events) == (1, 3)
    again.close()
