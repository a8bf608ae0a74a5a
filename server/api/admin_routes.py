"""What administrators call: status of the installation."""

from __future__ import annotations

from starlette.responses import Response

from server.api.access import Access, Call, Endpoint
from server.api.errors import json_response
from server.api.service import ApiService


def status(service: ApiService, _call: Call) -> Response:
    """GET /v1/status: the same as `leaver status --json`."""
    return json_response(service.status())


ADMIN_ENDPOINTS = [
    Endpoint("GET", "/v1/status", Access.ADMIN, status),
]
