"""Who may call what. Every route states its access, and this file alone turns that into checks.

| access | the caller shows |
|---|---|
| public | nothing |
| enrolment_token | a one-time token in the body; the handler checks it, addresses that fail too often wait |
| agent | a request signed by a key of an enrolled agent that is not revoked |
| renewing_agent | the same, but the key's certificate may have ended a little while ago |
| admin | `Authorization: Bearer` with the administrator's token |
| metrics | the same, or with the token in the file that metrics.token_file names |
| hr_import, scim | the same header with a service account's token of that role and no other |

Of the last four, addresses that fail too often wait until they show the right token: it is too long to guess,
and whoever fails behind the same proxy must not keep the administrator out.

Handlers are plain functions that may block: they run in a thread of their own, after the checks.
Bodies are read before signatures can be checked, but never kept beyond the route's limit; of whoever must
show a token nothing is kept before the token was found right.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from server.api.errors import ApiError, closing, not_authenticated, refusal_response
from server.api.failure_limit import FailureLimit
from server.api.request_body import RequestBody
from server.api.service import RETRY_SECONDS, Service
from server.metrics_token import is_metrics_token
from server.service_tokens import ServiceToken, TokenRole, find_token, note_use
from server.store.database import StoreUnavailable

_logger = logging.getLogger("leaver.api")
THREADS = 16
DISCARD_SECONDS = 5.0
_HEARTBEAT_BYTES_MAX = CONTROL_BYTES_MAX + 4096
ANY = "*/*"
_ID_MAX = 2**31 - 1
"""Greater numbers are no row's id on any database."""


class Access(StrEnum):
    PUBLIC = "public"
    ENROLMENT_TOKEN = "enrolment_token"
    AGENT = "agent"
    RENEWING_AGENT = "renewing_agent"
    ADMIN = "admin"
    METRICS = "metrics"
    HR_IMPORT = "hr_import"
    SCIM = "scim"


_ROLES = {Access.HR_IMPORT: TokenRole.HR_IMPORT, Access.SCIM: TokenRole.SCIM}


class Call(msgspec.Struct, frozen=True):
    """What a handler gets: a request whose caller was checked as the route's access says. `caller`: the
    agent's or the service account's name. `headers`: names in lower case."""

    body: bytes
    path: str
    path_values: dict[str, int]
    query: dict[str, str]
    headers: Mapping[str, str]
    caller: str | None


Check = Callable[[bytes], str | None]
"""Looks at the body, returns the caller's name if there is one. Raises ApiError. May block."""
Refusal = Callable[[ApiError], Response]
"""How a refusal is written."""

Served = TypeVar("Served", bound=Service)
Result = TypeVar("Result")


class Endpoint(msgspec.Struct, Generic[Served], frozen=True):
    """One route. `content_type` is what a body must be, or one of several; None: there is no body; ANY: the
    handler looks for itself."""

    method: str
    path: str
    access: Access
    handler: Callable[[Served, Call], Response]
    content_type: str | tuple[str, ...] | None = None
    body_limit: int = 0
    refusal: Refusal = refusal_response


class _Threads:
    """Made on first use: a limiter belongs to the event loop it is made in."""

    def __init__(self) -> None:
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, work: Callable[[], Result]) -> Result:
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
                response = endpoint.refusal(error)
        if not body.complete:
            closing(response)
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
        case Access.ADMIN | Access.METRICS | Access.HR_IMPORT | Access.SCIM:
            check = await _token_check(service, threads, request, endpoint.access, address)
    data = b""
    if endpoint.content_type is not None:
        _require_content_type(request, endpoint.content_type)
        data = await body.read(endpoint.body_limit, service.config.limits.request_seconds)
    path_values = _path_values(request)
    query = dict(request.query_params)

    def work() -> Response:
        caller = check(data)
        path = str(request.scope["path"])
        return endpoint.handler(service, Call(data, path, path_values, query, request.headers, caller))

    try:
        return await threads.run(work)
    except ApiError as error:
        if endpoint.access is Access.ENROLMENT_TOKEN and error.status == 403:
            service.enrol_failures.failed(address)
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


async def _token_check(
    service: Service, threads: _Threads, request: Request, access: Access, address: str
) -> Check:
    """Done before the body is read: no caller without a token may hold memory that agents need."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    presented = token.strip() if scheme.lower() == "bearer" else ""

    def check() -> str | None:
        if access in _ROLES:
            return _service_account(service, presented, _ROLES[access])
        if access is Access.METRICS and is_metrics_token(service.config.metrics.token_file, presented):
            return None
        with service.database.read() as connection:
            if presented and is_admin_token(connection, presented):
                return None
        raise _no_token()

    try:
        caller = await threads.run(check)
    except ApiError as error:
        if error.status == 401:
            _refuse_while_waiting(service.admin_failures, address)
            service.admin_failures.failed(address)
        raise
    return lambda _body: caller


def _service_account(service: Service, presented: str, role: TokenRole) -> str:
    now = service.clock()
    with service.database.read() as connection:
        found = find_token(connection, presented)
        is_other = found is None and bool(presented) and is_admin_token(connection, presented)
    if found is None and not is_other:
        raise _no_token()
    if found is None or found.role is not role:
        message = f"this needs a token of the role {role}: leaver token create NAME --role {role}"
        raise ApiError(403, "not_allowed", message)
    if found.expires_at <= now:
        raise ApiError(401, "token_ended", "this token has ended: leaver token create makes another")
    _note_use(service, found, now)
    return found.name


def _note_use(service: Service, token: ServiceToken, now: int) -> None:
    if token.is_use_worth_noting(now):
        with service.database.begin() as connection:
            note_use(connection, token, now=now)


def _no_token() -> ApiError:
    return ApiError(401, "unauthorised", "the token is missing or wrong")


def _refuse_while_waiting(failures: FailureLimit, address: str) -> None:
    seconds = failures.wait_seconds(address)
    if seconds:
        raise ApiError(429, "too_many_failures", "too many failures from this address", retry_after=seconds)


def _path_values(request: Request) -> dict[str, int]:
    values = {name: value for name, value in request.path_params.items() if isinstance(value, int)}
    if any(value > _ID_MAX for value in values.values()):
        raise ApiError(404, "not_found", "Not Found")
    return values


def _require_content_type(request: Request, expected: str | tuple[str, ...]) -> None:
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    known = (expected,) if isinstance(expected, str) else expected
    if found not in known and ANY not in known:
        raise ApiError(415, "content_type", f"the content type must be {' or '.join(known)}")
