"""The ASGI application: all routes, and answers to whatever fits none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from server.api.access import Endpoint, Served, routes
from server.api.admin_routes import ADMIN_ENDPOINTS
from server.api.agent_routes import AGENT_ENDPOINTS
from server.api.errors import ApiError, closing, refusal_response
from server.api.hr_routes import HR_ENDPOINTS
from server.api.operation_routes import operation_endpoints
from server.api.scim_routes import SCIM_ENDPOINTS
from server.api.service import ApiService, Service
from server.console.access import refused
from server.console.app import console_routes
from server.console.page import Console
from server.console.security_headers import secured
from server.console.warming import warm

OTHER = "other"
"""Method and route, for counting requests that fit none."""

ENDPOINTS: list[Endpoint[ApiService]] = [
    *AGENT_ENDPOINTS,
    *ADMIN_ENDPOINTS,
    *HR_ENDPOINTS,
    *SCIM_ENDPOINTS,
    *operation_endpoints(),
]


def create_app(service: ApiService) -> Starlette:
    """All of `leaver up`."""
    console = Console(service)
    warm(console)

    def shown(request: Request, error: ApiError) -> Response:
        return secured(refused(console, request, error))

    return _app(ENDPOINTS, service, console_routes(console), shown)


def create_operation_app(service: Service) -> Starlette:
    """Of a `leaver worker`: how it is, and nothing else."""
    return _app(operation_endpoints(), service)


def _as_json(_request: Request, error: ApiError) -> Response:
    return refusal_response(error)


def _app(
    endpoints: Sequence[Endpoint[Served]],
    service: Served,
    more: Sequence[BaseRoute] = (),
    refusal: Callable[[Request, ApiError], Response] = _as_json,
) -> Starlette:
    def no_such_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        service.count(f"{OTHER} {OTHER} {error.status_code}")
        reason = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
        return closing(refusal(request, ApiError(error.status_code, reason, error.detail)))

    def failed(request: Request, error: Exception) -> Response:
        service.count(f"{OTHER} {OTHER} 500")
        return closing(refusal(request, ApiError(500, "internal", "internal error")))

    app = Starlette(
        routes=[*routes(endpoints, service), *more],
        exception_handlers={HTTPException: no_such_route, Exception: failed},
    )
    app.router.redirect_slashes = False
    app.state.stopping = service.stopping
    return app
