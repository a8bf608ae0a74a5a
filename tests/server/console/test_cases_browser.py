"""A leak is escalated to a case, noted, closed; its pack is made, downloaded, verified, changed by one byte,
and the verifier says where. In Chromium, as an analyst does it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from server.evidence_pack.verifier import verify
from server.people.roles import Role
from tests.server.alerts.recorded_leak import SECRETS
from tests.server.console.browser import NARROW, Browsers, bars_to_people, errors_of, picture
from tests.server.console.site import Site

pytestmark = [pytest.mark.long, pytest.mark.databases("sqlite")]


def test_from_an_alert_to_a_pack_that_shows_what_was_changed(
    site: Site, browsers: Browsers, tmp_path: Path
) -> None:
    page = browsers.page(site, Role.ANALYST, size=NARROW)
    page.goto(f"{site.url}/alerts/1")
    page.get_by_role("button", name=re.compile("^Escalate")).first.click()
    page.locator("#escalate input[name=title]").fill("Alice Wang took the customers")
    page.locator("#escalate button.primary").click()
    expect(page.locator("#escalate")).to_be_hidden()

    page.goto(f"{site.url}/cases")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("[name] took the customers")
    # A session that ends while somebody types costs nothing of what they typed.
    page.keyboard.press("n")
    page.keyboard.type("Berta Braun knows of no reason")
    cookies = page.context.cookies()
    page.context.clear_cookies()
    page.get_by_role("button", name="Add the note").click()
    expect(page.locator("#sign-in-again")).to_be_visible()
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    page.evaluate("document.getElementById('sign-in-again').close()")
    expect(page.locator(".case-entries li.note p")).to_have_text("[name] knows of no reason")

    # Where somebody else was faster, it is said where one types, and the text stays.
    version = page.locator("#case-rename input[name=version]")
    page.get_by_role("button", name="Rename…").click()
    version.evaluate("each => { each.value = '77' }")
    page.locator("#case-rename input[name=title]").fill("Another title")
    page.locator("#case-rename button.primary").click()
    expect(page.locator("#case-rename [data-problem]")).to_contain_text("Somebody changed this case")
    expect(page.locator("#case-rename input[name=title]")).to_have_value("Another title")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Make an evidence pack").click()
    download_button = page.get_by_role("button", name="Download")
    download_button.wait_for(timeout=30_000)
    picture(page, "case-with-pack", full=True)
    assert bars_to_people(page) == []
    with page.expect_download() as coming:
        download_button.click()
    assert coming.value.suggested_filename == "leaver-case-1-pack-1.zip"
    pack = tmp_path / "downloaded.zip"
    coming.value.save_as(pack)
    # The page stays as it was, and so does its button.
    page.wait_for_timeout(1600)
    with page.expect_download():
        download_button.click()

    page.locator("summary", has_text="How a pack is checked").click()
    key = re.search(r"--key ([0-9a-f]{64})", page.locator(".pack-check pre").inner_text())
    assert key is not None
    assert verify(str(pack), key[1]).good
    data = bytearray(pack.read_bytes())
    place = data.find(b"evidence.jsonl") + 100
    data[place] ^= 1
    pack.write_bytes(data)
    [found] = verify(str(pack), key[1]).findings
    assert (found.kind, found.file) == ("changed", "evidence.jsonl")
    assert found.line is not None
    assert found.first_byte is not None
    assert found.first_byte <= place <= (found.last_byte or 0)

    page.goto(f"{site.url}/cases/1")
    page.keyboard.press("e")
    page.get_by_label("confirmed leak").check()
    page.locator("#case-close textarea").fill("handed over")
    page.locator("#case-close button.primary").click()
    expect(page.get_by_text("handed over").first).to_be_visible()
    # A digest may hold any four digits.
    said = re.sub(r"\b[0-9a-f]{10,}\b", "", page.locator("body").inner_text().casefold())
    assert [word for word in SECRETS if word.casefold() in said] == []
    assert errors_of(page) == []
    page.context.close()
