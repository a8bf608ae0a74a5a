"""Debian's Chromium, without a window, driven by Playwright; and axe, which finds what bars people."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from server.accounts.session_types import COOKIE
from server.console.phrases import Language
from server.console.rendering import Theme
from server.people.roles import Role
from tests.server.console.site import Site

PATIENCE_MS = 60_000
"""A machine that is busy with other tests may take long; nothing waits for it when all is well."""
expect.set_options(timeout=PATIENCE_MS)

WIDE = {"width": 1440, "height": 860}
NARROW = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
AXE = Path(__file__).parents[3] / ".tools/axe/node_modules/axe-core/axe.min.js"
"""Brought by deploy/prepare.sh tests."""
PICTURES = os.environ.get("LEAVER_PICTURES")
"""A folder that screenshots go to, for people to look at."""


class Browsers:
    """One Chromium for the whole run; each test has contexts of its own."""

    def __init__(self) -> None:
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None

    def _chromium(self) -> Browser:
        if self._browser is None:
            program = shutil.which("chromium")
            if program is None:
                if os.environ.get("CI"):
                    pytest.fail("there is no chromium: deploy/prepare.sh tests installs it")
                pytest.skip("needs Chromium: deploy/prepare.sh tests installs it")
            self._playwright = sync_playwright().start()
            self._browser = self._playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
        return self._browser

    def context(
        self,
        site: Site,
        role: Role | None,
        *,
        user: str | None = None,
        language: Language = "en",
        theme: Theme = "light",
        size: dict[str, int] | None = None,
        time_zone: str = "UTC",
    ) -> BrowserContext:
        """Signed in as somebody of the role. The page's clock stands where the site's stands at first."""
        opened = self._chromium().new_context(
            ignore_https_errors=True,
            viewport=size or WIDE,  # type: ignore[arg-type]
            locale="zh-CN" if language == "zh" else "en-GB",
            color_scheme="dark" if theme == "dark" else "light",
            timezone_id=time_zone,
        )
        opened.set_default_timeout(PATIENCE_MS)
        if role is not None:
            site.choose_look(role, user=user, language=language, theme=theme, time_zone=time_zone)
            value = site.cookie(role, user=user)
            opened.add_cookies([{"name": COOKIE, "value": value, "url": site.url, "secure": True}])
        return opened

    def page(self, site: Site, role: Role | None, **options: Any) -> Page:
        """As `context`, and a page in it whose console's errors fail the test (`errors_of`)."""
        page = self.context(site, role, **options).new_page()
        found: list[str] = []
        page.on("pageerror", lambda error: found.append(str(error)))
        page.on("console", lambda said: found.append(said.text) if said.type == "error" else None)
        page._leaver_errors = found  # type: ignore[attr-defined]
        return page

    def close(self) -> None:
        if self._browser is not None:
            self._browser.close()
        if self._playwright is not None:
            self._playwright.stop()


def errors_of(page: Page) -> list[str]:
    """What scripts complained about, refused scripts and styles among it. Answers that a test provokes
    (401, 404, 409 …) are told as 'Failed to load resource', and are left out."""
    found: list[str] = page._leaver_errors  # type: ignore[attr-defined]
    return [each for each in found if not each.startswith("Failed to load resource")]


def bars_to_people(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA: rule and places."""
    # Through the debugger's own world, which the page's policy does not bind.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    found = page.evaluate(f"axe.run(document, {json.dumps(options)})")
    return [
        f"{each['id']} ({each['impact']}): {[node['target'] for node in each['nodes']][:4]}"
        for each in found["violations"]
    ]


def picture(page: Page, name: str, *, full: bool = False) -> None:
    """Kept only where LEAVER_PICTURES names a folder."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES, f"{name}.png"), full_page=full)
