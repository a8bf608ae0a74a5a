"""Fixtures: a running server, and an identity provider's client with its token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.service_tokens import TokenRole
from tests.server.api.running_server import RunningServer


@pytest.fixture
def server(tmp_path: Path, database_url: str) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path, database_url=database_url)
    yield running
    running.close()


@pytest.fixture
def provider(server: RunningServer) -> Iterator[httpx.Client]:
    token = server.service_token(TokenRole.SCIM, name="entra")
    with server.client() as client:
        client.base_url = httpx.URL(f"{server.url}/scim/v2/")
        client.headers["authorization"] = f"Bearer {token}"
        yield client


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened
