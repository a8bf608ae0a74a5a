"""What was typed outlives a refusal, another editor and a session that ended; nobody else sends it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from server.people.roles import Role
from server.policies.versions import save
from tests.server.console.browser import NARROW, Browsers
from tests.server.console.published_policies import HIGH, held, publish_shipped
from tests.server.console.site import Site
from tests.server.policies.rule_texts import COPIED, RULE

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.long]


def test_whoever_loses_to_another_editor_keeps_reason_and_text(site: Site, browsers: Browsers) -> None:
    publish_shipped(site)
    page = browsers.page(site, Role.ADMINISTRATOR, size=NARROW)
    page.goto(f"{site.url}/policies/{RULE}")
    area = page.get_by_label("Sigma, as YAML")
    area.fill(HIGH)
    page.locator("summary", has_text="Publish without a dry run").click()
    page.get_by_label("Reason").fill("spreadsheets hold customers")
    page.get_by_label("Publish though nobody tried it").check()
    theirs = COPIED.replace("level: medium", "level: low")
    with site.database.begin() as connection:
        save(connection, theirs, file="own.yml", actor="user:omar", reason="calmer", now=site.clock())
    page.get_by_role("button", name="Publish now").click()
    expect(page.locator(".side [data-problem]")).to_contain_text("user:omar published version 2 meanwhile")
    expect(page.get_by_label("Reason")).to_have_value("spreadsheets hold customers")
    expect(area).to_have_value(HIGH)

    # Theirs is looked at; what is typed then goes beside the older draft, not over it.
    page.reload()
    expect(area).to_have_value(theirs)
    area.fill(theirs + "# seen\n")
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Checked, and kept in this tab")).to_be_visible()
    area.fill(theirs)
    page.keyboard.press("Control+s")
    page.reload()
    expect(page.get_by_text("made from version 1; by now version 2 holds")).to_be_visible()
    page.get_by_role("button", name="Show the draft").click()
    expect(area).to_have_value(HIGH)
    page.reload()
    expect(area).to_have_value(HIGH)
    assert held(site).text == theirs


def test_an_exception_that_is_refused_keeps_its_words(site: Site, browsers: Browsers) -> None:
    publish_shipped(site)
    page = browsers.page(site, Role.ANALYST, size=NARROW)
    page.goto(f"{site.url}/policies/{RULE}/exceptions")
    page.locator("select[name=kind]").select_option("sha256")
    page.get_by_label("Which").fill("no digest")
    page.get_by_label("Its last day").fill("2026-12-31")
    page.get_by_label("Reason").fill("contract 17")
    page.get_by_role("button", name="Count what it would have hidden").click()
    expect(page.get_by_text("A SHA-256 has 64 digits")).to_be_visible()
    expect(page.get_by_label("Reason")).to_have_value("contract 17")


def test_nobody_else_goes_on_where_a_session_ended(site: Site, browsers: Browsers) -> None:
    publish_shipped(site)
    page = browsers.page(site, Role.ADMINISTRATOR, size=NARROW)
    others = browsers.context(site, Role.AUDITOR)
    page.goto(f"{site.url}/policies/{RULE}")
    page.locator("summary", has_text="Publish without a dry run").click()
    page.get_by_label("Sigma, as YAML").fill(HIGH)
    page.get_by_label("Reason").fill("mine alone")
    page.get_by_label("Publish though nobody tried it").check()
    page.context.clear_cookies()
    page.get_by_role("button", name="Publish now").click()
    again = page.locator("#sign-in-again")
    expect(again).to_be_visible()
    assert again.locator("[name=name]").get_attribute("readonly") is not None
    # Somebody else signed in, in another tab of the same browser.
    page.context.add_cookies(others.cookies())  # type: ignore[arg-type]
    again.evaluate("each => each.close()")
    page.wait_for_url("**/audit")
    assert held(site).text == COPIED
