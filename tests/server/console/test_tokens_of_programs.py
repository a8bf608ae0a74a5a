"""Programs show a token: it may what its role and scope may, under /api/ alone."""

from __future__ import annotations

import pytest

from server.console.page import Viewer
from server.people.roles import Right, Role
from server.service_tokens import DAY_MS, TokenRole
from tests.server.console.site import Site

pytestmark = pytest.mark.databases("sqlite")


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "accept": "application/json"}


def test_a_token_that_is_wrong_waits_and_one_that_holds_does_not(site: Site) -> None:
    client = site.client(None)
    answers = [client.get("/api/v1/me", headers=bearer("leaver_wrong")).status_code for _ in range(12)]
    assert answers[0] == 401
    assert answers[-1] == 429
    token = site.server.service_token(TokenRole.ANALYST)
    answer = client.get("/api/v1/me", headers=bearer(token))
    assert answer.status_code == 200
    assert answer.json() == {"name": "analyst-1", "role": "analyst", "is_program": True}


def test_a_token_ends(site: Site) -> None:
    token = site.server.service_token(TokenRole.AUDITOR, days=1)
    client = site.client(None)
    assert client.get("/api/v1/me", headers=bearer(token)).status_code == 200
    site.clock.now += DAY_MS
    assert client.get("/api/v1/me", headers=bearer(token)).status_code == 401


def test_tokens_that_bring_data_are_for_other_calls(site: Site) -> None:
    token = site.server.service_token(TokenRole.SCIM)
    assert site.client(None).get("/api/v1/me", headers=bearer(token)).status_code == 403


def test_a_token_opens_no_page(site: Site) -> None:
    token = site.server.service_token(TokenRole.ANALYST)
    answer = site.client(None).get("/", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


def test_a_program_is_named_as_what_it_is() -> None:
    viewer = Viewer("export", Role.ANALYST, token="export")
    assert viewer.actor == "token:export"
    assert viewer.may(Right.SEE_ALERTS)
