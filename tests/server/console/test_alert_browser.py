"""An analyst's work on one alert in a browser: narrowing, raw records, keys, verdicts, a name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from server.people.roles import Role
from server.store.database import open_database, upgrade
from tests.server.console.browser import Browsers, errors_of, picture
from tests.server.console.company import CAREFUL, CompanySite

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.long]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompanySite]:
    folder: Path = tmp_path_factory.mktemp("alert")
    url = f"sqlite:///{folder}/leaver.db"
    opened = open_database(url, clock=lambda: 0)
    upgrade(opened)
    opened.close()
    site = CompanySite(folder, database_url=url)
    yield site
    site.close()


def _rows(page: Page) -> int:
    return page.locator("table.evidence tbody tr").count()


def test_evidence_is_narrowed_in_place_and_back_again(company: CompanySite, browsers: Browsers) -> None:
    page = browsers.page(company, Role.ANALYST)
    page.goto(f"{company.url}/alerts/1")
    assert _rows(page) == 200
    page.keyboard.press("2")
    page.fill("#evidence-text", "customers-21")
    page.keyboard.press("Enter")
    expect(page.locator("table.evidence tbody tr")).to_have_count(4)
    assert "text=customers-21" in page.url
    page.go_back()
    expect(page.locator("table.evidence tbody tr")).to_have_count(200)
    page.get_by_role("link", name="Next 200 events").click()
    expect(page.locator("table.evidence tbody tr")).to_have_count(14)
    page.goto(f"{company.url}/alerts/1")
    page.locator(".chart-alert-lanes a:has(.own)").last.click()
    expect(page.locator("a[data-evidence]", has_text="Clear filters")).to_be_visible()
    assert "since=" in page.url
    assert errors_of(page) == []
    page.context.close()


def test_keys_lead_through_the_page_and_to_raw_records(company: CompanySite, browsers: Browsers) -> None:
    page = browsers.page(company, Role.ANALYST)
    page.goto(f"{company.url}/alerts")
    page.wait_for_selector("tr[data-id]", timeout=30_000)
    order = [row.get_attribute("data-id") for row in page.locator("tr[data-id]").all()]
    page.goto(f"{company.url}/alerts/{order[0]}")
    page.keyboard.press("n")
    page.wait_for_url(f"**/alerts/{order[1]}")
    page.keyboard.press("p")
    page.wait_for_url(f"**/alerts/{order[0]}")
    page.keyboard.press("5")
    expect(page.locator("#custody")).to_be_in_viewport()
    for key in ("j", "j", "j", "j", "r"):
        page.keyboard.press(key)
    raw = page.locator("#raw pre")
    expect(raw).to_be_visible()
    careful = re.search(r'"name": "(<b>[^"]*)"', raw.inner_text())
    assert careful is None or careful[1] == CAREFUL
    page.keyboard.press("Escape")
    expect(raw).to_be_hidden()
    # No name of a file lies about its kind.
    assert "\\u202egnp.exe" in page.locator("table.evidence").inner_text()
    assert errors_of(page) == []
    page.context.close()


def test_a_name_is_shown_with_the_time_that_is_left(company: CompanySite, browsers: Browsers) -> None:
    page = browsers.page(company, Role.ANALYST)
    page.goto(f"{company.url}/alerts/1")
    name = company.people[0].name
    assert name not in page.content()
    page.get_by_role("button", name="Show the name …").click()
    page.get_by_label("Reason").first.fill("case 7")
    page.get_by_role("button", name="Show the name", exact=True).click()
    chip = page.locator("[data-until]")
    expect(chip).to_contain_text(re.compile(r"(60:00|59:\d\d)"))
    assert name in page.locator(".alert-people").inner_text()
    picture(page, "alert-unmasked")
    page.get_by_role("button", name="Hide again").click()
    expect(page.locator("[data-until]")).to_have_count(0)
    assert name not in page.content()
    assert errors_of(page) == []
    page.context.close()


def test_two_close_one_alert_and_the_second_is_told_and_loses_nothing(
    company: CompanySite, browsers: Browsers
) -> None:
    company.add_user("mira", Role.ANALYST)
    first = browsers.page(company, Role.ANALYST)
    second = browsers.page(company, Role.ANALYST, user="mira")
    for page in (first, second):
        page.goto(f"{company.url}/alerts/3")
        page.keyboard.press("e")
        expect(page.locator("#close-alert")).to_be_visible()
    first.keyboard.press("2")
    first.locator("#close-alert textarea").fill("quarterly report")
    first.get_by_role("button", name="Close the alert").click()
    first.wait_for_selector("text=Closed by analy.one as allowed business use")
    second.keyboard.press("1")
    second.locator("#close-alert textarea").fill("a long thought that must not be lost")
    second.get_by_role("button", name="Close the alert").click()
    expect(second.locator("#close-alert [data-problem]")).to_contain_text("analy.one")
    assert second.locator("#close-alert textarea").input_value() == "a long thought that must not be lost"
    first.keyboard.press("z")
    expect(first.locator(".alert-actions [data-key=e]")).to_be_visible()
    first.locator("#history textarea").fill("looked at it twice")
    first.get_by_role("button", name="Add the note").click()
    expect(first.locator(".history .typed", has_text="looked at it twice")).to_be_visible()
    for page in (first, second):
        page.context.close()


def test_a_reason_survives_a_session_that_ended_meanwhile(company: CompanySite, browsers: Browsers) -> None:
    page = browsers.page(company, Role.ANALYST)
    page.goto(f"{company.url}/alerts/2")
    page.get_by_role("button", name="Show the name …").click()
    page.get_by_label("Reason").first.fill("case 9")
    page.context.clear_cookies()
    page.get_by_role("button", name="Show the name", exact=True).click()
    expect(page.locator("#sign-in-again")).to_be_visible()
    assert page.locator("dialog[open] textarea").input_value() == "case 9"
    assert company.people[20].name not in page.content()
    page.context.close()


def test_a_name_ends_without_taking_what_is_typed(company: CompanySite, browsers: Browsers) -> None:
    name = company.people[20].name
    page = browsers.page(company, Role.ANALYST)
    page.clock.install()
    page.goto(f"{company.url}/alerts/2")
    page.get_by_role("button", name="Show the name …").click()
    page.get_by_label("Reason").first.fill("case 9")
    page.get_by_role("button", name="Show the name", exact=True).click()
    expect(page.locator(".unmasked b")).to_have_text(name)
    person = page.locator(".person a.name").first.get_attribute("href")
    for place in ("/alerts/2", person):
        page.goto(f"{company.url}{place}")
        expect(page.locator(".unmasked b")).to_have_text(name)
        # Something is half typed: the page may not be asked for anew.
        page.evaluate(
            "() => { const field = document.createElement('textarea'); field.id = 'half';"
            " document.getElementById('content').append(field); field.value = 'half a note'; }"
        )
        page.clock.fast_forward(3_601_000)
        expect(page.locator(".unmasked")).to_have_count(0)
        assert name not in page.locator("#content").inner_text()
        assert page.locator("#half").input_value() == "half a note"
    assert errors_of(page) == []
    page.context.close()
