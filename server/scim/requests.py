"""A call of our API as a request of SCIM, and its answer. All about SCIM is loaded with the first one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from scim2_models import Context, Resource, ResponseParameters, SCIMException
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.service import ScimService

from server.scim.resources import PROVIDER
from server.scim.user_storage import UserStorage
from server.store.database import Database

_HOST: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9.-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


class ScimAnswer(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes


class _Service(ScimService):
    def patch_response(
        self, base_url: str, resource: Resource[Any], response_parameters: ResponseParameters[Any]
    ) -> ScimResponse:
        """With the user as it is now: the RFC leaves it open, and providers compare it."""
        published = self.publish(base_url, resource)
        return self.resource_response(published, Context.RESOURCE_REPLACEMENT_RESPONSE, response_parameters)


_service: Final = _Service(PROVIDER)


def answer(
    database: Database,
    *,
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
    public_url: str,
    caller: str | None,
    time_zone: str,
    clock: Callable[[], int],
) -> ScimAnswer:
    """`path` behind the root of SCIM; `public_url`: that root as callers see it, empty: by the Host header.
    Raises StoreUnavailable."""
    request = ScimRequest(
        method=method,
        base_url=public_url.rstrip("/") or f"https://{_host(headers)}/scim/v2",
        path=path,
        query=query,
        headers=dict(headers),
        body=body,
    )
    storage = UserStorage(database, actor=f"token:{caller}", time_zone=time_zone, clock=clock)
    try:
        found = ScimHandler(_service, storage).handle(request)
    except SCIMException as error:
        found = _service.error_response(error)
    return _written(found)


def _written(found: ScimResponse) -> ScimAnswer:
    body = b"" if found.body is None else msgspec.json.encode(found.body)
    return ScimAnswer(int(found.status), {**found.headers, "Cache-Control": "no-store"}, body)


def _host(headers: Mapping[str, str]) -> str:
    host = headers.get("host", "")
    return host if _HOST.fullmatch(host) else "localhost"
