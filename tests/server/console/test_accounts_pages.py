"""Users, tokens and one's own settings: what pages and their forms do, and refuse."""

from __future__ import annotations

import re

import pytest

from server.people.roles import Role
from server.service_tokens import list_tokens
from tests.server.accounts.doors import PASSWORD
from tests.server.console.site import USERS, Site
from tests.server.console.test_sign_in_page import set_password

pytestmark = pytest.mark.databases("sqlite")


def test_an_administrator_adds_a_user_who_signs_in_by_the_link(site: Site) -> None:
    admin = site.client(Role.ADMINISTRATOR)
    answer = admin.post("/users/add", data={"name": "Anna", "role": "analyst"})
    link = re.search(r'id="link"[^>]*>([^<]+)<', answer.text)
    assert link is not None
    assert link[1].startswith(f"{site.url}/invited#")
    client = site.client(None)
    token = link[1].partition("#")[2]
    form = {"token": token, "password": PASSWORD, "again": PASSWORD}
    assert client.post("/invited", data=form).headers["location"] == "/"
    assert client.get("/").headers["location"] == "/alerts"
    assert token not in admin.get("/users").text
    assert "anna" in admin.get("/users").text
    again = admin.post("/users/add", data={"name": "anna", "role": "analyst"})
    assert (again.status_code, "already" in again.text) == (400, True)
    for form in ({"name": "x y", "role": "hr"}, {"name": "x", "role": "king"}, {}):
        assert admin.post("/users/add", data=form).status_code == 400


def test_disabling_signs_out_and_needs_a_reason_and_the_last_administrator_stays(site: Site) -> None:
    set_password(site, Role.ADMINISTRATOR)
    admin, hr = site.client(Role.ADMINISTRATOR), site.client(Role.HR)
    name = USERS[Role.HR]
    assert admin.post("/users/disable", data={"name": name, "reason": " "}).status_code == 400
    assert admin.post("/users/disable", data={"name": name, "reason": "x\x00"}).status_code == 400
    answer = admin.post("/users/disable", data={"name": name, "reason": "left"})
    assert answer.headers["location"] == f"/users?done=disabled&name={name}"
    assert hr.get("/").headers["location"].startswith("/sign-in")
    assert "has been disabled" in admin.get(answer.headers["location"]).text
    assert admin.post("/users/enable", data={"name": name}).status_code == 303
    own = USERS[Role.ADMINISTRATOR]
    for place, form in (("disable", {"reason": "bye"}), ("role", {"role": "hr"})):
        refused = admin.post(f"/users/{place}", data={"name": own, **form})
        assert (refused.status_code, "last administrator" in refused.text) == (400, True)
    assert admin.post("/users/role", data={"name": "nobody", "role": "hr"}).status_code == 400
    assert admin.post("/users/sign-out", data={"name": name}).status_code == 303


def test_a_token_is_shown_once_reads_the_api_and_manages_nobody(site: Site) -> None:
    admin = site.client(Role.ADMINISTRATOR)
    form = {"name": "report", "role": "administrator", "scope": "write", "days": "30"}
    answer = admin.post("/tokens/make", data=form)
    shown = re.search(r'id="token"[^>]*>([^<]+)<', answer.text)
    assert shown is not None
    assert shown[1] not in admin.get("/tokens").text
    program = site.client(None)
    program.headers["authorization"] = f"Bearer {shown[1]}"
    assert program.get("/users").status_code == 303
    for wrong in ({"days": "0"}, {"days": "731"}, {"name": "A B"}, {"role": "king"}, {"scope": "all"}, {}):
        assert admin.post("/tokens/make", data={**form, **wrong}).status_code == 400
    assert admin.post("/tokens/revoke", data={"name": "report", "reason": ""}).status_code == 400
    gone = admin.post("/tokens/revoke", data={"name": "report", "reason": "replaced"})
    assert "holds no longer" in admin.get(gone.headers["location"]).text
    assert admin.post("/tokens/revoke", data={"name": "report", "reason": "again"}).status_code == 303
    assert admin.post("/tokens/make", data={**form, "role": "scim", "scope": "read"}).status_code == 200
    with site.database.read() as connection:
        assert next((each.role, each.scope) for each in list_tokens(connection)) == ("scim", "write")


def test_one_chooses_how_the_console_looks(site: Site) -> None:
    client = site.client(Role.AUDITOR)
    form = {"language": "zh", "theme": "dark", "time_zone": "Asia/Shanghai"}
    assert client.post("/settings/look", data=form).status_code == 303
    text = client.get("/settings?done=look").text
    assert 'lang="zh-CN" data-theme="dark"' in text
    assert "已保存" in text
    assert "data-single-keys" not in text
    for wrong in ({"language": "xx"}, {"theme": "pink"}, {"time_zone": "../etc/passwd"}, {"time_zone": ""}):
        assert client.post("/settings/look", data={**form, **wrong}).status_code == 400


def test_one_changes_ones_password_and_ends_ones_other_sessions(site: Site) -> None:
    here = site.client(None)
    set_password(site, Role.ANALYST, here)
    there = site.client(Role.ANALYST)
    text = here.get("/settings").text
    others = re.findall(r'name="session" value="(\d+)"', text)
    assert len(others) == 1
    other_user = site.client(Role.HR)
    other_user.post("/settings/sessions/end", data={"session": others[0]})
    assert there.get("/").headers["location"] == "/alerts"
    for odd in ("", "x", "9" * 40, "-1", "٣"):
        assert here.post("/settings/sessions/end", data={"session": odd}).status_code == 303
    assert here.post("/settings/sessions/end", data={"session": others[0]}).status_code == 303
    assert there.get("/").headers["location"].startswith("/sign-in")
    new = {"password": "two herons there", "again": "two herons there"}
    wrong = here.post("/settings/password", data={**new, "present": "no"})
    assert (wrong.status_code, "present password is wrong" in wrong.text) == (403, True)
    short = here.post("/settings/password", data={"present": PASSWORD, "password": "x", "again": "x"})
    assert (short.status_code, "at least 12" in short.text) == (400, True)
    assert here.post("/settings/password", data={**new, "present": PASSWORD}).status_code == 303
    assert here.get("/").headers["location"] == "/alerts"


def test_the_api_lists_users_and_tokens_and_shows_no_secret(site: Site) -> None:
    admin = site.client(Role.ADMINISTRATOR)
    admin.post("/tokens/make", data={"name": "siem", "role": "analyst", "scope": "read", "days": "9"})
    found = admin.get("/api/v1/users").json()
    assert [(user["name"], user["state"]) for user in found["users"]] == [
        (name, "invited") for name in sorted(USERS.values())
    ]
    assert found["next_after"] is None
    tokens = admin.get("/api/v1/tokens")
    assert [(each["name"], each["scope"]) for each in tokens.json()["tokens"]] == [("siem", "read")]
    assert "sha256" not in tokens.text
    assert site.client(Role.AUDITOR).get("/api/v1/users").status_code == 403
