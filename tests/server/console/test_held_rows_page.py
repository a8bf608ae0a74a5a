"""A file that brings other people under known ids: HR sees both names, and nobody unconfirmed comes in."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from server.people.facts_store import load_facts
from server.people.roles import Role
from tests.server.console.site import Site
from tests.server.leavers.company import make_company

pytestmark = pytest.mark.databases("sqlite")
OTHER = "id,name,accounts\nE1007,Anna Weber,anna\nE1005,Fang Tiande-Li,fangtd\nN1,Nia New,nia\n"


@pytest.fixture
def company(site: Site) -> Iterator[Site]:
    make_company(site.database)
    yield site


def _brought(client: httpx.Client) -> tuple[str, str]:
    answer = client.post("/leavers/import", files={"file": ("staff.csv", OTHER.encode())})
    place = answer.headers["location"]
    return place, client.get(place).text


def _said(client: httpx.Client, place: str, field: str) -> str:
    client.post(f"{place}/read", data={"part": "meant", "field": field, "meant": "yes"})
    return client.get(place).text


def _take_over(client: httpx.Client, place: str, page: str) -> httpx.Response:
    version = re.search(r'name="version" value="(\d+)"', page)
    assert version, page
    return client.post(f"{place}/apply", data={"version": version[1]})


def _names(site: Site) -> dict[str, str | None]:
    with site.database.read() as connection:
        return {person.id: person.name for person in load_facts(connection).values()}


def test_it_is_held_with_both_names_until_somebody_says_that_they_are_the_same(company: Site) -> None:
    client = company.client(Role.HR)
    place, page = _brought(client)
    assert "/apply" not in page
    assert "1 known id comes with another name" in page
    held = page.partition('id="others"')[2].partition("</section>")[0]
    assert re.findall(r'<b class="name">([^<]+)</b>', held) == ["Bai Suzhen", "Anna Weber"]
    assert "Nothing of these rows is taken over" in held
    # Who keeps an account is no question: the new name is a change like others.
    assert '<del class="name">Fang Tiande</del> → <ins class="name">Fang Tiande-Li</ins>' in page
    page = _said(client, place, "same_people")
    assert "You said that they are the same people" in page
    assert "Take over 3 people" in page
    assert _take_over(client, place, page).status_code == 303
    assert _names(company)["E1007"] == "Anna Weber"


def test_left_out_it_is_counted_and_the_rest_is_in(company: Site) -> None:
    client = company.client(Role.HR)
    place, _ = _brought(client)
    page = _said(client, place, "skip_bad_rows")
    assert "Take over 2 people" in page
    assert "1 bad row is left out" in page
    assert "Nothing of these rows is taken over" in page
    _take_over(client, place, page)
    names = _names(company)
    assert (names["E1007"], names["E1005"], names["N1"]) == ("Bai Suzhen", "Fang Tiande-Li", "Nia New")


def test_analysts_see_nothing_of_it(company: Site) -> None:
    place, _ = _brought(company.client(Role.HR))
    assert company.client(Role.ANALYST).get(place).status_code == 403
