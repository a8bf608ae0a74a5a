"""The JSON API against its own OpenAPI document: whatever is sent, it answers as it says, and never fails.

Schemathesis makes queries, paths and bodies from the document, right ones and wrong ones. What a token of the
role may not do is answered too. After all of it the console still works.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.config import SchemathesisConfig
from urllib3.util import Retry

from server.console.app import API
from server.console.openapi import document
from server.people.roles import Role
from server.service_tokens import Scope, TokenRole, create_token
from tests.server.console.site import Site

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.long, pytest.mark.timeout(900)]
QUERIES = ("text", "q", "after", "status", "from", "sort")
EXAMPLES = 12
"""Of each call, of right and of wrong requests."""
WANTED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
REFUSALS = [
    status for status in document(API)["paths"]["/api/v1/alerts"]["get"]["responses"] if status != "200"
]
"""With any of these a wrong request may be refused: 414 too, where it is wrong by being too long."""


def token(site: Site, role: Role) -> str:
    with site.database.begin() as connection:
        return create_token(
            connection,
            f"hostile-{role}",
            TokenRole(role.value),
            days=1,
            now=site.clock(),
            actor="test",
            scope=Scope.WRITE,
        )


@pytest.mark.parametrize("role", Role)
def test_whatever_is_sent_is_answered_as_the_document_says(site: Site, role: Role, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(site.server.authority.certificate_pem)
    checks = {"negative_data_rejection": {"expected-statuses": REFUSALS}}
    config = SchemathesisConfig.from_dict({"checks": checks})
    schema = schemathesis.openapi.from_dict(document(API), config=config)
    headers = {"authorization": f"Bearer {token(site, role)}"}
    wanted: Any = CHECKS.get_by_names(list(WANTED))
    found: Any = schema.get_all_operations()
    operations = [each.ok() for each in found]
    assert len(operations) == len(API)
    session = requests.Session()
    session.trust_env = False
    # A server that is busy may close a connection before it is greeted: nothing was asked yet.
    session.mount(site.url, HTTPAdapter(max_retries=Retry(5, read=0, backoff_factor=0.5)))
    for operation in operations:
        for mode in GenerationMode:

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def send(case: Case[Any]) -> None:
                answer = case.call(base_url=site.url, headers=headers, session=session, verify=str(ca))
                if answer.status_code not in (401, 403, 429):
                    case.validate_response(answer, checks=wanted)
                assert answer.status_code < 500 or answer.status_code == 503
                assert b"Traceback" not in answer.content

            send()
    session.close()
    assert site.client(role).get("/").status_code == 303


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    query=st.text(max_size=200), place=st.sampled_from(["/alerts", "/people", "/leavers", "/audit", "/cases"])
)
def test_no_query_breaks_a_page(hostile_site: Site, query: str, place: str) -> None:
    client = hostile_site.client(Role.AUDITOR if place == "/audit" else Role.ANALYST)
    answer = client.get(place, params=dict.fromkeys(QUERIES, query))
    assert answer.status_code in (200, 303, 400, 404, 414), answer.text[-500:]


@pytest.fixture
def hostile_site(site: Site) -> Site:
    return site
