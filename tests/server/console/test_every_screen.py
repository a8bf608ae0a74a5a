"""Every screen of every role, in light and dark, English and Chinese, wide and on a phone: axe finds nothing
that bars anybody, no script complains, and nothing is wider than the window."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.console.phrases import Language
from server.console.rendering import Theme
from server.people.roles import Role
from server.store.database import open_database, upgrade
from tests.server.console.browser import NARROW, PHONE, Browsers, bars_to_people, errors_of, picture
from tests.server.console.company import CompanySite
from tests.server.console.screens import screens

pytestmark = [pytest.mark.long, pytest.mark.databases("sqlite"), pytest.mark.timeout(900)]
LOOKS: list[tuple[Language, Theme, dict[str, int]]] = [
    ("en", "light", NARROW),
    ("zh", "dark", NARROW),
    ("en", "dark", PHONE),
    ("zh", "light", PHONE),
]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompanySite]:
    folder = tmp_path_factory.mktemp("company")
    url = f"sqlite:///{folder}/leaver.db"
    opened = open_database(url, clock=lambda: 0)
    upgrade(opened)
    opened.close()
    site = CompanySite(folder, database_url=url)
    yield site
    site.close()


@pytest.mark.parametrize("role", [*Role, None])
@pytest.mark.parametrize(("language", "theme", "size"), LOOKS)
def test_nothing_bars_anybody(
    company: CompanySite,
    browsers: Browsers,
    role: Role | None,
    language: Language,
    theme: Theme,
    size: dict[str, int],
) -> None:
    addresses = ["/sign-in", "/transparency"] if role is None else screens(company, role)
    assert addresses
    page = browsers.page(company, role, language=language, theme=theme, size=size)
    barred: dict[str, list[str]] = {}
    for address in addresses:
        answer = page.goto(company.url + address)
        assert answer is not None
        assert answer.ok, address
        name = address.strip("/").replace("/", "-") or "home"
        picture(page, f"{role or 'nobody'}-{name}-{language}-{theme}-{size['width']}", full=True)
        found = bars_to_people(page)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            found.append(f"wider than the window by {wide} px")
        if found:
            barred[address] = found
    assert barred == {}
    assert errors_of(page) == []
    page.context.close()
