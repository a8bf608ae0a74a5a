"""The administrator's daily look at the fleet."""

from __future__ import annotations

import pytest

from server.people.roles import Role
from server.supervision import PartState
from tests.server.api.running_server import TestAgent
from tests.server.console.browser import Browsers, errors_of
from tests.server.console.site import Site

pytestmark = pytest.mark.databases("sqlite")


def test_an_administrator_enrols_a_machine_and_revokes_it(site: Site, browsers: Browsers) -> None:
    page = browsers.page(site, Role.ADMINISTRATOR)
    page.goto(site.url + "/fleet")
    page.keyboard.press("c")
    page.get_by_label("Its name").fill("Laptop-77")
    page.keyboard.press("Enter")
    line = page.locator("#enrol-line").inner_text()
    assert line.startswith("leaver-enrol-1 https://")
    assert site.server.authority.fingerprint in line
    page.goto(site.url + "/fleet/laptop-77")
    page.get_by_role("button", name="Revoke…").click()
    page.get_by_label("Reason").fill("sold")
    page.get_by_role("button", name="Revoke", exact=True).click()
    page.locator("h1 .badge", has_text="revoked").wait_for()
    assert errors_of(page) == []
    page.context.close()


def test_a_bad_name_is_said_where_it_was_typed(site: Site) -> None:
    client = site.client(Role.ADMINISTRATOR)
    answer = client.post("/fleet/enrol", data={"name": "no spaces"}, headers={"hx-request": "true"})
    assert answer.status_code == 422
    assert "no spaces" in answer.text


def test_filters_find_and_say_how_many(site: Site) -> None:
    with site.server.client() as plain:
        for number in range(3):
            agent = TestAgent(site.server, plain, f"host-{number}")
            assert agent.send([agent.heartbeat()]).status_code == 200
    client = site.client(Role.ADMINISTRATOR)
    assert "4 agents" in client.get("/fleet").text
    assert "1 agent<" in client.get("/fleet?text=host-2").text
    assert "No agent matches" in client.get("/fleet?text=nobody").text
    assert client.get("/fleet/nobody").status_code == 404


def test_a_dead_pipeline_is_never_told_as_silent_agents(site: Site) -> None:
    site.server.parts["pipeline"] = PartState("stopped", 0, None)
    text = site.client(Role.ADMINISTRATOR).get("/fleet").text
    assert "The server cannot read events (pipeline)" in text


def test_the_status_says_what_needs_a_look_but_no_alert(site: Site) -> None:
    text = site.client(Role.ADMINISTRATOR).get("/status").text
    assert "records wait" in text
    assert "not running" in text
    assert "/alerts" not in text
