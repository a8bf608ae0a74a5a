"""Signing in and out over HTTPS, one-time links, and what a browser makes of it."""

from __future__ import annotations

import httpx
import pytest

from server.accounts.invitations import invite, invite_first_administrator
from server.accounts.session_types import COOKIE
from server.people.roles import Role
from tests.server.accounts.doors import PASSWORD
from tests.server.console.site import USERS, Site

pytestmark = pytest.mark.databases("sqlite")


def invitation(site: Site, role: Role) -> str:
    with site.database.begin() as connection:
        return invite(connection, USERS[role], now=site.clock(), actor="test")


def set_password(site: Site, role: Role, client: httpx.Client | None = None) -> httpx.Response:
    form = {"token": invitation(site, role), "password": PASSWORD, "again": PASSWORD}
    answer = (client or site.client(None)).post("/invited", data=form)
    assert answer.status_code == 303, answer.text
    return answer


def test_a_link_sets_a_password_which_signs_in_and_out(site: Site) -> None:
    set_password(site, Role.ANALYST)
    client = site.client(None)
    form = {"name": USERS[Role.ANALYST], "password": PASSWORD, "next": "/settings?x=1"}
    answer = client.post("/sign-in", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings?x=1")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie
    assert client.get("/").headers["location"] == "/alerts"
    assert client.get("/sign-in").headers["location"] == "/"
    out = client.post("/sign-out")
    assert out.headers["location"] == "/sign-in"
    client.cookies.set(COOKIE, cookie.partition("=")[2].partition(";")[0])
    assert client.get("/").headers["location"].startswith("/sign-in")


def test_what_was_wrong_is_not_said_and_no_place_elsewhere_is_led_to(site: Site) -> None:
    set_password(site, Role.HR)
    client = site.client(None)
    said = set()
    for name, password in ((USERS[Role.HR], "x"), ("nobody", PASSWORD), (USERS[Role.ANALYST], PASSWORD)):
        answer = client.post("/sign-in", data={"name": name, "password": password})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        said.add(answer.text.replace(name, "NAME"))
    assert len(said) == 1
    form = {"name": USERS[Role.HR], "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post("/sign-in", data=form).headers["location"] == "/"
    part = client.post("/sign-in", data={"name": "x", "password": "y"}, headers={"hx-request": "true"})
    assert (part.status_code, part.json()["error"]) == (403, "Name or password are wrong.")
    part = client.post("/sign-in", data=form, headers={"hx-request": "true"})
    assert (part.status_code, COOKIE in part.headers["set-cookie"]) == (204, True)
    for _ in range(12):
        last = client.post("/sign-in", data={"name": "x", "password": "y"})
    assert (last.status_code, "retry-after" in last.headers) == (429, True)


def test_hostile_names_are_shown_as_they_were_typed(site: Site) -> None:
    answer = site.client(None).post("/sign-in", data={"name": "<script>alert(1)</script>", "password": "x"})
    assert "<script>alert" not in answer.text
    answer = site.client(None).get('/sign-in?next="><script>alert(1)</script>')
    assert "<script>alert" not in answer.text


def test_the_first_administrator_chooses_a_name_and_the_token_is_used_up(site: Site) -> None:
    with site.database.begin() as connection:
        token = invite_first_administrator(connection, now=site.clock(), actor="leaver up")
    assert token is not None
    client = site.client(None)
    form = {"token": token, "name": "Root", "password": PASSWORD, "again": PASSWORD}
    for wrong, said in (
        ({"again": "another password"}, "The two passwords differ."),
        ({"password": "short", "again": "short"}, "at least 12 characters"),
        ({"name": "a b"}, "small letters"),
        ({"token": "x"}, "was used already, or has ended"),
    ):
        answer = client.post("/first", data={**form, **wrong})
        assert (answer.status_code, said in answer.text) == (400, True), said
    assert client.post("/first", data=form).headers["location"] == "/"
    assert client.get("/").headers["location"] == "/leavers"
    again = site.client(None).post("/first", data={**form, "name": "second"})
    assert (again.status_code, "has ended" in again.text) == (400, True)


def test_a_new_password_ends_the_sessions_of_before(site: Site) -> None:
    before = site.client(Role.HR)
    assert before.get("/").headers["location"] == "/leavers"
    set_password(site, Role.HR)
    assert before.get("/").headers["location"].startswith("/sign-in")


def test_a_session_that_was_not_used_for_an_hour_is_over(site: Site) -> None:
    client = site.client(Role.HR)
    site.clock.now += 3_599_000
    assert client.get("/").headers["location"] == "/leavers"
    site.clock.now += 3_599_000
    assert client.get("/").headers["location"] == "/leavers"
    site.clock.now += 3_600_000
    assert client.get("/").headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("header", [{"x-by-itself": "1"}, {"accept": "text/event-stream"}])
def test_a_page_that_asks_by_itself_keeps_no_session_alive(site: Site, header: dict[str, str]) -> None:
    client = site.client(Role.ADMINISTRATOR)
    for _ in range(5):
        site.clock.now += 700_000
        assert client.get("/settings", headers=header).status_code == 200
    site.clock.now += 200_000
    assert client.get("/settings", headers=header).status_code in (303, 401)
