"""The ASGI application: all routes, and answers to whatever fits none of them."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from server.api.access import Endpoint, routes
from server.api.admin_routes import ADMIN_ENDPOINTS
from server.api.agent_routes import AGENT_ENDPOINTS
from server.api.errors import ApiError, error_response
from server.api.service import ApiService

_logger = logging.getLogger("leaver.api")

ENDPOINTS: list[Endpoint] = [*AGENT_ENDPOINTS, *ADMIN_ENDPOINTS]


def create_app(service: ApiService) -> Starlette:
    def no_such_route(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        reason = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
        return error_response(ApiError(error.status_code, reason, error.detail), close=True)

    def failed(request: Request, error: Exception) -> Response:
        service.count(f"{request.method} 500")
        return error_response(ApiError(500, "internal", "internal error"), close=True)

    app = Starlette(
        routes=routes(ENDPOINTS, service),
        exception_handlers={HTTPException: no_such_route, Exception: failed},
    )
    app.router.redirect_slashes = False
    return app
