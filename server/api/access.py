"""Who may call what. Every route states its access, and this file alone turns that into checks.

| access | the caller shows |
|---|---|
| public | nothing |
| enrolment_token | a one-time token in the body; the handler checks it, addresses that fail too often wait |
| agent | a request signed by a key of an enrolled agent that is not revoked |
| renewing_agent | the same, but the key's certificate may have ended a little while ago |
| admin | `Authorization: Bearer` with the administrator's token |
| metrics | the same, or with the token in the file that metrics.token_file names |

Of the last two, addresses that fail too often wait until they show the right token: it is too long to guess,
and whoever fails behind the same proxy must not keep the administrator out.

Handlers are plain functions that may block: they run in a thread of their own, after the checks.
Bodies are read before signatures can be checked, but never kept beyond the route's limit.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from typing import Generic, TypeVar

import anyio
import anyio.to_thread
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from event_schema.control_records import CONTROL_BYTES_MAX
from event_schema.request_signing import (
    SignatureRefused,
    SignedRequest,
    read_signature_headers,
    verify_request,
)
from server.admin_token import is_admin_token
from server.agents.registry import RENEWAL_GRACE, AgentKey
from server.api.errors import ApiError, error_response, not_authenticated
from server.api.failure_limit import FailureLimit
from server.api.request_body import RequestBody
from server.api.service import RETRY_SECONDS, Service
from server.metrics_token import is_metrics_token
from server.store.database import StoreUnavailable

_logger = logging.getLogger("leaver.api")
THREADS = 16
DISCARD_SECONDS = 5.0
_HEARTBEAT_BYTES_MAX = CONTROL_BYTES_MAX + 4096
_ID_MAX = 2**31 - 1
"""Greater numbers are no row's id on any database."""


class Access(StrEnum):
    PUBLIC = "public"
    ENROLMENT_TOKEN = "enrolment_token"
    AGENT = "agent"
    RENEWING_AGENT = "renewing_agent"
    ADMIN = "admin"
    METRICS = "metrics"


class Call(msgspec.Struct, frozen=True):
    """What a handler gets: a request whose caller was checked as the route's access says."""

    body: bytes
    path_values: dict[str, int]
    query: dict[str, str]
    agent: str | None


Check = Callable[[bytes], str | None]
"""Looks at the body, returns the agent's name if it is one. Raises ApiError. May block."""

Served = TypeVar("Served", bound=Service)


class Endpoint(msgspec.Struct, Generic[Served], frozen=True):
    """One route. `content_type` is what a body must be; None: there is none."""

    method: str
    path: str
    access: Access
    handler: Callable[[Served, Call], Response]
    content_type: str | None = None
    body_limit: int = 0


class _Threads:
    """Made on first use: a limiter belongs to the event loop it is made in."""

    def __init__(self) -> None:
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, work: Callable[[], Response]) -> Response:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(THREADS)
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


def routes(endpoints: Sequence[Endpoint[Served]], service: Served) -> list[Route]:
    """Starlette's routes, each behind its checks."""
    threads = _Threads()
    return [
        Route(endpoint.path, _guarded(endpoint, service, threads), methods=[endpoint.method])
        for endpoint in endpoints
    ]


def _guarded(
    endpoint: Endpoint[Served], service: Served, threads: _Threads
) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        body = RequestBody(request, service.bodies)
        with body.released(), ExitStack() as held:
            try:
                response = await _answer_or_unavailable(endpoint, service, threads, request, body, held)
            except ApiError as error:
                if error.status != 408:
                    await body.discard(2 * endpoint.body_limit, DISCARD_SECONDS)
                response = error_response(error, close=not body.complete)
        if not body.complete:
            response.headers["connection"] = "close"
        service.count(f"{endpoint.method} {endpoint.path} {response.status_code}")
        return response

    return respond


async def _answer_or_unavailable(
    endpoint: Endpoint[Served],
    service: Served,
    threads: _Threads,
    request: Request,
    body: RequestBody,
    held: ExitStack,
) -> Response:
    try:
        return await _answer(endpoint, service, threads, request, body, held)
    except StoreUnavailable as error:
        _logger.error("database_unavailable", extra={"detail": str(error)})
        raise ApiError(
            503, "database_unavailable", "the database cannot be used now", retry_after=RETRY_SECONDS
        ) from None


async def _answer(
    endpoint: Endpoint[Served],
    service: Served,
    threads: _Threads,
    request: Request,
    body: RequestBody,
    held: ExitStack,
) -> Response:
    address = request.client.host if request.client else ""
    check: Check
    match endpoint.access:
        case Access.PUBLIC:
            check = _nothing
        case Access.ENROLMENT_TOKEN:
            _refuse_while_waiting(service.enrol_failures, address)
            check = _nothing
        case Access.AGENT | Access.RENEWING_AGENT:
            check = await _agent_check(endpoint, service, request, held)
        case Access.ADMIN | Access.METRICS:
            check = await _token_check(service, request, endpoint.access, address)
    data = b""
    if endpoint.content_type is not None:
        _require_content_type(request, endpoint.content_type)
        data = await body.read(endpoint.body_limit, service.config.limits.request_seconds)
    path_values = _path_values(request)
    query = dict(request.query_params)

    def work() -> Response:
        agent = check(data)
        return endpoint.handler(service, Call(data, path_values, query, agent))

    try:
        return await threads.run(work)
    except ApiError as error:
        if endpoint.access is Access.ENROLMENT_TOKEN and error.status == 403:
            service.enrol_failures.failed(address)
        if endpoint.access in {Access.ADMIN, Access.METRICS} and error.status == 401:
            service.admin_failures.failed(address)
        raise


def _nothing(_body: bytes) -> None:
    return None


async def _agent_check(
    endpoint: Endpoint[Served], service: Served, request: Request, held: ExitStack
) -> Check:
    try:
        signed = read_signature_headers(request.headers)
    except SignatureRefused:
        raise not_authenticated() from None
    key = await anyio.to_thread.run_sync(service.keys.find, signed.agent, signed.key_id)
    if key is None:
        raise not_authenticated()
    if endpoint.access is Access.AGENT:
        announced = request.headers.get("content-length", "")
        size = int(announced[:20]) if announced.isdigit() else endpoint.body_limit
        held.enter_context(service.quota.one_request(key.agent, size, _HEARTBEAT_BYTES_MAX))
    path = request.scope["raw_path"].decode("latin-1")
    if request.url.query:
        path += "?" + request.scope["query_string"].decode("latin-1")
    grace = RENEWAL_GRACE if endpoint.access is Access.RENEWING_AGENT else 0

    def check(body: bytes) -> str:
        _verify(signed, key, endpoint.method, path, body)
        if key.revoked:
            raise ApiError(403, "revoked", "this agent was revoked")
        if service.clock() > key.not_after + grace:
            do = "it must be renewed" if not grace else "too long ago to renew it: enrol the machine anew"
            raise ApiError(401, "certificate_ended", f"the agent's certificate has ended: {do}")
        return key.agent

    return check


def _verify(signed: SignedRequest, key: AgentKey, method: str, path: str, body: bytes) -> None:
    try:
        public_key = Ed25519PublicKey.from_public_bytes(key.public_key)
        verify_request(signed, public_key, method=method, path=path, body=body)
    except SignatureRefused:
        raise not_authenticated() from None


async def _token_check(service: Service, request: Request, access: Access, address: str) -> Check:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    presented = token.strip() if scheme.lower() == "bearer" else ""

    def check(_body: bytes) -> None:
        if access is Access.METRICS and is_metrics_token(service.config.metrics.token_file, presented):
            return
        with service.database.read() as connection:
            if presented and is_admin_token(connection, presented):
                return
        raise ApiError(401, "unauthorised", "the token is missing or wrong")

    if not service.admin_failures.wait_seconds(address):
        return check
    try:
        await anyio.to_thread.run_sync(check, b"")
    except ApiError:
        _refuse_while_waiting(service.admin_failures, address)
        raise
    return _nothing


def _refuse_while_waiting(failures: FailureLimit, address: str) -> None:
    seconds = failures.wait_seconds(address)
    if seconds:
        raise ApiError(429, "too_many_failures", "too many failures from this address", retry_after=seconds)


def _path_values(request: Request) -> dict[str, int]:
    values = {name: int(value) for name, value in request.path_params.items()}
    if any(value > _ID_MAX for value in values.values()):
        raise ApiError(404, "not_found", "Not Found")
    return values


def _require_content_type(request: Request, expected: str) -> None:
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found != expected:
        raise ApiError(415, "content_type", f"the content type must be {expected}")
