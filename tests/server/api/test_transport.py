"""What hostile or broken clients do to the HTTPS server: sizes, slowness, garbage, and stopping meanwhile."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from event_schema.request_signing import RECORDS_CONTENT_TYPE, sign_request
from event_schema.wire import REQUEST_BYTES_MAX
from server.api import access, https_server
from server.config import LimitsConfig
from server.json_log import JsonFormatter
from server.pki.authority import create_authority
from tests.server.api.running_server import RunningServer, TestAgent, logged

pytestmark = pytest.mark.databases("sqlite")  # about requests, before any database


def _read_all(connection: ssl.SSLSocket) -> bytes:
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except (ConnectionError, ssl.SSLError):
        return data
    return data


def _health_status(server: RunningServer) -> int:
    with server.client() as client:
        return client.get("/healthz").status_code


def _signed_head(agent: TestAgent, body: bytes, length: int) -> bytes:
    headers = sign_request(agent.key, agent=agent.name, method="POST", path="/v1/records", body=body)
    lines = ["POST /v1/records HTTP/1.1", "host: x", f"content-type: {RECORDS_CONTENT_TYPE}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {length}", "", ""]
    return "\r\n".join(lines).encode()


def test_a_body_announced_over_the_limit_is_refused_before_it_is_kept(
    server: RunningServer, client: httpx.Client
) -> None:
    agent = TestAgent(server, client, "a")
    response = agent.post("/v1/records", b"x" * (REQUEST_BYTES_MAX + 1), RECORDS_CONTENT_TYPE)
    assert (response.status_code, response.json()["reason"]) == (413, "oversized")
    assert server.service.bodies.used == 0


def test_a_body_without_announced_length_is_cut_off_at_the_limit(
    server: RunningServer, client: httpx.Client
) -> None:
    agent = TestAgent(server, client, "a")
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 16 * REQUEST_BYTES_MAX:
            sent += 1 << 20
            yield b"x" * (1 << 20)

    headers = sign_request(agent.key, agent="a", method="POST", path="/v1/records", body=b"")
    headers["content-type"] = RECORDS_CONTENT_TYPE
    with contextlib.suppress(httpx.TransportError):
        assert client.post("/v1/records", content=endless(), headers=headers).status_code == 413
    assert sent <= 8 * REQUEST_BYTES_MAX
    assert server.service.bodies.used == 0
    assert agent.send([agent.heartbeat()]).status_code == 200


def test_a_small_route_takes_only_a_small_body(client: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/v1/enrol", content=b"x" * 5000, headers=headers)
    assert (response.status_code, response.json()["reason"]) == (413, "oversized")


def test_a_body_that_never_ends_is_given_up_in_time_and_others_are_served_meanwhile(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, limits=LimitsConfig(request_seconds=1))
    with server.client() as client:
        agent = TestAgent(server, client, "a")
        with server.raw_connection() as slow:
            slow.sendall(_signed_head(agent, b"x" * 100, 100) + b"x")
            begun = time.monotonic()
            assert agent.send([agent.heartbeat()]).status_code == 200
            answer = _read_all(slow)
            took = time.monotonic() - begun
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert 0.5 < took < 4
    assert server.service.bodies.used == 0
    assert len(logged(server)) == 1
    server.close()


def test_a_connection_that_breaks_within_a_body_leaves_nothing_behind(
    server: RunningServer, client: httpx.Client
) -> None:
    agent = TestAgent(server, client, "a")
    broken = server.raw_connection()
    broken.sendall(_signed_head(agent, b"x" * 100_000, 100_000) + b"x" * 50_000)
    deadline = time.monotonic() + 5
    while server.service.bodies.used == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.service.bodies.used > 0
    broken.close()
    while server.service.bodies.used and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.service.bodies.used == 0
    assert logged(server) == []


def test_bodies_beyond_the_memory_for_all_of_them_are_asked_to_come_back(tmp_path: Path) -> None:
    limits = LimitsConfig(body_mebibytes_in_flight=32)
    server = RunningServer(tmp_path, limits=limits)
    with server.client() as client:
        agent = TestAgent(server, client, "a")
        held = [server.raw_connection() for _ in range(2)]
        for connection in held:
            connection.sendall(_signed_head(agent, b"", REQUEST_BYTES_MAX) + b"x" * (REQUEST_BYTES_MAX - 1))
        deadline = time.monotonic() + 10
        while server.service.bodies.used < 2 * (REQUEST_BYTES_MAX - 1) and time.monotonic() < deadline:
            time.sleep(0.01)
        response = agent.send([agent.heartbeat()])
        assert (response.status_code, response.json()["reason"]) == (503, "busy")
        assert int(response.headers["retry-after"]) > 0
        for connection in held:
            connection.close()
        while server.service.bodies.used and time.monotonic() < deadline:
            time.sleep(0.01)
        assert agent.send([agent.heartbeat()]).status_code == 200
    server.close()


def test_a_head_that_is_never_finished_ends_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https_server, "HEAD_SECONDS", 0.5)
    server = RunningServer(tmp_path)
    for beginning in (b"", b"GET /healthz HTTP/1.1\r\nhost: x\r\n"):
        with server.raw_connection() as slow:
            slow.sendall(beginning)
            begun = time.monotonic()
            assert _read_all(slow) == b""
            assert time.monotonic() - begun < 3
    # Nor does a connection that was used well before stay open for half a request.
    with server.raw_connection() as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")
        slow.sendall(b"GET /heal")
        begun = time.monotonic()
        _read_all(slow)
        assert time.monotonic() - begun < 3
    server.close()


def test_a_tls_handshake_that_is_never_finished_ends_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https_server, "HANDSHAKE_SECONDS", 0.5)
    server = RunningServer(tmp_path)
    for beginning in (b"", b"\x16\x03\x01\x02\x00\x01"):
        with socket.create_connection(("127.0.0.1", server.https.port), timeout=10) as silent:
            silent.sendall(beginning)
            begun = time.monotonic()
            assert silent.recv(1) == b""
            assert time.monotonic() - begun < 3
    server.close()


def test_a_head_over_the_limit_is_refused(server: RunningServer) -> None:
    with server.raw_connection() as connection:
        try:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"y" * (1 << 20) + b"\r\n\r\n")
        except (ConnectionError, ssl.SSLError):
            return
        answer = _read_all(connection)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))


@pytest.mark.parametrize(
    "garbage",
    [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"POST /v1/records HTTP/1.1\r\ncontent-length: -1\r\n\r\n"],
)
def test_garbage_instead_of_http_harms_nobody(
    server: RunningServer, client: httpx.Client, garbage: bytes
) -> None:
    with server.raw_connection() as connection:
        connection.sendall(garbage)
        answer = _read_all(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert client.get("/healthz").status_code == 200


def test_plain_http_and_old_tls_get_no_answer(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.https.port), timeout=5) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"200" not in plain.recv(65536)
    old = server.tls()
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", server.https.port), timeout=5) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(plain, server_hostname="127.0.0.1")


def test_a_client_that_trusts_another_ca_refuses_the_server_and_the_chain_shows_ours(
    server: RunningServer,
) -> None:
    other = create_authority("test", now=server.clock())
    stranger = ssl.create_default_context(cadata=other.certificate_pem.decode())
    with httpx.Client(verify=stranger, trust_env=False) as client, pytest.raises(httpx.ConnectError):
        client.get(f"{server.url}/healthz")
    with server.client() as client:
        assert client.get(f"https://localhost:{server.https.port}/healthz").status_code == 200
        assert client.get("/v1/ca").content == server.authority.certificate_pem
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", server.https.port), timeout=5)
    with trusting.wrap_socket(plain) as unverified:
        presented = unverified._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
    assert ssl.PEM_cert_to_DER_cert(server.authority.certificate_pem.decode()) == presented[1].public_bytes(2)


def test_it_stops_in_time_while_requests_and_connections_are_open(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    with server.client() as client:
        agent = TestAgent(server, client, "a")
        slow = server.raw_connection()
        slow.sendall(_signed_head(agent, b"", 1000) + b"x")
        idle = server.raw_connection()
        time.sleep(0.2)
        begun = time.monotonic()
        server.https.stop()
        assert server.https.join(5)
        assert time.monotonic() - begun < 5
        slow.close()
        idle.close()
    server.close()


def test_connections_over_the_limit_are_answered_503_until_others_end(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, limits=LimitsConfig(connections=8))
    held = [server.raw_connection() for _ in range(8)]
    deadline = time.monotonic() + 10
    while (status := _health_status(server)) != 503 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status == 503
    for connection in held:
        connection.close()
    while (status := _health_status(server)) != 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status == 200
    server.close()


def test_an_error_nobody_foresaw_is_answered_without_its_message_and_harms_nobody_else(
    server: RunningServer, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    def failing() -> None:
        raise ValueError("wang.fang")

    headers = {"authorization": f"Bearer {server.admin_token()}"}
    server.service.status = failing
    response = client.get("/v1/status", headers=headers)
    assert (response.status_code, response.json()["reason"]) == (500, "internal")
    assert "wang" not in response.text
    assert client.get("/healthz").status_code == 200
    assert server.service.counts() == {"other other 500": 1, "GET /healthz 200": 1}
    lines = [JsonFormatter().format(record) for record in caplog.records]
    assert any('"error":"ValueError"' in line for line in lines)
    assert not any("wang" in line for line in lines)


def test_unknown_paths_and_methods_are_refused_and_the_connection_ends(
    server: RunningServer, client: httpx.Client
) -> None:
    for method, path, status in [
        ("GET", "/nothing", 404),
        ("GET", "/v1/status/", 404),
        ("POST", "/v1/nothing", 404),
        ("GET", "/v1/records", 405),
        ("DELETE", "/healthz", 405),
        ("POST", "/v1/ca", 405),
    ]:
        response = client.request(method, path, content=b"x" if method == "POST" else None)
        assert (method, path, response.status_code) == (method, path, status)
        assert response.headers["connection"] == "close"
        assert "reason" in response.json()


def test_a_made_up_agent_name_of_any_shape_is_refused(server: RunningServer, client: httpx.Client) -> None:
    key = Ed25519PrivateKey.generate()
    for name in ("A", "a" * 65, "../x", "é", "a b"):
        headers = sign_request(key, agent=name, method="POST", path="/v1/records", body=b"")
        headers["content-type"] = RECORDS_CONTENT_TYPE
        raw = {header.encode(): value.encode() for header, value in headers.items()}
        response = client.post("/v1/records", content=b"", headers=raw)
        assert response.status_code == 401


def test_of_a_caller_without_a_token_no_body_is_kept_and_the_failure_counts(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "DISCARD_SECONDS", 0.3)
    taken: list[int] = []
    monkeypatch.setattr(server.service.bodies, "take", taken.append)
    head = "POST /v1/people/imports HTTP/1.1\r\nhost: x\r\ncontent-type: text/csv\r\n"
    head += "authorization: Bearer x\r\ncontent-length: 1000000\r\n\r\n"
    for _ in range(server.config.limits.enrol_failures_per_minute):
        with server.raw_connection() as connection:
            connection.sendall(head.encode() + b"x" * 500_000)
            assert _read_all(connection).startswith(b"HTTP/1.1 401")
    assert taken == []
    assert server.service.admin_failures.wait_seconds("127.0.0.1") > 0
