"""What identity providers call: SCIM 2.0 under /scim/v2 (RFC 7644). What it means for people: server/scim.

Refusals are in SCIM's format, whoever makes them. There are users; groups, /Bulk and /Me are answered as the
RFC says of what does not exist, or is not supported.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from server.api.access import ANY, Access, Call, Endpoint
from server.api.errors import ApiError, json_response, with_retry_after
from server.api.service import ApiService

ROOT = "/scim/v2"
USER_BYTES_MAX = 256 * 1024
MEDIA_TYPE = "application/scim+json"
_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def refusal(error: ApiError) -> Response:
    """As RFC 7644 §3.12 has it."""
    content = {"schemas": [_ERROR], "status": str(error.status), "detail": error.message}
    response = json_response(content, error.status)
    response.headers["content-type"] = MEDIA_TYPE
    if error.status == 401:
        response.headers["www-authenticate"] = 'Bearer realm="SCIM"'
    return with_retry_after(response, error)


def _served(method: str) -> Callable[[ApiService, Call], Response]:
    def serve(service: ApiService, call: Call) -> Response:
        """Any of SCIM's routes."""
        # Half a second and 27 MB, which only those pay who use it.
        from server.scim.requests import answer  # noqa: PLC0415

        found = answer(
            service.database,
            method=method,
            path=call.path.removeprefix(ROOT),
            query=call.query,
            headers=call.headers,
            body=call.body,
            public_url=service.config.people.scim_url,
            caller=call.caller,
            time_zone=service.config.people.time_zone,
            clock=service.clock,
        )
        return Response(found.body, found.status, found.headers)

    return serve


def _endpoint(method: str, path: str, access: Access = Access.SCIM) -> Endpoint[ApiService]:
    content_type, limit = (ANY, USER_BYTES_MAX) if method in {"POST", "PUT", "PATCH"} else (None, 0)
    return Endpoint(method, ROOT + path, access, _served(method), content_type, limit, refusal)


SCIM_ENDPOINTS = [
    # Public, as RFC 7643 §5 asks: who is to connect learns by which scheme. It says nothing of this company.
    _endpoint("GET", "/ServiceProviderConfig", Access.PUBLIC),
    _endpoint("GET", "/ResourceTypes"),
    _endpoint("GET", "/ResourceTypes/{name}"),
    _endpoint("GET", "/Schemas"),
    _endpoint("GET", "/Schemas/{name}"),
    _endpoint("GET", "/Users"),
    _endpoint("POST", "/Users"),
    _endpoint("POST", "/Users/.search"),
    _endpoint("GET", "/Users/{name}"),
    _endpoint("PUT", "/Users/{name}"),
    _endpoint("PATCH", "/Users/{name}"),
    _endpoint("DELETE", "/Users/{name}"),
    # What there is not: refused as SCIM refuses.
    *(_endpoint(method, "/{rest:path}") for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
]
