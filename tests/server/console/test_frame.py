"""What every page has: the rail, headers, refusals, language and theme; and nothing without signing in."""

from __future__ import annotations

import pytest

from server.console.navigation import home, navigation
from server.people.roles import Role
from tests.server.console.site import Site

pytestmark = pytest.mark.databases("sqlite")


def test_nobody_sees_a_page_without_signing_in(site: Site) -> None:
    client = site.client(None)
    answer = client.get("/leavers?x=1")
    assert answer.status_code in (303, 404)
    assert client.get("/").headers["location"] == "/sign-in?next=%2F"
    part = client.get("/", headers={"hx-request": "true"})
    assert part.status_code == 401
    assert part.json()["reason"] == "signed_out"


@pytest.mark.parametrize("role", Role)
def test_everybody_begins_where_their_role_begins(site: Site, role: Role) -> None:
    answer = site.client(role).get("/")
    assert answer.status_code == 303
    assert answer.headers["location"] == home(role)
    assert home(role) in {place.address for place in navigation(role)}


def test_what_changes_something_must_come_from_our_own_page(site: Site) -> None:
    client = site.client(Role.HR)
    form = {"language": "zh", "back": "/"}
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ):
        assert client.post("/look", data=form, headers=headers).status_code == 403
    del client.headers["sec-fetch-site"]
    assert client.post("/look", data=form).status_code == 403
    assert client.post("/look", data=form, headers={"origin": "https://evil.example"}).status_code == 403
    assert client.post("/look", data=form, headers={"origin": site.url}).status_code == 303


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", "\x00"]
)
def test_a_form_leads_back_to_pages_of_ours_alone(site: Site, back: str) -> None:
    answer = site.client(Role.HR).post("/look", data={"theme": "dark", "back": back})
    assert answer.headers["location"] == "/"


def test_a_refusal_is_a_page_for_people_and_json_for_programs(site: Site) -> None:
    client = site.client(Role.ANALYST)
    page = client.get("/nothing/here")
    assert page.status_code == 404
    assert "There is no such page" in page.text
    plain = client.get("/nothing/here", headers={"accept": "*/*"})
    assert plain.json()["reason"] == "not_found"


def test_nothing_runs_but_our_own_files_and_nothing_is_kept(site: Site) -> None:
    for answer in (site.client(Role.HR).get("/"), site.client(None).get("/nowhere")):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


def test_a_query_has_a_bound(site: Site) -> None:
    assert site.client(Role.HR).get("/?x=" + "y" * 9000).status_code == 414
