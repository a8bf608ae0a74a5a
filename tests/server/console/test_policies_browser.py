"""An administrator's work on a noisy policy, in a browser: a fault at its line, a dry run, publishing, the
difference, and back; an exception with an end; an analyst reads along."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from server.people.roles import Role
from tests.server.console.browser import NARROW, Browsers, bars_to_people, errors_of, picture
from tests.server.console.published_policies import HIGH, held, publish_shipped
from tests.server.console.site import Site
from tests.server.policies.rule_texts import COPIED, RULE

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.long]


def test_a_noisy_policy_is_edited_tried_published_and_taken_back(site: Site, browsers: Browsers) -> None:
    publish_shipped(site)
    page = browsers.page(site, Role.ADMINISTRATOR, size=NARROW)
    page.goto(f"{site.url}/policies?q=spreadsheet")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    area = page.get_by_label("Sigma, as YAML")
    expect(area).to_have_value(COPIED)

    # A field that does not exist: told at its line while one types.
    area.fill(COPIED.replace("file.ext: xlsx\n", "file.extt: xlsx\n").replace("family:", "famly:"))
    expect(page.get_by_text("2 problems")).to_be_visible()
    expect(page.locator(".numbers .faulty")).to_have_text(["11", "14"])
    area.focus()
    area.evaluate("each => each.setSelectionRange(0, 0)")
    page.keyboard.press("Alt+ArrowDown")
    assert (
        area.evaluate("each => each.value.slice(each.selectionStart, each.selectionEnd)")
        == "    file.extt: xlsx"
    )
    picture(page, "policies-problems")
    assert bars_to_people(page) == []

    # The field's name is completed by keys.
    page.keyboard.press("Delete")
    page.keyboard.type("    file.ex")
    expect(page.get_by_role("option").first).to_contain_text("file.ext")
    picture(page, "policies-fields")
    assert bars_to_people(page) == []
    page.keyboard.press("Enter")
    page.keyboard.type("xlsx")
    expect(page.get_by_text("1 problem")).to_be_visible()
    area.fill(HIGH)
    expect(page.get_by_text("No problems")).to_be_visible()

    # A draft stays in the tab, and the dry run goes by keys.
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Checked, and kept in this tab")).to_be_visible()
    page.reload()
    expect(area).to_have_value(HIGH)
    area.focus()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="Publish")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Would have missed")).to_be_visible()
    assert bars_to_people(page) == []
    picture(page, "policies-dry-run", full=True)
    page.get_by_label("Reason").fill("spreadsheets hold customers")
    page.get_by_role("button", name="Publish version 2").click()

    # What it changed, and back.
    expect(page.get_by_text("Version 2 is published")).to_be_visible()
    expect(page.locator(".diff .added")).to_have_text(re.compile(r"\+ level: high"))
    assert held(site).text == HIGH
    page.locator("#v1 summary", has_text="Go back to it").click()
    page.locator("#v1").get_by_role("button", name="Dry run").click()
    expect(page.get_by_role("heading", name="Publish")).to_be_visible(timeout=60_000)
    page.get_by_label("Reason").fill("too loud")
    page.get_by_role("button", name="Publish version 3").click()
    expect(page.get_by_text("Version 3 is published")).to_be_visible()
    assert held(site).text == COPIED
    assert errors_of(page) == []


def test_an_exception_is_made_until_a_day(site: Site, browsers: Browsers) -> None:
    publish_shipped(site)
    page = browsers.page(site, Role.ANALYST, size=NARROW)
    page.goto(f"{site.url}/policies/{RULE}/exceptions")
    page.get_by_label("Which").fill("partner.example")
    page.get_by_label("Its last day").fill("2026-12-31")
    page.get_by_label("Reason").fill("contract 17")
    page.get_by_role("button", name="Count what it would have hidden").click()
    expect(page.locator("#counted")).to_contain_text("In the last 30 days")
    page.get_by_role("button", name="Make the exception").click()
    expect(page.get_by_text("The exception holds from now on")).to_be_visible()
    row = page.locator(".exceptions tbody tr")
    expect(row).to_contain_text("31 Dec 2026")
    row.get_by_text("Change").click()
    row.get_by_label("Another last day").fill("2027-01-31")
    row.get_by_label("Reason").first.fill("goes on")
    row.get_by_role("button", name="Set the last day").click()
    expect(row).to_contain_text("31 Jan 2027")
    assert bars_to_people(page) == []
    assert errors_of(page) == []
