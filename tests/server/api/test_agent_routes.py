"""The agents' protocol against the real server: enrol, send, renew, revoke, and what is refused."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import select

from event_schema.request_signing import RECORDS_CONTENT_TYPE, key_id, sign_request
from event_schema.wire import encode_request, verify_signature
from server.agents.registry import KEYS_PER_DAY_MAX, RENEWAL_GRACE, TOKEN_LIFE, revoke
from server.pki.authority import LEAF_DAYS, certificate_times
from server.store import database as store
from server.store.tables import agent_keys, agents, audit, enrolment_tokens
from tests.server.api.running_server import RunningServer, TestAgent, enrol, logged, public_key_text

pytestmark = pytest.mark.databases("sqlite")
DAY = 24 * 3600 * 1000


def _renew(agent: TestAgent, new_key: Ed25519PrivateKey) -> httpx.Response:
    body = msgspec.json.encode({"public_key": public_key_text(new_key)})
    return agent.post("/v1/renew", body, "application/json")


@pytest.mark.databases("sqlite", "postgresql")
def test_an_agent_enrols_sends_renews_and_is_refused_once_revoked(
    server: RunningServer, client: httpx.Client
) -> None:
    agent = TestAgent(server, client, "desk-17")
    answer = agent.answer.json()
    assert answer["agent"] == "desk-17"
    assert answer["log"] == {"kind": "https"}
    assert answer["ca_pem"].encode() == server.authority.certificate_pem
    certificate = x509.load_pem_x509_certificate(answer["certificate_pem"].encode())
    certificate.verify_directly_issued_by(server.authority.certificate)
    assert certificate.subject.rfc4514_string() == "CN=desk-17,OU=leaver-agents"
    held = certificate.public_key()
    assert isinstance(held, Ed25519PublicKey)
    assert held.public_bytes_raw() == agent.key.public_key().public_bytes_raw()
    assert answer["not_after"] == int(certificate.not_valid_after_utc.timestamp() * 1000)

    first = agent.heartbeat()
    response = agent.send([first, first])
    assert (response.status_code, response.json()) == (200, {"accepted": 2})
    assert logged(server) == [first, first]
    verify_signature(first, agent.key.public_key())

    new_key = Ed25519PrivateKey.generate()
    renewed = _renew(agent, new_key)
    assert renewed.status_code == 200
    assert renewed.json()["agent"] == "desk-17"
    # The agent may never have read the answer: its old key still opens the door.
    assert agent.send([agent.heartbeat()]).status_code == 200
    agent.key = new_key
    assert agent.send([agent.heartbeat()]).status_code == 200

    with server.database.begin() as connection:
        revoke(connection, "desk-17", reason="stolen", now=server.clock(), actor="test")
    deadline = time.monotonic() + 2
    while agent.send([agent.heartbeat()]).status_code == 200:
        assert time.monotonic() < deadline, "still accepted 2 s after the revocation"
        time.sleep(0.05)
    refused = agent.send([agent.heartbeat()])
    assert (refused.status_code, refused.json()["reason"]) == (403, "revoked")
    assert _renew(agent, Ed25519PrivateKey.generate()).status_code == 403

    with server.database.read() as connection:
        actions = connection.execute(select(audit.c.action).order_by(audit.c.seq)).scalars().all()
        keys = connection.execute(select(agent_keys.c.key_id)).scalars().all()
    assert actions == ["agent.invite", "agent.enrol", "agent.renew", "agent.revoke"]
    assert len(keys) == 2


@pytest.mark.databases("sqlite", "postgresql")
def test_a_token_enrols_once_and_its_text_is_stored_nowhere(
    server: RunningServer, client: httpx.Client
) -> None:
    token = server.invite("a")
    assert enrol(client, token, Ed25519PrivateKey.generate()).status_code == 200
    replayed = enrol(client, token, Ed25519PrivateKey.generate())
    assert (replayed.status_code, replayed.json()["reason"]) == (403, "token_refused")
    with server.database.read() as connection:
        stored = connection.execute(select(enrolment_tokens)).all()
        assert len(connection.execute(select(agent_keys)).all()) == 1
    assert token not in repr(stored)


@pytest.mark.databases("sqlite", "postgresql")
def test_two_endpoints_racing_with_one_token_give_one_agent_key(server: RunningServer) -> None:
    token = server.invite("a")
    statuses: list[int] = []

    def attempt() -> None:
        with server.client() as client:
            statuses.append(enrol(client, token, Ed25519PrivateKey.generate()).status_code)

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 403, 403, 403]
    with server.database.read() as connection:
        assert len(connection.execute(select(agent_keys)).all()) == 1


def test_expired_replaced_and_made_up_tokens_are_refused_alike(
    server: RunningServer, client: httpx.Client
) -> None:
    key = Ed25519PrivateKey.generate()
    replaced = server.invite("a")
    expired = server.invite("a")
    server.clock.now += TOKEN_LIFE
    answers = [enrol(client, token, key) for token in (replaced, expired, "made-up")]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.content for answer in answers}) == 1


def test_an_address_that_fails_too_often_must_wait_even_with_a_good_token(
    server: RunningServer, client: httpx.Client
) -> None:
    key = Ed25519PrivateKey.generate()
    allowed = server.config.limits.enrol_failures_per_minute
    for _ in range(allowed):
        assert enrol(client, "wrong", key).status_code == 403
    waiting = enrol(client, server.invite("a"), key)
    assert waiting.status_code == 429
    assert 1 <= int(waiting.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "bad_content"),
        (b"{", "bad_content"),
        (b'{"token": "x"}', "bad_content"),
        (b'{"token": "x", "public_key": "AAAA", "admin": true}', "bad_content"),
        (b'{"token": "x", "public_key": "AAAA"}', "bad_key"),
        (b'{"token": "\xff", "public_key": "AAAA"}', "bad_content"),
        (b'{"token": "' + b"x" * 200 + b'", "public_key": "AAAA"}', "bad_content"),
    ],
)
def test_a_malformed_enrolment_says_what_is_wrong(client: httpx.Client, content: bytes, reason: str) -> None:
    response = client.post("/v1/enrol", content=content, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["reason"]) == (400, reason)


def test_unknown_agent_unknown_key_and_wrong_signature_get_the_same_answer(
    server: RunningServer, client: httpx.Client
) -> None:
    agent = TestAgent(server, client, "a")
    body = encode_request([agent.heartbeat()])
    path = "/v1/records"
    stranger = Ed25519PrivateKey.generate()
    good = sign_request(agent.key, agent="a", method="POST", path=path, body=body)
    attempts = {
        "no signature": {},
        "unknown agent": sign_request(stranger, agent="b", method="POST", path=path, body=body),
        "unknown key": sign_request(stranger, agent="a", method="POST", path=path, body=body),
        "other body": sign_request(agent.key, agent="a", method="POST", path=path, body=body + b"x"),
        "other path": sign_request(agent.key, agent="a", method="POST", path="/v1/renew", body=body),
        "known key named, other key signed": {
            **sign_request(stranger, agent="a", method="POST", path=path, body=body),
            "leaver-key": key_id(agent.key.public_key()),
        },
        "not base64": {**good, "leaver-signature": "!"},
    }
    answers = {
        what: client.post(path, content=body, headers={**headers, "content-type": RECORDS_CONTENT_TYPE})
        for what, headers in attempts.items()
    }
    assert {what: answer.status_code for what, answer in answers.items()} == dict.fromkeys(attempts, 401)
    assert len({answer.content for answer in answers.values()}) == 1
    assert logged(server) == []


def test_a_query_is_part_of_what_is_signed(server: RunningServer, client: httpx.Client) -> None:
    agent = TestAgent(server, client, "a")
    body = encode_request([agent.heartbeat()])
    headers = sign_request(agent.key, agent="a", method="POST", path="/v1/records", body=body)
    headers["content-type"] = RECORDS_CONTENT_TYPE
    assert client.post("/v1/records?x=1", content=body, headers=headers).status_code == 401
    assert agent.post("/v1/records?x=1", body, RECORDS_CONTENT_TYPE).status_code == 200


def test_records_of_another_agent_are_refused_and_none_of_the_request_is_kept(
    server: RunningServer, client: httpx.Client
) -> None:
    agent = TestAgent(server, client, "a")
    response = agent.send([agent.heartbeat(), agent.heartbeat(agent="b")])
    assert (response.status_code, response.json()["reason"]) == (400, "wrong_agent")
    assert logged(server) == []


def test_a_truncated_or_foreign_body_is_refused_with_the_reason(
    server: RunningServer, client: httpx.Client
) -> None:
    agent = TestAgent(server, client, "a")
    body = encode_request([agent.heartbeat()])
    for wrong in (body[:-5], b"", b"\xc1", b'{"json": 1}'):
        response = agent.post("/v1/records", wrong, RECORDS_CONTENT_TYPE)
        assert (response.status_code, response.json()["reason"]) == (400, "bad_content")
    too_many = msgspec.msgpack.encode([agent.heartbeat()] * 1001)
    response = agent.post("/v1/records", too_many, RECORDS_CONTENT_TYPE)
    assert (response.status_code, response.json()["reason"]) == (413, "oversized")
    assert agent.post("/v1/records", body, "application/json").status_code == 415
    assert logged(server) == []
    assert agent.post("/v1/records", body, RECORDS_CONTENT_TYPE + "; v=1").status_code == 200


def test_a_record_with_a_wrong_signature_of_its_own_still_reaches_the_log(
    server: RunningServer, client: httpx.Client
) -> None:
    """The pipeline judges records, on both logs alike, and keeps what it refuses as a dead letter."""
    agent = TestAgent(server, client, "a")
    forged = msgspec.structs.replace(agent.heartbeat(), signature=b"\0" * 64)
    assert agent.send([forged]).status_code == 200
    assert logged(server) == [forged]


def test_an_ended_certificate_sends_nothing_but_may_still_be_renewed_for_a_while(
    server: RunningServer, client: httpx.Client
) -> None:
    agent = TestAgent(server, client, "a")
    server.clock.now += LEAF_DAYS * DAY + 1
    refused = agent.send([agent.heartbeat()])
    assert (refused.status_code, refused.json()["reason"]) == (401, "certificate_ended")
    new_key = Ed25519PrivateKey.generate()
    assert _renew(agent, new_key).status_code == 200
    late = server.clock.now
    server.clock.now += RENEWAL_GRACE
    assert _renew(agent, Ed25519PrivateKey.generate()).status_code == 401
    server.clock.now = late
    agent.key = new_key
    assert agent.send([agent.heartbeat()]).status_code == 200


@pytest.mark.databases("sqlite", "postgresql")
def test_an_agent_cannot_fill_the_database_with_keys(server: RunningServer, client: httpx.Client) -> None:
    agent = TestAgent(server, client, "a")
    statuses = [_renew(agent, Ed25519PrivateKey.generate()).status_code for _ in range(KEYS_PER_DAY_MAX + 2)]
    assert statuses == [200] * (KEYS_PER_DAY_MAX - 1) + [429] * 3
    server.clock.now += 2 * DAY
    assert _renew(agent, Ed25519PrivateKey.generate()).status_code == 200


@pytest.mark.databases("sqlite", "postgresql")
def test_asking_twice_for_the_same_new_key_gives_two_certificates_and_one_key(
    server: RunningServer, client: httpx.Client
) -> None:
    agent = TestAgent(server, client, "a")
    new_key = Ed25519PrivateKey.generate()
    first, second = _renew(agent, new_key), _renew(agent, new_key)
    assert first.status_code == second.status_code == 200
    with server.database.read() as connection:
        assert len(connection.execute(select(agent_keys)).all()) == 2
        assert len(connection.execute(select(agents)).all()) == 1


@pytest.mark.databases("sqlite", "postgresql")
def test_asking_for_the_same_key_without_end_adds_one_row_a_day_to_the_audit_trail(
    server: RunningServer, client: httpx.Client
) -> None:
    agent = TestAgent(server, client, "a")
    new_key = Ed25519PrivateKey.generate()
    first = _renew(agent, new_key)

    def written() -> tuple[int, int]:
        with server.database.read() as connection:
            place = agent_keys.c.key_id == key_id(new_key.public_key())
            [key] = connection.execute(select(agent_keys).where(place)).all()
            rows = connection.execute(select(audit.c.seq)).all()
        return len(rows), key.not_before

    until = first.json()["not_after"]
    before = written()
    server.clock.now += DAY - 2000
    again = [_renew(agent, new_key) for _ in range(KEYS_PER_DAY_MAX + 5)]
    assert {(answer.status_code, answer.json()["not_after"]) for answer in again} == {(200, until)}
    certificate = x509.load_pem_x509_certificate(again[-1].json()["certificate_pem"].encode())
    assert certificate_times(certificate).not_after == until
    assert written() == before
    server.clock.now += 4000
    assert _renew(agent, new_key).json()["not_after"] > until
    assert written()[0] == before[0] + 1


def test_the_answer_is_503_while_the_log_is_full_and_readiness_says_so(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, log_bytes=256 * 1024)
    with server.client() as client:
        agent = TestAgent(server, client, "a")
        assert client.get("/readyz").json() == {"status": "ok"}
        accepted = 0
        while (response := agent.send([agent.heartbeat()] * 200)).status_code == 200:
            accepted += 200
            assert accepted < 100_000
        assert (response.status_code, response.json()["reason"]) == (503, "log_unavailable")
        assert int(response.headers["retry-after"]) > 0
        health = client.get("/readyz")
        assert (health.status_code, health.json()["failing"]) == (503, ["log"])
        assert server.log.end_offsets() == {0: accepted}
        server.log.trim({0: accepted})
        assert agent.send([agent.heartbeat()]).status_code == 200
        assert client.get("/readyz").status_code == 200
    server.close()


@pytest.mark.databases("sqlite", "postgresql")
def test_a_database_that_stays_locked_delays_enrolment_and_not_records(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BUSY_TIMEOUT_SECONDS", 0.2)
    server = RunningServer(tmp_path, database_url=database_url)
    with server.client() as client:
        agent = TestAgent(server, client, "a")
        token = server.invite("b")
        with server.database.begin():
            refused = enrol(client, token, Ed25519PrivateKey.generate())
            assert (refused.status_code, refused.json()["reason"]) == (503, "database_unavailable")
            assert int(refused.headers["retry-after"]) > 0
            assert agent.send([agent.heartbeat()]).status_code == 200
        # Nothing was used up.
        assert enrol(client, token, Ed25519PrivateKey.generate()).status_code == 200
    server.close()


@pytest.mark.databases("sqlite", "postgresql")
def test_many_agents_at_once_lose_nothing(server: RunningServer) -> None:
    def work(number: int) -> None:
        with server.client() as client:
            agent = TestAgent(server, client, f"agent-{number}")
            for _ in range(10):
                assert agent.send([agent.heartbeat()]).status_code == 200

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(work, number) for number in range(8)]:
            done.result()
    names = [record.agent for record in logged(server)]
    assert {name: names.count(name) for name in names} == {f"agent-{number}": 10 for number in range(8)}
