"""Merging by keys in the queue, and what the alerts' pages say of it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from server.people.roles import Role
from tests.server.alerts.recorded_leak import open_alert
from tests.server.console.browser import Browsers, bars_to_people, errors_of
from tests.server.console.site import Site

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.long]


def test_the_title_of_a_new_case_is_ready_and_an_empty_one_is_refused(site: Site, browsers: Browsers) -> None:
    for number in (2, 3):
        open_alert(site.database, events=2, subject=f"person:p{number}", alert_id=number, score=50 + number)
    page = browsers.page(site, Role.ANALYST)
    page.goto(f"{site.url}/alerts")
    for key in ("x", "j", "x", "Shift+E"):
        page.keyboard.press(key)
    title = page.locator("dialog[open] [name=title]")
    expect(title).to_be_focused()
    expect(title).to_have_value("Alert 1 and 1 more")
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    expect(page.locator("dialog[open] [data-problem]")).to_have_text(
        "Give the new case a title, or choose a case."
    )
    page.keyboard.type("Night shift")
    page.keyboard.press("Enter")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.goto(f"{site.url}/alerts/2")
    page.keyboard.press("Shift+E")
    title = page.locator("dialog[open] [name=title]")
    expect(title).to_be_focused()
    expect(title).to_have_value("Alert 2")
    title.fill(" ")
    page.keyboard.press("Enter")
    expect(page.locator("dialog[open] [data-problem]")).to_contain_text("title")
    # A case that is there has its own.
    page.locator("dialog[open] select").select_option("1")
    expect(title).to_be_disabled()
    page.locator("dialog[open] button.primary").click()
    expect(page.locator(".alert-head")).to_contain_text("Case 1")
    assert bars_to_people(page) == []
    assert errors_of(page) == []
    page.context.close()


def test_alerts_are_merged_listed_taken_out_and_undone(site: Site, browsers: Browsers) -> None:
    for number in (2, 3):
        open_alert(site.database, events=2, subject=f"person:p{number}", alert_id=number, score=50 + number)
    page = browsers.page(site, Role.ANALYST)
    page.goto(f"{site.url}/alerts")
    expect(page.locator("tr[data-id]")).to_have_count(3)
    for key in ("x", "j", "x", "m"):
        page.keyboard.press(key)
    # The worst of those chosen is proposed as the main one.
    expect(page.locator("dialog[open] [name=into]")).to_have_value("1")
    page.keyboard.press("Enter")
    expect(page.locator("tr[data-id]")).to_have_count(2)
    expect(page.locator("tr[data-id='1']")).to_contain_text("+1 merged")
    page.goto(f"{site.url}/alerts/1")
    expect(page.locator("#related")).to_contain_text("Merged into this alert")
    assert bars_to_people(page) == []
    page.get_by_role("button", name="Take out alert 3").click()
    expect(page.locator("#history")).to_contain_text("took alert 3 out of it")
    page.keyboard.press("z")
    expect(page.get_by_role("button", name="Take out alert 3")).to_be_visible()
    page.goto(f"{site.url}/alerts/3")
    expect(page.get_by_role("button", name="Take out of alert 1")).to_be_visible()
    assert errors_of(page) == []
