"""Agents' access to brokers over its whole life, with a real `leaver up` and real brokers: handed out at
enrolment, rotated at renewal, taken at revocation."""

from __future__ import annotations

import base64
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from agent.config import ShipperSection, parse_config
from agent.enrolment import EnrolmentFailed, enrol, parse_line, renew
from agent.identity import Identity, KafkaLog, load_identity, pending_key, private_pem
from agent.runner import Agent
from agent.shippers.choose import make_shipper
from agent.shippers.contract import Shipper, ShipRefused, ShipRetry
from event_schema.codec import encode_event
from event_schema.request_signing import sign_request
from event_schema.wire import WireRecord, pack_events
from server.agents.broker_access import expel_revoked
from server.api.service import ADMISSIONS_PER_HOUR
from server.commands.opening import system_clock
from server.data_directory import DataDirectory
from server.housekeeping import Housekeeping
from server.installation import opened_installation
from server.log.kafka_topic import ADMIN_SETTINGS
from tests.agent.enrolled import SHORT
from tests.agent.scripted_agent import KINDS
from tests.kafka_broker.installation import Client, SecuredInstallation
from tests.kafka_broker.secured import SecuredBroker
from tests.server.pipeline.endpoint import EPOCH, copied_file
from tests.server.up.up_process import UpProcess, leaver, leaver_json

pytestmark = [pytest.mark.kafka, pytest.mark.long]
TAKEN_AFTER_REVOCATION_MAX = 100
"""Records; brokers need milliseconds, in which an agent that hurries gets none or a few in."""


class Running:
    """`leaver up` on secured brokers."""

    def __init__(self, installation: SecuredInstallation) -> None:
        self.installation, self.data = installation, installation.data
        made = installation.set_up()
        assert made.returncode == 0, made.stdout + made.stderr
        self.up = UpProcess(self.data)

    def enrol(self, name: str, state_dir: Path) -> Identity:
        line = leaver_json("agents", "enrol", name, data=self.data)["line"]
        return enrol(parse_line(line), state_dir, replace=False, timeouts=SHORT)

    def stored(self, events: int) -> dict[str, object]:
        """The status, once so many events are stored."""
        deadline = time.monotonic() + 15
        while True:
            status: dict[str, object] = leaver_json("status", data=self.data)
            if int(str(status["events_stored"])) >= events:
                return status
            assert time.monotonic() < deadline, (status["events_stored"], status["dead_letters"])
            time.sleep(0.1)


@pytest.fixture(scope="module", params=["mtls", "scram"])
def running(
    request: pytest.FixtureRequest, secured_kafka: SecuredBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp(f"secured-{request.param}")
    made = Running(SecuredInstallation(secured_kafka, folder / "data", request.param))
    yield made
    made.up.close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """An agent's, of this test alone."""
    return f"desk-{zlib.crc32(request.node.nodeid.encode())}"


def events(identity: Identity, first_seq: int, count: int = 1) -> WireRecord:
    now = time.time_ns() // 1_000_000
    made = [encode_event(copied_file(now, name=f"{first_seq + n}.xlsx")) for n in range(count)]
    return pack_events(
        identity.key, agent=identity.facts.agent, epoch=EPOCH, first_seq=first_seq, events=made
    )


def shipper_of(identity: Identity) -> Shipper:
    return make_shipper(identity, ShipperSection())


def ships(identity: Identity, first_seq: int) -> bool:
    """Whether the brokers take a record over a new connection."""
    shipper = shipper_of(identity)
    try:
        shipper.ship([events(identity, first_seq)])
    except ShipRefused as refused:
        assert refused.code == "unauthorised"
        return False
    finally:
        shipper.close()
    return True


def test_an_enrolled_agent_writes_and_the_server_reads_and_nothing_secret_shows(
    running: Running, name: str, tmp_path: Path
) -> None:
    before = int(str(running.stored(0)["events_stored"]))
    identity = running.enrol(name, tmp_path / "state")
    log = identity.facts.log
    assert isinstance(log, KafkaLog)
    assert (log.security, log.topic) == (running.installation.security, running.installation.topic)
    loaded = load_identity(tmp_path / "state")
    assert (loaded.facts, loaded.kafka_secret) == (identity.facts, identity.kafka_secret)
    shipper = shipper_of(identity)
    shipper.ship([events(identity, 0, 150), events(identity, 150, 50)])
    shipper.close()
    status = running.stored(before + 200)
    assert (status["events_stored"], status["dead_letters"]) == (before + 200, {})
    assert f"({running.installation.security})" in str(running.up.said("log"))
    folder = tmp_path / "state" / "identity"
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes["key.pem"] == 0o600
    if running.installation.security == "scram":
        assert modes["kafka-password"] == 0o600
        assert (folder / "kafka-password").read_text() not in (folder / "agent.json").read_text()
        shown = leaver("config", "show", data=running.data)
        assert "server-secret" not in shown.stdout
        assert str(running.data / "password") in shown.stdout


def test_renewing_while_shipping_loses_and_doubles_nothing_and_the_old_password_is_refused(
    running: Running, name: str, tmp_path: Path
) -> None:
    before = int(str(running.stored(0)["events_stored"]))
    old = running.enrol(name, tmp_path / "state")
    shipping = [(old, shipper_of(old))]
    failed: list[Exception] = []
    stop = threading.Event()
    shipped = 0

    def ship_on() -> None:
        nonlocal shipped
        while not stop.is_set():
            identity, shipper = shipping[-1]
            try:
                shipper.ship([events(identity, shipped * 10, 10)])
            except (ShipRetry, ShipRefused) as error:
                failed.append(error)
                return
            shipped += 1

    thread = threading.Thread(target=ship_on)
    thread.start()
    try:
        wait_for(lambda: shipped >= 20)
        new = renew(old, tmp_path / "state", timeouts=SHORT)
        # The connection of the old password stays.
        so_far = shipped
        wait_for(lambda: shipped >= so_far + 20)
        shipping.append((new, shipper_of(new)))
        so_far = shipped
        wait_for(lambda: shipped >= so_far + 20)
    finally:
        stop.set()
        thread.join(30)
        for _, shipper in shipping:
            shipper.close()
    assert failed == []
    assert new.key_id != old.key_id
    status = running.stored(before + shipped * 10)
    assert (status["events_stored"], status["dead_letters"]) == (before + shipped * 10, {})
    assert [agent for agent in leaver_json("agents", "list", data=running.data) if agent["findings"]] == []
    if running.installation.security == "scram":
        assert new.kafka_secret != old.kafka_secret
        assert not ships(old, shipped * 10)
    assert ships(new, shipped * 10)


def test_revocation_ends_writes_at_once_on_open_and_on_new_connections(
    running: Running, name: str, tmp_path: Path
) -> None:
    identity = running.enrol(name, tmp_path / "state")
    other = running.enrol(f"{name}-other", tmp_path / "other")
    shipper = shipper_of(identity)
    shipper.ship([events(identity, 0)])
    done = leaver("agents", "revoke", name, "--reason", "lost", data=running.data)
    assert done.returncode == 0, done.stderr
    number = 1
    with pytest.raises(ShipRefused) as refused:
        while number <= TAKEN_AFTER_REVOCATION_MAX:
            shipper.ship([events(identity, number)])
            number += 1
    assert refused.value.code == "unauthorised"
    shipper.close()
    assert not ships(identity, number)
    with pytest.raises(EnrolmentFailed):
        renew(identity, tmp_path / "state", timeouts=SHORT)
    assert ships(other, 0), "others go on"


def test_an_agent_that_never_heard_its_new_password_asks_for_another_by_itself(
    running: Running, name: str, tmp_path: Path
) -> None:
    if running.installation.security == "mtls":
        # The old certificate is good until it ends: nothing to lose.
        identity = running.enrol(name, tmp_path / "state")
        renew(identity, tmp_path / "state", timeouts=SHORT)
        assert ships(identity, 0)
        return
    identity = running.enrol(name, tmp_path / "state")
    kept = {path.name: path.read_bytes() for path in (tmp_path / "state" / "identity").iterdir()}
    renew(identity, tmp_path / "state", timeouts=SHORT)
    # As if the power had failed before the answer was written.
    for file, content in kept.items():
        (tmp_path / "state" / "identity" / file).write_bytes(content)
    settings = f'[agent]\nstate_dir = "{tmp_path / "state"}"\n'
    agent = Agent(parse_config(settings.encode(), "test", KINDS), kinds=KINDS)
    shipping = agent._shipping
    assert not shipping._beat(stopping=False)
    assert shipping.state().fault_code == "unauthorised"
    shipping._keep_up()
    assert shipping._beat(stopping=False)
    assert load_identity(tmp_path / "state").kafka_secret not in {"", identity.kafka_secret}
    shipping._way.shipper.close()
    agent._spool.close()


def test_brokers_that_were_away_hear_of_a_revocation_later(
    running: Running, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = running.enrol(name, tmp_path / "state")
    monkeypatch.setitem(ADMIN_SETTINGS, "bootstrap_timeout_ms", 1000)
    settings = running.data / "server.toml"
    good = settings.read_text()
    settings.write_text(good.replace(running.installation.address, "127.0.0.1:9"))
    try:
        told = leaver("agents", "revoke", name, "--reason", "lost", data=running.data)
    finally:
        settings.write_text(good)
    assert told.returncode == 4
    assert told.stdout == f"{name} is revoked.\n"
    assert "leaver up will, within a minute of their return" in told.stderr
    directory = DataDirectory(running.data)
    with opened_installation(directory, directory.load_config(), clock=system_clock) as installation:
        access = installation.open_broker_access()
        assert access is not None
        log = installation.open_log()
        housekeeping = Housekeeping(
            installation.database,
            log,
            events_days=90,
            alerts_days=730,
            uses_days=730,
            clock=system_clock,
            renew_certificate=lambda: None,
            broker=access,
        )
        stop = threading.Event()
        working = threading.Thread(target=housekeeping.run, args=(stop,))
        working.start()
        # The running server, whose turn comes twice a minute, may have been quicker.
        wait_for(lambda: name in access.expelled())
        stop.set()
        working.join(30)
        log.close()
        assert expel_revoked(installation.database, access) == []
        access.close()
    assert not ships(identity, 0)


def test_a_token_stays_good_while_the_brokers_cannot_be_told(
    running: Running, name: str, tmp_path: Path
) -> None:
    line = parse_line(leaver_json("agents", "enrol", name, data=running.data)["line"])
    running.installation.take_from_server(True)
    try:
        with pytest.raises(EnrolmentFailed, match="brokers_unavailable"):
            enrol(line, tmp_path / "state", replace=False, timeouts=SHORT)
    finally:
        running.installation.take_from_server(False)
    identity = enrol(line, tmp_path / "state", replace=False, timeouts=SHORT)
    assert ships(identity, 0)


def test_an_agent_that_renews_again_and_again_does_not_keep_the_brokers_busy(
    running: Running, name: str, tmp_path: Path
) -> None:
    identity = running.enrol(name, tmp_path / "state")
    text = base64.b64encode(pending_key(tmp_path / "state").public_key().public_bytes_raw()).decode()
    body = msgspec.json.encode({"public_key": text})
    answers = []
    with running.up.client() as client:
        for _ in range(ADMISSIONS_PER_HOUR + 1):
            signed = sign_request(identity.key, agent=name, method="POST", path="/v1/renew", body=body)
            headers = {**signed, "content-type": "application/json"}
            answers.append(client.post("/v1/renew", content=body, headers=headers))
    assert {answer.status_code for answer in answers[:-3]} == {200}
    assert answers[-1].status_code == 429
    assert answers[-1].json()["reason"] == "too_many_admissions"
    assert running.enrol(f"{name}-other", tmp_path / "other").facts.agent == f"{name}-other"


def test_an_agent_may_do_nothing_but_write(running: Running, name: str, tmp_path: Path) -> None:
    identity = running.enrol(name, tmp_path / "state")
    assert ships(identity, 0)
    installation = running.installation
    log = identity.facts.log
    assert isinstance(log, KafkaLog)
    credentials = msgspec.structs.replace(
        installation.worker("unused"), security=log.security, user=log.user, secret=identity.kafka_secret
    )
    if log.security == "mtls":
        credentials = msgspec.structs.replace(
            credentials, certificate_pem=identity.certificate_pem, key_pem=private_pem(identity.key).decode()
        )
    client = Client(installation, credentials)
    installation.put_a_record(installation.topic)
    assert not client.may_read(installation.topic)
    assert not client.may_create(f"made-by-{name}")


def wait_for(done: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
