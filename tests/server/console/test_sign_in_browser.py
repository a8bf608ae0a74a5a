"""Signing in as people do it: by keyboard, in a browser, with sessions that end while somebody types."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from server.accounts.invitations import invite_first_administrator
from server.people.roles import Role
from tests.server.accounts.doors import PASSWORD
from tests.server.console.browser import NARROW, PHONE, Browsers, bars_to_people, errors_of, picture
from tests.server.console.site import USERS, Site
from tests.server.console.test_sign_in_page import invitation, set_password

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.long]
LOOKS = [("en", "light", NARROW), ("zh", "dark", NARROW), ("zh", "light", PHONE), ("en", "dark", PHONE)]


def _is_fine(page: Page, name: str) -> None:
    picture(page, name, full=True)
    assert bars_to_people(page) == []
    assert errors_of(page) == []


def test_the_first_administrator_signs_in_adds_a_user_and_signs_out(site: Site, browsers: Browsers) -> None:
    with site.database.begin() as connection:
        token = invite_first_administrator(connection, now=site.clock(), actor="leaver up")
    page = browsers.page(site, None)
    page.goto(f"{site.url}/first#{token}")
    assert "#" not in page.url
    expect(page.get_by_label("One-time token")).to_be_hidden()
    _is_fine(page, "first")
    page.get_by_label("Name").fill("root")
    page.get_by_label("New password").fill("too short")
    page.get_by_label("Once more").fill("too short")
    page.get_by_role("button", name="Set password").click()
    page.get_by_label("New password").fill("passwordpassword")
    page.get_by_label("Once more").fill("passwordpassword")
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("alert").filter(has_text="first that are tried")).to_be_visible()
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("Once more").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    page.goto(f"{site.url}/users")
    page.get_by_role("main").get_by_label("Name", exact=True).fill("anna")
    page.get_by_role("button", name="Add", exact=True).click()
    link = page.locator("#link").inner_text()
    _is_fine(page, "users_link")
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url("**/sign-in")

    page.goto(link)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("Once more").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/alerts"))
    page.goto(link)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("Once more").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="used already")).to_be_visible()


def test_a_wrong_password_says_so_and_a_right_one_leads_to_where_one_was_going(
    site: Site, browsers: Browsers
) -> None:
    set_password(site, Role.AUDITOR)
    page = browsers.page(site, None)
    page.goto(f"{site.url}/audit?action=user.")
    page.get_by_label("Name").fill(USERS[Role.AUDITOR])
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="Name or password are wrong")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/audit?action=user.")
    page.get_by_role("button", name="Verify the chain").click()
    expect(page.get_by_text("The chain holds")).to_be_visible()
    assert errors_of(page) == []


def test_what_was_typed_survives_a_session_that_ends(site: Site, browsers: Browsers) -> None:
    set_password(site, Role.AUDITOR)
    page = browsers.page(site, Role.AUDITOR)
    page.goto(f"{site.url}/audit")
    page.get_by_label("Text").fill("half a sentence")
    page.context.clear_cookies()
    page.get_by_role("button", name="Verify the chain").click()
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog).to_be_visible()
    picture(page, "signed_out_in_place")
    dialog.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("Name or password are wrong.")
    dialog.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("The chain holds")).to_be_visible()
    expect(page.get_by_label("Text")).to_have_value("half a sentence")


def test_a_form_that_leads_elsewhere_is_sent_after_signing_in_again(site: Site, browsers: Browsers) -> None:
    set_password(site, Role.ADMINISTRATOR)
    page = browsers.page(site, Role.ADMINISTRATOR)
    page.goto(f"{site.url}/users")
    page.get_by_role("main").get_by_label("Name", exact=True).fill("anna")
    page.context.clear_cookies()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Your session has ended")
    dialog.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Give anna this link")).to_be_visible()
    page.goto(f"{site.url}/audit")
    for _ in range(2):
        with page.expect_download() as download:
            page.get_by_role("button", name="Export what is found").click()
        assert download.value.suggested_filename.endswith(".jsonl")


@pytest.mark.parametrize(("language", "theme", "size"), LOOKS)
def test_no_page_bars_anybody(
    site: Site, browsers: Browsers, language: str, theme: str, size: dict[str, int]
) -> None:
    set_password(site, Role.ADMINISTRATOR)
    site.client(Role.ADMINISTRATOR).post(
        "/tokens/make", data={"name": "siem", "role": "analyst", "scope": "read", "days": "90"}
    )
    marks = f"{language}_{theme}_{size['width']}"
    page = browsers.page(site, Role.ADMINISTRATOR, language=language, theme=theme, size=size)
    for name in ("users", "tokens", "settings", "audit"):
        page.goto(f"{site.url}/{name}")
        _is_fine(page, f"{name}_{marks}")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], name
    nobody = browsers.page(site, None, language=language, theme=theme, size=size)
    for name in ("sign-in", "first", f"invited#{invitation(site, Role.HR)}"):
        nobody.goto(f"{site.url}/{name}")
        _is_fine(nobody, f"{name.partition('#')[0]}_{marks}")
