"""Default deny: every route is listed here with what it needs, and is refused without it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from server.api.access import Access
from server.api.app import ENDPOINTS, create_app
from server.api.failure_limit import FailureLimit
from server.json_times import rfc3339
from server.service_tokens import TokenRole, list_tokens, revoke_token
from tests.server.api.running_server import RunningServer, TestAgent
from tests.server.console.listed_routes import console_served

pytestmark = pytest.mark.databases("sqlite")
EXPECTED = {
    "GET /healthz": Access.PUBLIC,
    "GET /readyz": Access.PUBLIC,
    "GET /metrics": Access.METRICS,
    "GET /v1/ca": Access.PUBLIC,
    "GET /v1/config": Access.AGENT,
    "POST /v1/enrol": Access.ENROLMENT_TOKEN,
    "POST /v1/records": Access.AGENT,
    "POST /v1/renew": Access.RENEWING_AGENT,
    "GET /v1/status": Access.ADMIN,
    "GET /v1/alerts": Access.ADMIN,
    "GET /v1/alerts/below": Access.ADMIN,
    "GET /v1/alerts/{id:int}": Access.ADMIN,
    "POST /v1/alerts/{id:int}/close": Access.ADMIN,
    "POST /v1/people/imports": Access.HR_IMPORT,
    "GET /v1/people/imports": Access.HR_IMPORT,
    "GET /v1/people/imports/{id:int}": Access.HR_IMPORT,
    "POST /v1/people/imports/{id:int}/undo": Access.HR_IMPORT,
    "GET /scim/v2/ServiceProviderConfig": Access.PUBLIC,
    "GET /scim/v2/ResourceTypes": Access.SCIM,
    "GET /scim/v2/ResourceTypes/{name}": Access.SCIM,
    "GET /scim/v2/Schemas": Access.SCIM,
    "GET /scim/v2/Schemas/{name}": Access.SCIM,
    "GET /scim/v2/Users": Access.SCIM,
    "POST /scim/v2/Users": Access.SCIM,
    "POST /scim/v2/Users/.search": Access.SCIM,
    "GET /scim/v2/Users/{name}": Access.SCIM,
    "PUT /scim/v2/Users/{name}": Access.SCIM,
    "PATCH /scim/v2/Users/{name}": Access.SCIM,
    "DELETE /scim/v2/Users/{name}": Access.SCIM,
    "GET /scim/v2/{rest:path}": Access.SCIM,
    "POST /scim/v2/{rest:path}": Access.SCIM,
    "PUT /scim/v2/{rest:path}": Access.SCIM,
    "PATCH /scim/v2/{rest:path}": Access.SCIM,
    "DELETE /scim/v2/{rest:path}": Access.SCIM,
}
TOKEN_ONLY = {Access.ADMIN, Access.METRICS}
ROLES = {Access.HR_IMPORT: TokenRole.HR_IMPORT, Access.SCIM: TokenRole.SCIM}
REFUSAL = {
    Access.ENROLMENT_TOKEN: 403,
    Access.AGENT: 401,
    Access.RENEWING_AGENT: 401,
    Access.ADMIN: 401,
    Access.METRICS: 401,
    Access.HR_IMPORT: 401,
    Access.SCIM: 401,
}


def test_the_application_has_exactly_these_routes_with_exactly_this_access(server: RunningServer) -> None:
    assert {f"{e.method} {e.path}": e.access for e in ENDPOINTS} == EXPECTED
    app = create_app(server.service)
    served = set()
    for route in app.routes:
        assert isinstance(route, Route)
        assert route.methods is not None
        served |= {f"{method} {route.path}" for method in route.methods - {"HEAD"}}
    # Those of the console are listed in tests/server/console/route_roles.
    assert served - console_served() == set(EXPECTED)


@pytest.mark.parametrize("place", [p for p, access in EXPECTED.items() if access is not Access.PUBLIC])
def test_a_caller_who_shows_nothing_is_refused(client: httpx.Client, place: str) -> None:
    method, _, path = place.partition(" ")
    response = _call(client, method, path.replace("{id:int}", "1"), {})
    assert response.status_code == REFUSAL[EXPECTED[place]]


@pytest.mark.parametrize("place", [p for p, access in EXPECTED.items() if access in TOKEN_ONLY])
def test_neither_an_agent_nor_a_wrong_or_replaced_token_is_an_administrator(
    server: RunningServer, client: httpx.Client, place: str
) -> None:
    method, _, path = place.partition(" ")
    path = path.replace("{id:int}", "1")
    agent = TestAgent(server, client, "a")
    replaced = server.admin_token()
    current = server.admin_token()
    signed = agent.post(path, b"{}", "application/json") if method == "POST" else None
    assert signed is None or signed.status_code == 401
    for authorization in (f"Bearer {replaced}", f"Basic {current}", "Bearer", "Bearer  x", f"{current}", "é"):
        response = _call(client, method, path, {b"authorization": authorization.encode()})
        assert response.status_code == 401, authorization
        assert response.headers["www-authenticate"]
    allowed = _call(client, method, path, {b"authorization": f"Bearer {current}".encode()})
    assert allowed.status_code not in {401, 403, 429}


def _status(client: httpx.Client, place: str, token: str) -> int:
    method, _, path = place.partition(" ")
    path = path.replace("{id:int}", "1").replace("{name}", "1").replace("{rest:path}", "x")
    return _call(client, method, path, {b"authorization": f"Bearer {token}".encode()}).status_code


@pytest.mark.parametrize("role", list(TokenRole))
def test_a_service_account_calls_what_its_role_says_and_nothing_else(
    server: RunningServer, client: httpx.Client, role: TokenRole
) -> None:
    server.service.admin_failures = FailureLimit(1000)
    token = server.service_token(role)
    admin = server.admin_token()
    for place, access in EXPECTED.items():
        if access is Access.PUBLIC:
            continue
        status = _status(client, place, token)
        if ROLES.get(access) is role:
            assert status not in {401, 403, 429}, place
            assert _status(client, place, admin) == 403, place
        else:
            assert status in {401, 403}, place


def test_a_token_that_ended_or_was_revoked_opens_nothing(server: RunningServer, client: httpx.Client) -> None:
    server.service.admin_failures = FailureLimit(1000)
    place = "GET /v1/people/imports"
    token = server.service_token(TokenRole.HR_IMPORT, days=2)
    assert _status(client, place, token) == 200
    assert _status(client, place, token[:-1]) == _status(client, place, token + "x" * 200) == 401
    server.clock.now += 2 * 86_400_000
    assert _status(client, place, token) == 401
    second = server.service_token(TokenRole.HR_IMPORT)
    assert _status(client, place, second) == 200
    with server.database.begin() as connection:
        name = list_tokens(connection)[0].name
        revoke_token(connection, name, now=server.clock(), actor="test", reason="lost")
    assert _status(client, place, second) == 401


def test_the_right_role_opens_though_others_fail_from_the_same_address(
    server: RunningServer, client: httpx.Client
) -> None:
    token = server.service_token(TokenRole.HR_IMPORT)
    other = server.service_token(TokenRole.SCIM)
    for _ in range(server.config.limits.enrol_failures_per_minute + 3):
        assert _status(client, "GET /v1/people/imports", "x") in {401, 429}
        assert _status(client, "GET /v1/people/imports", token) == 200
        assert _status(client, "GET /v1/people/imports", other) == 403
    assert _status(client, "GET /v1/people/imports", "x") == 429


def test_the_token_for_metrics_reads_them_and_nothing_else(
    server: RunningServer, client: httpx.Client
) -> None:
    token_file = Path(server.config.metrics.token_file)

    def status(path: str, token: str) -> int:
        return client.get(path, headers={b"authorization": b"Bearer " + token.encode()}).status_code

    # Failures count here as everywhere else; this test has many.
    server.service.admin_failures = FailureLimit(1000)
    scraper = "s" * 32
    assert status("/metrics", scraper) == 401, "a file that is not there opens nothing"
    for useless in (b"", b"short\n", b"x" * 129, b"two lines of\nsixteen letters\n"):
        token_file.write_bytes(useless)
        assert status("/metrics", useless.decode().split("\n")[0] or "x") == 401, useless
    token_file.write_text(f"{scraper}\n")
    assert status("/metrics", scraper) == 200
    for path in (place.removeprefix("GET ") for place, need in EXPECTED.items() if need is Access.ADMIN):
        if not path.startswith("POST"):
            assert status(path.replace("{id:int}", "1"), scraper) == 401, path
    token_file.write_text("t" * 32)
    assert status("/metrics", scraper) == 401, "a changed file holds at once"
    assert status("/metrics", server.admin_token()) == 200


def test_guessing_the_administrators_token_makes_the_address_wait(
    server: RunningServer, client: httpx.Client
) -> None:
    for _ in range(server.config.limits.enrol_failures_per_minute):
        assert client.get("/v1/status", headers={"authorization": "Bearer x"}).status_code == 401
    refused = client.get("/v1/status", headers={"authorization": "Bearer x"})
    assert refused.status_code == client.get("/metrics").status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60


def test_the_right_token_opens_though_others_fail_from_the_same_address(
    server: RunningServer, client: httpx.Client
) -> None:
    right = {"authorization": f"Bearer {server.admin_token()}"}
    Path(server.config.metrics.token_file).write_text("s" * 32)
    for _ in range(server.config.limits.enrol_failures_per_minute + 5):
        assert client.get("/v1/status").status_code in {401, 429}
        assert client.get("/v1/status", headers=right).status_code == 200
    assert client.get("/metrics", headers={"authorization": "Bearer " + "s" * 32}).status_code == 200
    assert client.get("/v1/status", headers={"authorization": "Bearer " + "s" * 32}).status_code == 429


@pytest.mark.databases("sqlite", "postgresql")
def test_the_status_tells_agents_lag_and_findings(server: RunningServer, client: httpx.Client) -> None:
    agent = TestAgent(server, client, "a")
    agent.send([agent.heartbeat(), agent.heartbeat()])
    headers = {"authorization": f"Bearer {server.admin_token()}"}
    status = client.get("/v1/status", headers=headers).json()
    assert status["log"] == {
        "kind": "embedded",
        "partitions": 1,
        "end": 2,
        "committed": 0,
        "lag": 2,
        "oldest_waiting_at": server.clock.now,
        "oldest_waiting_at_dt": rfc3339(server.clock.now),
        "fault": None,
    }
    assert [(a["name"], a["state"]) for a in status["agents"]] == [("a", "enrolled")]
    assert status["events_stored"] == 0
    server.clock.now += 6 * 60 * 1000
    later = client.get("/v1/status", headers=headers).json()
    assert ("agent_silent", "a says nothing") in [(f["kind"], f["detail"]) for f in later["findings"]]


def _call(client: httpx.Client, method: str, path: str, headers: dict[bytes, bytes]) -> httpx.Response:
    if method in {"GET", "DELETE"}:
        return client.request(method, path, headers=headers)
    content_type = b"application/x-leaver-records" if path == "/v1/records" else b"application/json"
    body = b'{"token": "x", "public_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}'
    return client.request(method, path, content=body, headers={**headers, b"content-type": content_type})
