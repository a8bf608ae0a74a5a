"""Enrolment trusts the pinned CA and nothing else; identities change whole or not at all."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509

from agent import enrolment
from agent.enrolment import EnrolmentFailed, EnrolmentLine, ServerAway, enrol, parse_line, renew
from agent.identity import (
    AgentFacts,
    HttpsLog,
    Identity,
    KafkaLog,
    NotEnrolled,
    adopt_pending,
    load_identity,
    pending_key,
)
from agent.server_client import Answer
from agent.shippers.https import HttpsShipper
from agent.spool import Spool, SpoolLocked
from agent.spool_segment import NewEntry
from event_schema.wire import pack_events
from tests.agent.enrolled import SHORT, enrolled, line_for
from tests.server.api.running_server import RunningServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    running = RunningServer(folder)
    yield running
    running.close()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


def ship_one(identity: Identity, seq: int = 0) -> None:
    record = pack_events(
        identity.key, agent=identity.facts.agent, epoch="0" * 16, first_seq=seq, events=[b"{}"]
    )
    shipper = HttpsShipper(identity, SHORT)
    shipper.ship([record])
    shipper.close()


def test_the_printed_line_enrols_once_and_the_identity_is_read_back(
    server: RunningServer, state_dir: Path
) -> None:
    line = line_for(server, "host-1")
    identity = enrol(line, state_dir, replace=False, timeouts=SHORT)
    loaded = load_identity(state_dir)
    assert (loaded.facts, loaded.key_id) == (identity.facts, identity.key_id)
    assert loaded.facts.agent == "host-1"
    assert loaded.facts.log == HttpsLog()
    certificate = x509.load_pem_x509_certificate(loaded.certificate_pem.encode())
    assert certificate.public_key() == loaded.key.public_key()
    assert stat.S_IMODE((state_dir / "identity" / "key.pem").stat().st_mode) == 0o600
    ship_one(loaded)
    with pytest.raises(EnrolmentFailed, match="does not know this token"):
        enrol(line, state_dir.parent / "other", replace=False, timeouts=SHORT)


def test_another_ca_than_the_pinned_one_gets_neither_token_nor_trust(
    server: RunningServer, tmp_path: Path, state_dir: Path
) -> None:
    folder = tmp_path / "impostor"
    folder.mkdir()
    impostor = RunningServer(folder)
    try:
        line = line_for(server, "host-1")
        redirected = msgspec.structs.replace(line, server=impostor.url)
        with pytest.raises(EnrolmentFailed, match="another server answers, or the connection is intercepted"):
            enrol(redirected, state_dir, replace=False, timeouts=SHORT)
        assert not any("/v1/enrol" in what for what in impostor.service.counts())
        with pytest.raises(NotEnrolled):
            load_identity(state_dir)
    finally:
        impostor.close()


def test_what_is_no_certificate_is_refused_in_words(
    server: RunningServer, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = line_for(server, "host-1")
    shown = b"-----BEGIN CERTIFICATE-----\nAAAAA\n-----END CERTIFICATE-----\n"
    monkeypatch.setattr(type(server.authority), "certificate_pem", property(lambda _self: shown))
    with pytest.raises(EnrolmentFailed, match="shows no CA certificate"):
        enrol(line, state_dir, replace=False, timeouts=SHORT)


def test_a_spool_in_use_refuses_the_enrolment_before_the_token_is_spent(
    server: RunningServer, state_dir: Path
) -> None:
    line = line_for(server, "host-1")
    spool = Spool(state_dir / "spool")
    with pytest.raises(EnrolmentFailed, match="the agent is running: stop it"):
        enrol(line, state_dir, replace=False, timeouts=SHORT)
    spool.close()
    assert enrol(line, state_dir, replace=False, timeouts=SHORT).facts.agent == "host-1"


def test_no_agent_can_start_while_its_identity_changes(
    server: RunningServer, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled(server, state_dir)
    Spool(state_dir / "spool").close()
    adopt = adopt_pending

    def while_adopting(*given: Any, **named: Any) -> Identity:
        with pytest.raises(SpoolLocked):
            Spool(state_dir / "spool")
        return adopt(*given, **named)

    monkeypatch.setattr(enrolment, "adopt_pending", while_adopting)
    enrol(line_for(server, "host-2"), state_dir, replace=True, timeouts=SHORT)
    Spool(state_dir / "spool").close()


def test_a_key_that_vanishes_before_its_certificate_comes_is_told_in_words(
    server: RunningServer, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = enrolment._ask

    def without_key(*given: Any) -> Answer:
        answer = ask(*given)
        (state_dir / "identity-1" / "key.pem").unlink()
        return answer

    monkeypatch.setattr(enrolment, "_ask", without_key)
    with pytest.raises(EnrolmentFailed, match=r"cannot be kept: .*key\.pem: No such file"):
        enrol(line_for(server, "host-1"), state_dir, replace=False, timeouts=SHORT)


def test_who_shows_the_right_ca_without_holding_its_key_gets_no_token(
    server: RunningServer, tmp_path: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "impostor"
    folder.mkdir()
    impostor = RunningServer(folder)
    try:
        # The impostor relays the public CA certificate, but must speak TLS with a certificate of its own.
        genuine = server.authority.certificate_pem
        monkeypatch.setattr(type(impostor.authority), "certificate_pem", property(lambda _self: genuine))
        line = msgspec.structs.replace(line_for(server, "host-1"), server=impostor.url)
        with pytest.raises(ServerAway, match="CERTIFICATE_VERIFY_FAILED"):
            enrol(line, state_dir, replace=False, timeouts=SHORT)
        assert not any("/v1/enrol" in what for what in impostor.service.counts())
    finally:
        impostor.close()


def test_an_enrolled_machine_is_enrolled_again_only_on_request(
    server: RunningServer, state_dir: Path
) -> None:
    first = enrolled(server, state_dir)
    with pytest.raises(EnrolmentFailed, match="--replace"):
        enrol(line_for(server, "host-1"), state_dir, replace=False, timeouts=SHORT)
    second = enrol(line_for(server, "host-1"), state_dir, replace=True, timeouts=SHORT)
    assert second.key_id != first.key_id
    assert load_identity(state_dir).key_id == second.key_id
    assert len(list(state_dir.glob("identity-*"))) == 1


def test_another_name_gets_numbers_from_zero_unless_events_still_wait(
    server: RunningServer, state_dir: Path
) -> None:
    enrolled(server, state_dir)
    spool = Spool(state_dir / "spool")
    epoch = spool.epoch
    spool.append([NewEntry("scripted", 1, b"{}")])
    with pytest.raises(EnrolmentFailed, match="the agent is running"):
        enrol(line_for(server, "host-2"), state_dir, replace=True, timeouts=SHORT)
    spool.close()
    enrol(line_for(server, "host-2"), state_dir, replace=True, timeouts=SHORT)
    spool = Spool(state_dir / "spool")
    assert (spool.epoch, spool.stats().backlog_events) == (epoch, 1)
    spool.acknowledge(0)
    spool.close()
    enrol(line_for(server, "host-2"), state_dir, replace=True, timeouts=SHORT)
    spool = Spool(state_dir / "spool")
    assert (spool.epoch, spool.stats().next_seq) == (epoch, 1)
    spool.close()
    enrol(line_for(server, "host-3"), state_dir, replace=True, timeouts=SHORT)
    spool = Spool(state_dir / "spool")
    assert spool.epoch != epoch
    assert spool.stats().next_seq == 0
    spool.close()


def test_a_server_that_is_away_is_told_apart_from_a_refusal(state_dir: Path) -> None:
    line = EnrolmentLine("https://127.0.0.1:9", "0" * 64, "t" * 43)
    with pytest.raises(ServerAway, match="does not answer"):
        enrol(line, state_dir, replace=False, timeouts=SHORT)


def test_renewal_changes_key_and_certificate_and_both_keys_ship(
    server: RunningServer, state_dir: Path
) -> None:
    old = enrolled(server, state_dir)
    server.clock.now += 61 * 24 * 3600 * 1000
    assert server.clock.now > old.facts.renew_at
    new = renew(old, state_dir, timeouts=SHORT)
    assert new.key_id != old.key_id
    assert new.facts.not_after > old.facts.not_after
    assert load_identity(state_dir).key_id == new.key_id
    ship_one(new, 0)
    ship_one(old, 1)


def test_a_crash_between_the_servers_answer_and_the_switch_is_made_good_by_asking_again(
    server: RunningServer, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = enrolled(server, state_dir)

    class PowerCut(Exception):
        pass

    def cut(*_: object, **__: object) -> Identity:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "adopt_pending", cut)
        with pytest.raises(PowerCut):
            renew(old, state_dir, timeouts=SHORT)
    assert load_identity(state_dir).key_id == old.key_id
    asked_for = pending_key(state_dir)
    new = renew(load_identity(state_dir), state_dir, timeouts=SHORT)
    assert new.key.public_key() == asked_for.public_key()
    ship_one(new)


def test_a_crash_in_the_middle_of_the_switch_leaves_one_whole_identity(
    server: RunningServer, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = enrolled(server, state_dir)

    class PowerCut(Exception):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(Path, "symlink_to", cut)
        with pytest.raises(PowerCut):
            renew(old, state_dir, timeouts=SHORT)
    assert load_identity(state_dir).key_id == old.key_id
    new = renew(load_identity(state_dir), state_dir, timeouts=SHORT)
    assert load_identity(state_dir).key_id == new.key_id
    ship_one(new)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "leaver-enrol-1 http://x:1 sha256:" + "a" * 64 + " " + "t" * 43,
        "leaver-enrol-1 https://x:1 sha256:" + "a" * 63 + " " + "t" * 43,
        "leaver-enrol-1 https://u@x:1 sha256:" + "a" * 64 + " " + "t" * 43,
        "leaver-enrol-1 https://x:1 sha256:" + "a" * 64 + " secret-token-that-is-cut off" + "t" * 43,
    ],
)
def test_what_is_no_enrolment_line_is_refused_without_repeating_a_token(text: str) -> None:
    with pytest.raises(EnrolmentFailed, match="not an enrolment line") as refused:
        parse_line(text)
    assert "secret-token" not in str(refused.value)


def test_the_line_is_read_with_quotes_and_spaces_around_it() -> None:
    line = parse_line(f' "leaver-enrol-1 https://siem.example:8443 sha256:{"a" * 64} {"t" * 43}"\n')
    assert line == EnrolmentLine("https://siem.example:8443", "a" * 64, "t" * 43)


def test_a_kafka_address_survives_being_written_and_read() -> None:
    facts = AgentFacts("host-1", "https://x:1", KafkaLog(("b1:9092", "b2:9092"), "leaver.events"), 0, 1)
    assert msgspec.json.decode(msgspec.json.encode(facts), type=AgentFacts) == facts
