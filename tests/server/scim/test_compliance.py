"""scim2-tester's checks against the real server: discovery, create, read, replace, patch, delete, queries."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from scim2_client import BaseSyncSCIMClient
from scim2_client.client import RawResponse
from scim2_tester import Status, check_server

pytestmark = pytest.mark.databases("sqlite")
MEANT = {"check_remove_attribute PATCH modify() did not remove attribute 'active'"}
"""What this service decides otherwise: an account that nobody says is shut is open."""


class OverHttps(BaseSyncSCIMClient):
    """scim2-client over the client that trusts the server's CA."""

    def __init__(self, client: httpx.Client) -> None:
        super().__init__()
        self._client = client

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return not endpoint.startswith("//")

    def _parse_json(self, response: RawResponse) -> Any:
        return cast(httpx.Response, response).json()

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        return self._client.request(method, url.lstrip("/") if "://" not in url else url, **kwargs)


def test_the_server_does_what_the_rfcs_say(provider: httpx.Client) -> None:
    results = check_server(OverHttps(provider))
    failed = {
        f"{each.title} {each.reason}"
        for each in results
        if each.status not in {Status.SUCCESS, Status.COMPLIANT, Status.SKIPPED, Status.ACCEPTABLE}
    }
    assert failed == MEANT
    assert sum(each.status is Status.SUCCESS for each in results) > 50
