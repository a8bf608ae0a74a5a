"""No analyst and no auditor sees a name, account, host or home of anybody who was not unmasked for them.

Walks every screen and every call that answers them, over the sample company, and looks for whatever names its
sixty people: in pages, in JSON, in headers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from server.console.api_calls import call_page
from server.console.app import API
from server.console.page import Open
from server.people.roles import Role, may
from server.store.database import open_database, upgrade
from tests.server.console.company import CompanySite
from tests.server.console.screens import filled, screens

pytestmark = [pytest.mark.databases("sqlite"), pytest.mark.long, pytest.mark.timeout(600)]


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


def naming(company: CompanySite) -> re.Pattern[str]:
    """Whatever names one of the people; whole words, so that nothing short is found within another one."""
    words = set()
    for person in company.people:
        words |= {person.id, person.name, person.account, person.host, f"{person.host}-b"}
        words.add(" ".join(reversed(person.name.split())))
    return re.compile(r"(?<![\w-])(" + "|".join(map(re.escape, sorted(words))) + r")(?![\w-])", re.IGNORECASE)


def calls(company: CompanySite, role: Role) -> list[str]:
    """Addresses of the API that answer the role with 200."""
    client = company.client(role)
    found = []
    for call in API:
        page = call_page(call)
        needs = page.needs
        if page.method != "GET" or not (isinstance(needs, Open) or may(role, needs)):
            continue
        address = filled(company, page.path)
        if address is not None and client.get(address).status_code == 200:
            found.append(address)
    return found


@pytest.mark.parametrize("role", [Role.ANALYST, Role.AUDITOR])
def test_nothing_that_is_answered_names_anybody(company: CompanySite, role: Role) -> None:
    names = naming(company)
    client = company.client(role)
    addresses = [*screens(company, role), *calls(company, role)]
    assert len(addresses) >= (12 if role is Role.ANALYST else 3), addresses
    said: dict[str, set[str]] = {}
    for address in addresses:
        answer = client.get(address)
        whole = answer.text + "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        if found := {match[0] for match in names.finditer(whole)}:
            said[address] = found
    assert said == {}


def test_the_names_would_be_found_where_they_are(company: CompanySite) -> None:
    names = naming(company)
    assert names.search(company.client(Role.HR).get("/leavers").text)
    assert names.search(company.client(Role.ADMINISTRATOR).get("/fleet").text)
