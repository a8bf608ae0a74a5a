"""scim2-tester's checks against the real server: discovery, create, read, replace, patch, delete, queries."""

from __future__ import annotations

import importlib

import httpx
import pytest

pytestmark = pytest.mark.databases("sqlite")
MEANT = {"check_remove_attribute PATCH modify() did not remove attribute 'active'"}
"""What this service decides otherwise: an account that nobody says is shut is open."""


def test_the_server_does_what_the_rfcs_say(provider: httpx.Client) -> None:
    rfc_checks = importlib.import_module("tests.server.scim.rfc_checks").rfc_checks
    succeeded, failed = rfc_checks(provider)
    assert failed == MEANT
    assert succeeded > 50
