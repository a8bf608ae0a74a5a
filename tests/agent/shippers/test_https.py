"""The HTTPS shipper against the real server over real TLS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.shippers.contract import Shipper, ShipRefused, ShipRetry
from agent.shippers.https import HttpsShipper
from event_schema.wire import WireRecord
from server.agents.registry import revoke
from server.api.app import create_app
from server.api.https_server import HttpsServer
from server.pki.authority import create_authority
from tests.agent.enrolled import SHORT, all_logged, enrolled, start_https, stop_https
from tests.agent.shippers.shipper_contract import FarSide, ShipperContract, events_record
from tests.server.api.running_server import RunningServer


class HttpsServerSide(FarSide):
    def __init__(self, server: RunningServer, state_dir: Path) -> None:
        self.server = server
        self.identity = enrolled(server, state_dir)
        self.agent, self.key = self.identity.facts.agent, self.identity.key

    def shipper(self) -> Shipper:
        return HttpsShipper(self.identity, SHORT)

    def arrived(self) -> list[WireRecord]:
        return [record for record in all_logged(self.server) if record.agent == self.agent]

    def stop(self) -> None:
        stop_https(self.server)

    def start(self) -> None:
        start_https(self.server)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    running = RunningServer(folder)
    yield running
    running.close()


@pytest.fixture
def side(server: RunningServer, tmp_path: Path) -> HttpsServerSide:
    return HttpsServerSide(server, tmp_path / "state")


class TestHttpsShipper(ShipperContract):
    @pytest.fixture
    def far_side(self, side: HttpsServerSide) -> Iterator[FarSide]:
        yield side


def test_a_revoked_agent_is_refused_and_told_so(side: HttpsServerSide) -> None:
    shipper = side.shipper()
    shipper.ship([events_record(side, 0)])
    with side.server.database.begin() as connection:
        revoke(connection, side.agent, reason="stolen", now=side.server.clock(), actor="test")
    with pytest.raises(ShipRefused) as refused:
        for n in range(1, 100):
            shipper.ship([events_record(side, n)])
            time.sleep(0.05)
    assert refused.value.code == "revoked"
    shipper.close()


def test_a_key_that_the_server_does_not_know_is_refused(side: HttpsServerSide) -> None:
    stranger = msgspec.structs.replace(side.identity, key=Ed25519PrivateKey.generate())
    shipper = HttpsShipper(stranger, SHORT)
    with pytest.raises(ShipRefused) as refused:
        shipper.ship([events_record(side, 0)])
    assert refused.value.code == "unauthorised"
    assert side.arrived() == []
    shipper.close()


def test_records_of_another_agent_are_refused_as_a_bad_request(side: HttpsServerSide) -> None:
    other = msgspec.structs.replace(events_record(side, 0), agent="host-2")
    shipper = side.shipper()
    with pytest.raises(ShipRefused, match="not of the agent") as refused:
        shipper.ship([other])
    assert refused.value.code == "bad_request"
    assert side.arrived() == []
    shipper.close()


def test_a_server_with_another_ca_gets_no_records(side: HttpsServerSide) -> None:
    other_ca = create_authority("another", now=side.server.clock()).certificate_pem.decode()
    shipper = HttpsShipper(msgspec.structs.replace(side.identity, ca_pem=other_ca), SHORT)
    with pytest.raises(ShipRetry, match="CERTIFICATE_VERIFY_FAILED"):
        shipper.ship([events_record(side, 0)])
    assert side.arrived() == []
    shipper.close()


def test_a_certificate_for_another_host_name_is_not_believed(side: HttpsServerSide) -> None:
    certificate = side.server.pki.ensure_server(side.server.authority, side.server.config.listen)
    elsewhere = HttpsServer(create_app(side.server.service), "127.0.0.2:0", certificate, connections=10)
    elsewhere.start()
    try:
        facts = msgspec.structs.replace(side.identity.facts, server=f"https://127.0.0.2:{elsewhere.port}")
        shipper = HttpsShipper(msgspec.structs.replace(side.identity, facts=facts), SHORT)
        with pytest.raises(ShipRetry, match=r"not valid for .127\.0\.0\.2"):
            shipper.ship([events_record(side, 0)])
        shipper.close()
    finally:
        elsewhere.stop()
        assert elsewhere.join(10)
    assert side.arrived() == []


def test_a_log_that_is_full_makes_the_shipper_wait_as_long_as_the_server_asks(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    server = RunningServer(folder, log_bytes=256 << 10)
    try:
        side = HttpsServerSide(server, tmp_path / "state")
        shipper = side.shipper()
        with pytest.raises(ShipRetry, match="503") as asked:
            for n in range(0, 20_000, 200):
                shipper.ship([events_record(side, n, 200, size=1000)])
        assert asked.value.not_before >= 1.0
        shipper.close()
    finally:
        server.close()
