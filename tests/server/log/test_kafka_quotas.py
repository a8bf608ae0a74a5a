"""Quotas of a real broker: an agent that floods is made to wait, and nobody else notices."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka import KafkaAdminClient  # type: ignore[import-untyped]
from sqlalchemy import insert, update

from agent.packing import Signer
from agent.shippers.kafka import IN_FLIGHT_BYTES, KafkaShipper
from agent.shipping import Shipping, Way
from agent.spool import Spool
from agent.spool_segment import NewEntry
from event_schema.control_records import Heartbeat
from event_schema.kafka_security import KafkaCredentials
from event_schema.wire import RecordKind
from server.log.contract import LoggedRecord
from server.log.kafka import KafkaLog
from server.log.kafka_access import KafkaAccess
from server.log.kafka_quotas import UNBOUNDED, User, read_rates, set_rates
from server.pki.files import PkiFiles
from server.store.database import open_database
from server.store.tables import agents
from tests.kafka_broker.installation import SecuredInstallation
from tests.kafka_broker.secured import SecuredBroker

pytestmark = [pytest.mark.kafka, pytest.mark.long]

RATE = 100_000
WINDOW_SECONDS = 11
"""Brokers count over so long at most, and let through in it what a whole window allows."""
EVENT_BYTES = 800
FLOOD_EVENTS = 20_000


@pytest.fixture(params=["mtls", "scram"])
def installation(
    request: pytest.FixtureRequest, secured_kafka: SecuredBroker, tmp_path: Path
) -> SecuredInstallation:
    return SecuredInstallation(secured_kafka, tmp_path / "data", request.param)


def rates(broker: SecuredBroker, *, of: set[User]) -> dict[User, int]:
    """Told as soon as the brokers agree on them, which takes a moment."""
    admin = KafkaAdminClient(**broker.admin_settings())
    try:
        time.sleep(0.5)
        return {user: rate for user, rate in read_rates(admin).items() if user in of}
    finally:
        admin.close()


def agent_user(installation: SecuredInstallation, name: str) -> str:
    return f"CN={name},OU=leaver-agents" if installation.security == "mtls" else f"leaver-agent.{name}"


def test_each_agent_has_a_quota_from_its_enrolment_or_the_next_setup_until_it_is_revoked(
    installation: SecuredInstallation,
) -> None:
    broker, number = installation.broker, installation.number
    early, late = f"early-{number}", f"late-{number}"
    database = open_database(f"sqlite:///{installation.data}/leaver.db", clock=broker.now)
    with database.begin() as connection:
        # Enrolled by a version that knew no quotas.
        connection.execute(insert(agents).values(name=early, created_at=1, enrolled_at=2))
    users: set[User] = {agent_user(installation, early), agent_user(installation, late)}
    told = installation.set_up("--dry-run")
    step = f"{agent_user(installation, early)}: at most 250 kB a second to a broker"
    assert f"quota    would be made: {step}" in told.stdout
    assert rates(broker, of=users) == {}
    assert f"quota    made: {step}" in installation.set_up().stdout
    assert installation.set_up().stdout == "Everything is as it must be.\n"
    installation.let_in(late)
    assert rates(broker, of=users) == dict.fromkeys(users, 250_000)

    access = KafkaAccess(installation.config.log, PkiFiles(broker.pki, clock=broker.now))
    access.expel(late)
    access.close()
    with database.begin() as connection:
        connection.execute(update(agents).values(enrolled_at=3))
    database.close()
    assert rates(broker, of=users) == {agent_user(installation, early): 250_000}


def test_without_the_right_to_make_quotas_an_agent_is_let_in_all_the_same(
    installation: SecuredInstallation, caplog: pytest.LogCaptureFixture
) -> None:
    assert installation.set_up().returncode == 0
    installation.take_from_server(denied=True, operation="ALTER_CONFIGS")
    try:
        installation.let_in(f"desk-{installation.number}")
    finally:
        installation.take_from_server(denied=False)
    assert "agent_quota_not_set" in caplog.text
    assert rates(installation.broker, of={agent_user(installation, f"desk-{installation.number}")}) == {}


def test_with_one_rule_for_all_there_is_one_quota_for_all_but_the_server(
    secured_kafka: SecuredBroker, tmp_path: Path
) -> None:
    installation = SecuredInstallation(secured_kafka, tmp_path / "data", "mtls", agent_rules="all")
    server = installation.server.removeprefix("User:")
    try:
        made = installation.set_up().stdout
        assert "quota    made: every user without one: at most 250 kB a second to a broker" in made
        assert f"quota    made: {server}: no bound" in made
        assert rates(secured_kafka, of={None, server}) == {None: 250_000, server: UNBOUNDED}
        assert installation.set_up().stdout == "Everything is as it must be.\n"
    finally:
        admin = KafkaAdminClient(**secured_kafka.admin_settings())
        set_rates(admin, {None: None, server: None})
        admin.close()


class Agent:
    """A real spool and shipping, to the secured broker."""

    def __init__(self, installation: SecuredInstallation, name: str, folder: Path) -> None:
        self.name = name
        self.spool = Spool(folder / name)
        shipper = KafkaShipper(
            installation.address, installation.topic, credentials=installation.let_in(name)
        )
        way = Way(Signer(Ed25519PrivateKey.generate(), name, self.spool.epoch), shipper)
        self.shipping = Shipping(
            self.spool, way, self._heartbeat, lambda way: way, clock=lambda: 1, heartbeat_seconds=1.0
        )
        self.shipping.start()

    def _heartbeat(self, stopping: bool) -> Heartbeat:
        stats = self.spool.stats()
        return Heartbeat(
            sent_at=1,
            version="0",
            next_seq=stats.next_seq,
            backlog_events=stats.backlog_events,
            backlog_bytes=stats.backlog_bytes,
            lost_events=0,
            collectors=(),
            stopping=stopping or None,
        )

    def sees(self, events: int, size: int) -> None:
        """That many events, which do not compress."""
        first = self.spool.stats().next_seq
        noise = (random.Random(first + n).randbytes(size // 2).hex() for n in range(events))
        self.spool.append(
            [NewEntry("scripted", first + n, f'{{"x":"{text}"}}'.encode()) for n, text in enumerate(noise)]
        )

    def close(self) -> None:
        self.shipping.finish(15)
        self.spool.close()


def _read(installation: SecuredInstallation, credentials: KafkaCredentials) -> Iterator[LoggedRecord]:
    log = KafkaLog(installation.address, installation.topic, credentials=lambda: credentials)
    positions, ends = dict(log.first_offsets()), log.end_offsets()
    while any(positions[partition] < end for partition, end in ends.items()):
        for logged in log.read(positions, max_records=500, timeout=1.0):
            positions[logged.partition] = logged.offset + 1
            yield logged
    log.close()


def test_an_agent_that_floods_is_held_back_and_says_so_its_heartbeats_come_and_others_notice_nothing(
    secured_kafka: SecuredBroker, tmp_path: Path
) -> None:
    installation = SecuredInstallation(secured_kafka, tmp_path / "data", "mtls", quota=RATE)
    assert installation.set_up().returncode == 0
    flooding = Agent(installation, f"flood-{installation.number}", tmp_path)
    calm = Agent(installation, f"calm-{installation.number}", tmp_path)
    begun = time.monotonic()
    delays: list[float] = []
    try:
        for _ in range(2):
            flooding.sees(FLOOD_EVENTS // 2, EVENT_BYTES)
        while time.monotonic() - begun < 9:
            seen = time.monotonic()
            calm.sees(1, EVENT_BYTES)
            while calm.spool.stats().backlog_events:
                assert time.monotonic() - seen < 10
                time.sleep(0.005)
            delays.append(time.monotonic() - seen)
            # What follows within a second waits for more to go with it.
            time.sleep(1.1)
        state = flooding.shipping.state()
        assert flooding.spool.stats().backlog_events > 0
        assert calm.shipping.state().held_back == 0
    finally:
        flooding.close()
        calm.close()
    took = time.monotonic() - begun
    came = list(_read(installation, installation.worker("worker")))
    records = [logged.record for logged in came if logged.record and logged.record.agent == flooding.name]
    kinds = [record.kind for record in records]
    size = sum(len(record.value) for record in records)
    assert state.held_back > 0
    assert state.fault is None
    # Most of the flood waits in its spool, and nothing of what went is lost.
    assert size < RATE * (WINDOW_SECONDS + took) + IN_FLIGHT_BYTES < FLOOD_EVENTS * EVENT_BYTES / 2
    firsts = [record.first_seq for record in records if record.kind is RecordKind.EVENTS]
    assert firsts == sorted(set(firsts))
    # The first heartbeat comes before the flood, the others through it.
    assert kinds.count(RecordKind.HEARTBEAT) >= 3
    assert statistics.median(delays) < 0.5, delays
