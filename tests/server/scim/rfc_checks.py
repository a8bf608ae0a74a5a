"""scim2-tester's checks over the client that trusts the server's CA.

Its own module: importing it builds hundreds of models, seconds that only the one test should pay that asks.
"""

from __future__ import annotations

from typing import Any, cast

import httpx
from scim2_client import BaseSyncSCIMClient
from scim2_client.client import RawResponse
from scim2_tester import Status, check_server

_GOOD = {Status.SUCCESS, Status.COMPLIANT, Status.SKIPPED, Status.ACCEPTABLE}


class OverHttps(BaseSyncSCIMClient):
    """scim2-client over that client."""

    def __init__(self, client: httpx.Client) -> None:
        super().__init__()
        self._client = client

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return not endpoint.startswith("//")

    def _parse_json(self, response: RawResponse) -> Any:
        return cast(httpx.Response, response).json()

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        return self._client.request(method, url.lstrip("/") if "://" not in url else url, **kwargs)


def rfc_checks(client: httpx.Client) -> tuple[int, set[str]]:
    """How many of the checks succeeded, and what each that failed says."""
    results = check_server(OverHttps(client))
    failed = {f"{each.title} {each.reason}" for each in results if each.status not in _GOOD}
    return sum(each.status is Status.SUCCESS for each in results), failed
