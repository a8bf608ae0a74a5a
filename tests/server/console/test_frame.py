"""What every page has: the rail, headers, refusals, language and theme; and nothing without signing in."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from urllib.parse import parse_qs, urlsplit

import pytest

from server.api.errors import ApiError
from server.console.navigation import home, navigation
from server.console.page import Console
from server.console.slow_reads import AT_ONCE, SlowReads
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
    "back", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", "\x01"]
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


def test_addresses_in_any_script_lead_on(site: Site) -> None:
    """An id of HR's may be Chinese: the sign-in and the choice of a look lead back to it."""
    quoted = "/leavers/%E5%BC%A0%E4%B8%89"
    answer = site.client(None).get(f"{quoted}?a=%2F")
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.headers["location"]).query) == {"next": [f"{quoted}?a=%2F"]}
    hr = site.client(Role.HR)
    for back in ("/leavers/张三", quoted):
        answer = hr.post("/look", data={"theme": "dark", "back": back})
        assert (answer.status_code, answer.headers["location"]) == (303, quoted)
        assert hr.post("/look", data={"back": back}, headers={"hx-request": "true"}).status_code == 204


def test_what_takes_long_to_make_keeps_no_page_waiting(site: Site) -> None:
    begun, end = threading.Event(), threading.Event()

    class Slow:
        def __init__(self, _console: Console) -> None:
            begun.set()
            end.wait(30)

    class Quick:
        def __init__(self, _console: Console) -> None:
            self.made = True

    console = Console(site.server.service)
    making = threading.Thread(target=console.made, args=(Slow,))
    making.start()
    assert begun.wait(10)
    assert console.made(Quick).made
    end.set()
    making.join(10)
    assert console.made(Slow) is console.made(Slow)


def test_what_no_database_can_keep_is_refused_everywhere(site: Site) -> None:
    """PostgreSQL fails at a NUL, SQLite does not: both answer the same."""
    admin, analyst = site.client(Role.ADMINISTRATOR), site.client(Role.ANALYST)
    assert site.client(None).post("/sign-in", data={"name": "\x00", "password": "x"}).status_code == 400
    assert admin.post("/tokens/revoke", data={"name": "a\x00", "reason": "x"}).status_code == 400
    assert admin.post("/policies/%00/dry-run", data={"text": "x"}).status_code == 404
    assert site.client(Role.HR).get("/leavers/~00%00").status_code == 404
    assert admin.get("/users?after=%00").status_code == 200
    assert analyst.get("/api/v1/cases?owner=%00").status_code == 400
    written = {"content-type": "application/json"}
    body = b'{"title": "a\\u0000b"}'
    assert analyst.post("/api/v1/cases", content=body, headers=written).status_code == 400


def test_slow_reads_leave_threads_for_quick_pages(site: Site) -> None:
    reads = Console(site.server.service).made(SlowReads)
    with ExitStack() as held:
        for _ in range(AT_ONCE):
            held.enter_context(reads.one())
        with pytest.raises(ApiError, match="others read"), reads.one():
            pass
    with reads.one():
        pass
