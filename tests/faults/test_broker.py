"""The Kafka broker is down, hung, full or has a certificate that ended, while agents send."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from server.pki.authority import LEAF_DAYS, certificate_pem, new_key, private_pem
from tests.collectors.linux.real_mounts import needs_root
from tests.faults.chain import Chain, until
from tests.faults.conftest import MakeChain
from tests.kafka_broker.broker import KafkaBroker
from tests.kafka_broker.installation import SecuredInstallation
from tests.kafka_broker.secured import SecuredBroker
from tests.kafka_broker.small_disk import SmallDiskBroker

pytestmark = [pytest.mark.kafka, pytest.mark.long, pytest.mark.timeout(400)]

TOLD_SECONDS = 120.0
"""Clients give up on a broker after 30 s, and `status` asks anew each time."""
_numbers = itertools.count()


def _on(broker: KafkaBroker) -> str:
    return (
        f'[log]\nkind = "kafka"\nbootstrap = ["{broker.bootstrap}"]\n'
        f'topic = "leaver.faults.{next(_numbers)}"\npartitions = 2\n'
    )


def _started(chain: Chain) -> Chain:
    chain.start_server()
    chain.enrol()
    chain.start_agent()
    chain.allow(40)
    chain.wait_for_all(40)
    return chain


def _told_on_both_sides(chain: Chain, words: str = "") -> None:
    until("the agent tells it", lambda: chain.problem().startswith("nothing is sent: kafka to"), TOLD_SECONDS)
    assert words in chain.problem()
    until("the server tells it", lambda: "log_unavailable" in {k for k, _ in chain.findings()}, TOLD_SECONDS)


def _all_well_again(chain: Chain, files: int) -> None:
    chain.wait_for_all(files, TOLD_SECONDS)
    until("the agent is well", lambda: not chain.problem(), TOLD_SECONDS)
    until("the server is well", lambda: "log_unavailable" not in {kind for kind, _ in chain.findings()})


def _kill(broker: KafkaBroker) -> Callable[[], None]:
    broker.kill()
    return broker.restart


def _pause(broker: KafkaBroker) -> Callable[[], None]:
    broker.pause()
    return broker.resume


@pytest.mark.parametrize("trouble", [_kill, _pause])
def test_while_the_broker_is_away_both_sides_tell_it_and_all_comes_when_it_is_back(
    tmp_path: Path,
    make_chain: MakeChain,
    kafka_broker: KafkaBroker,
    trouble: Callable[[KafkaBroker], Callable[[], None]],
) -> None:
    chain = _started(make_chain(tmp_path, _on(kafka_broker)))
    back = trouble(kafka_broker)
    try:
        chain.allow(140)
        _told_on_both_sides(chain)
    finally:
        back()
    _all_well_again(chain, 140)


@pytest.mark.root
@needs_root
def test_a_broker_with_a_full_disk_ends_and_nothing_is_lost_when_it_is_started_with_room(
    tmp_path: Path, make_chain: MakeChain
) -> None:
    broker = SmallDiskBroker()
    try:
        chain = _started(make_chain(tmp_path, _on(broker)))
        broker.fill()
        chain.allow(400)
        assert broker.wait_until_it_ended(60)
        _told_on_both_sides(chain)
        broker.make_room()
        broker.start()
        _all_well_again(chain, 400)
    finally:
        broker.stop()


class ShortLivedBroker(SecuredBroker):
    """Its certificate ends `LIVES_SECONDS` after it was made."""

    LIVES_SECONDS = 90

    def _filled_in(self, directory: Path, port: int, others: list[int]) -> dict[str, str]:
        found = super()._filled_in(directory, port, others)
        self._keystore = Path(found["KEYSTORE"])
        self.certify(self.LIVES_SECONDS)
        return found

    def certify(self, seconds: int) -> None:
        """A new certificate, for the next start."""
        key = new_key()
        made_at = self.now() + (seconds - LEAF_DAYS * 86_400) * 1000
        certificate = self.authority.sign_service(
            key.public_key(), "broker", ["127.0.0.1", "localhost"], now=made_at
        )
        self.ends_at = self.now() + seconds * 1000
        self._keystore.write_bytes(
            private_pem(key) + certificate_pem(certificate) + self.authority.certificate_pem
        )


def test_a_broker_whose_certificate_ended_is_told_by_name_and_all_comes_when_it_has_another(
    tmp_path: Path, make_chain: MakeChain
) -> None:
    broker = ShortLivedBroker(tmp_path / "pki")
    try:
        secured = SecuredInstallation(broker, tmp_path / "data", "mtls")
        assert secured.set_up().returncode == 0
        chain = _started(make_chain(tmp_path, data=secured.data))
        time.sleep(max(0.0, (broker.ends_at - broker.now()) / 1000 + 1))
        # Connections that are open go on; the next ones do not come about.
        chain.stop_agent()
        chain.start_agent()
        chain.allow(100)
        _told_on_both_sides(chain, "expired")
        assert any("expired" in words for kind, words in chain.findings() if kind == "log_unavailable")
        broker.certify(86_400)
        broker.restart()
        _all_well_again(chain, 100)
    finally:
        broker.stop()
