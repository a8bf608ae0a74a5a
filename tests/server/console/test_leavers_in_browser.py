"""HR's day in Chromium: somebody is flagged in under 20 seconds from the keyboard, the dates are corrected, a
file is brought, looked at, taken over and taken back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import FilePayload, expect

from server.people.roles import Role
from tests.server.console.browser import NARROW, PHONE, Browsers, bars_to_people, errors_of, picture
from tests.server.console.site import Site
from tests.server.leavers.company import make_company

pytestmark = [pytest.mark.long, pytest.mark.databases("sqlite")]
THINKS_S, KEY_S = 1.35, 0.28
"""What one step of a person takes besides the machine (Card, Moran and Newell): to make up one's mind, and to
press a key."""
NEW = "工号,姓名,账号,最后工作日\nN1,王小明,wangxm,2026-12-24\nE1007,Bai Suzhen,baisz,2026-12-31\n"


@pytest.fixture
def company(site: Site) -> Iterator[Site]:
    make_company(site.database)
    yield site


def test_hr_flags_a_leaver_in_under_20_seconds(
    company: Site, browsers: Browsers, record_property: Callable[[str, object], None]
) -> None:
    page = browsers.page(company, Role.HR, size=NARROW)
    page.goto(f"{company.url}/leavers")
    keys = 0
    began = time.monotonic()
    page.keyboard.press("f")
    page.wait_for_url("**/leavers/flag")
    page.keyboard.type("suzhen", delay=0)
    expect(page.locator("#found a")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url("**/leavers/flag?person=E1007")
    last = page.get_by_label("Last working day")
    expect(last).to_be_focused()
    last.fill("2026-12-04")
    last.dispatch_event("change")
    expect(page.locator("#said")).to_contain_text("Fri 4 Dec 2026")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/leavers/E1007\?done=flag"))
    machine = time.monotonic() - began
    keys = 1 + len("suzhen") + 1 + len("12042026") + 1
    thoughts = 4
    whole = machine + keys * KEY_S + thoughts * THINKS_S
    record_property("hr_flags_a_leaver", f"{machine:.2f} s machine, {keys} keys, {whole:.1f} s with a person")
    assert whole < 20
    expect(page.get_by_role("status").first).to_contain_text("Taken over")
    page.keyboard.press("z")
    page.wait_for_url(re.compile("done=undo"))
    expect(page.locator(".badge.good", has_text="stays").first).to_be_visible()
    assert errors_of(page) == []


def test_a_file_is_dropped_looked_at_taken_over_and_taken_back(company: Site, browsers: Browsers) -> None:
    page = browsers.page(company, Role.HR, size=NARROW)
    page.goto(f"{company.url}/leavers")
    page.keyboard.press("i")
    page.wait_for_url("**/leavers/import")
    file = FilePayload(name="staff.csv", mimeType="text/csv", buffer=NEW.encode("gbk"))
    page.set_input_files("input[type=file]", [file])
    page.wait_for_url(re.compile("/leavers/import/[0-9a-f]+"))
    expect(page.get_by_text("Read as GBK/GB18030, 2 rows.")).to_be_visible()
    assert bars_to_people(page) == []
    picture(page, "hr-import-preview", full=True)
    page.get_by_role("button", name="Take over 2 people").click()
    page.wait_for_url(re.compile(r"/leavers/imports/\d+\?done=yes"))
    expect(page.get_by_text("Taken over: 2 people.")).to_be_visible()
    assert bars_to_people(page) == []
    page.get_by_role("button", name="Take it back").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 person is removed again")
    dialog.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("taken back")).to_be_visible()
    assert errors_of(page) == []


def test_withdrawing_asks_for_a_reason(company: Site, browsers: Browsers) -> None:
    page = browsers.page(company, Role.HR, size=NARROW)
    page.goto(f"{company.url}/leavers/E1004")
    page.get_by_role("button", name="Withdraw the flag").click()
    page.keyboard.press("Enter")
    assert "done=" not in page.url
    page.get_by_label("Reason").fill("came back to us")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("done=withdraw"))
    expect(page.locator("body")).to_contain_text("The flag is withdrawn.")
    assert errors_of(page) == []


@pytest.mark.parametrize(
    ("role", "language", "theme", "size"),
    [
        (Role.HR, "en", "light", NARROW),
        (Role.HR, "zh", "dark", PHONE),
        (Role.ANALYST, "zh", "light", NARROW),
        (Role.ADMINISTRATOR, "en", "dark", NARROW),
    ],
)
def test_every_screen_is_for_everybody(
    company: Site, browsers: Browsers, role: Role, language: str, theme: str, size: dict[str, int]
) -> None:
    page = browsers.page(company, role, language=language, theme=theme, size=size)
    page.goto(f"{company.url}/leavers?scope=all")
    first = page.locator("tr[data-row] a").nth(2).get_attribute("href")
    addresses = ["/leavers?scope=all", f"{first}", "/transparency"]
    if role is not Role.ANALYST:
        addresses += [
            "/leavers/flag?q=e",
            "/leavers/flag?person=E1004",
            "/leavers/import",
            "/leavers/imports/1",
        ]
    if role is Role.ADMINISTRATOR:
        addresses += ["/transparency/assessment"]
    for address in addresses:
        answer = page.goto(company.url + address)
        assert answer is not None
        assert answer.ok, address
        name = re.sub(r"\W+", "-", address.strip("/"))
        picture(page, f"leavers-{role}-{name}-{language}-{theme}-{size['width']}", full=True)
        assert bars_to_people(page) == [], address
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address
    assert errors_of(page) == []


def test_the_list_is_walked_with_j_and_k(company: Site, browsers: Browsers) -> None:
    page = browsers.page(company, Role.HR, size=NARROW)
    page.goto(f"{company.url}/leavers")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/leavers/E1003")
    assert errors_of(page) == []
