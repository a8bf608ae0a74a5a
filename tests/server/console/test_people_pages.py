"""The pages of people over HTTPS: what they hold, whom they refuse, no names; and by keys in a browser."""

from __future__ import annotations

import re

import httpx
import pytest
from sqlalchemy import insert, select

from server.people.roles import Role
from server.people.unmaskings import grant
from server.store.tables import audit, channel_days, pseudonyms, subject_agents, subject_places
from tests.server.alerts.recorded_leak import AGENT, DAY, NOW, SECRETS
from tests.server.console.browser import Browsers, bars_to_people, errors_of, picture
from tests.server.console.site import Site

pytestmark = pytest.mark.databases("sqlite")
SUBJECT = "person:E1007"
DAY_MS = 86_400_000
DOTS = "document.querySelectorAll('.chart-scrolls > .chart-lanes circle').length"


def with_months(site: Site) -> str:
    """Half a year of uploads of the leak's person, who goes by what is returned."""
    rows = [
        {
            "subject": SUBJECT,
            "channel": channel,
            "day": day,
            "day_type": "work",
            "bytes": day % 90 * 1_000_000,
            "files": 3,
            "items": 0,
            "new_places": 0,
            "events": 5,
            "first_time": day * DAY_MS,
            "last_time": day * DAY_MS,
        }
        for channel in ("uploads", "removable_storage")
        for day in range(DAY - 180, DAY + 1, 3)
    ]
    place = {"subject": SUBJECT, "channel": "uploads", "place": "remote:alice.wang@mail.example"}
    seen = {"subject": SUBJECT, "agent": AGENT, "first_time": NOW - 90 * DAY_MS}
    with site.database.begin() as connection:
        connection.execute(insert(channel_days), rows)
        connection.execute(insert(subject_agents).values(seen))
        connection.execute(insert(subject_places).values(place | {"first_time": NOW, "last_time": NOW}))
    return known_as(site, SUBJECT)


def known_as(site: Site, subject: str) -> str:
    site.client(Role.ANALYST).get("/people")
    with site.database.read() as connection:
        query = select(pseudonyms.c.pseudonym).where(pseudonyms.c.subject == subject)
        return str(connection.execute(query).scalar_one())


def names_nobody(answer: httpx.Response) -> None:
    told = f"{answer.headers} {answer.text}".casefold()
    assert [secret for secret in SECRETS if secret.casefold() in told] == []


def test_no_page_of_people_names_anybody(site: Site) -> None:
    shown = with_months(site)
    client = site.client(Role.ANALYST)
    for address in (
        "/people",
        "/people?text=sales&sort=last_day",
        f"/people/{shown}",
        f"/people/{shown}?months=6&above=1&channel=uploads&until=2026-10-01",
        f"/people/{shown}/activity?months=1",
        f"/people/{shown}/hours?months=1",
    ):
        answer = client.get(address)
        assert answer.status_code == 200, address
        names_nobody(answer)
    assert "[name]@mail.example" in client.get(f"/people/{shown}").text


def test_the_head_says_when_notice_was_given_and_when_the_last_day_is(site: Site) -> None:
    page = site.client(Role.ANALYST).get(f"/people/{with_months(site)}").text
    assert "Notice given 1 Nov 2026" in page
    assert "last day 28 Nov 2026" in page
    assert "last day in 6 d" in page


@pytest.mark.parametrize("part", ["", "/activity", "/hours"])
def test_a_sight_of_somebody_is_on_the_record_by_pseudonym(site: Site, part: str) -> None:
    shown = with_months(site)
    client = site.client(Role.ANALYST)
    for asked in (shown, shown.lower()):
        client.get(f"/people/{asked}{part}")
    with site.database.read() as connection:
        rows = connection.execute(
            select(audit.c.actor, audit.c.object).where(audit.c.action == "person.view")
        )
        assert [tuple(row) for row in rows] == [("user:analy.one", f"person:{shown}")]


@pytest.mark.parametrize("role", [Role.HR, Role.ADMINISTRATOR, Role.AUDITOR])
def test_a_person_who_may_not_be_seen_is_like_one_who_is_not_there(site: Site, role: Role) -> None:
    shown = with_months(site)
    answers = [site.client(role).get(f"/people/{each}") for each in (shown, "P-XXXXX")]
    assert {answer.status_code for answer in answers} <= {403, 404}
    assert answers[0].text == answers[1].text


@pytest.mark.parametrize("given", ["P-XXXXX", "E1007", "person:E1007", "A-00000", "%00", "P-" + "7" * 400])
def test_who_has_no_such_pseudonym_is_not_found(site: Site, given: str) -> None:
    for part in ("", "/activity", "/hours"):
        assert site.client(Role.ANALYST).get(f"/people/{given}{part}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "months=2&until=x&channel=nothing&above=2",
        "until=9999-12-31",
        "until=0001-01-01",
        "months=6&until=1970-01-01",
        "until=2026-11-22&until=2026-11-23",
        "channel=%00&text=%F0%9F%92%A5",
    ],
)
def test_a_made_up_range_breaks_nothing(site: Site, query: str) -> None:
    shown = with_months(site)
    for part in ("", "/activity", "/hours"):
        assert site.client(Role.ANALYST).get(f"/people/{shown}{part}?{query}").status_code == 200
    assert site.client(Role.ANALYST).get(f"/people?{query}").status_code == 200


def test_a_name_shows_for_whom_it_was_unmasked(site: Site) -> None:
    shown = with_months(site)
    site.add_user("sofia", Role.ANALYST)
    mine, theirs = site.client(Role.ANALYST), site.client(Role.ANALYST, user="sofia")
    with site.database.begin() as connection:
        why = "Berta Braun asked who Alice Wang is"
        grant(connection, shown, actor="user:analy.one", at=site.clock(), reason=why)
    page = mine.get(f"/people/{shown}").text
    assert "Alice Wang" in page
    assert "Berta" not in page
    names_nobody(theirs.get(f"/people/{shown}"))


def test_programs_get_the_same_and_never_a_name(site: Site) -> None:
    shown = with_months(site)
    client = site.client(Role.ANALYST)
    with site.database.begin() as connection:
        grant(connection, shown, actor="user:analy.one", at=site.clock(), reason="to look")
    listed = client.get("/api/v1/people?sort=last_day")
    assert [row["pseudonym"] for row in listed.json()["people"]] == [shown]
    assert listed.json()["people"][0]["employment"]["last_working_day"] == "2026-11-28"
    one = client.get(f"/api/v1/people/{shown}?months=1")
    assert [day["date"] for day in one.json()["risk"]][-1] == "2026-11-22"
    assert [lane["channel"] for lane in one.json()["channels"]] == ["removable_storage", "uploads"]
    assert one.json()["alerts"][0]["id"] == 1
    for answer in (listed, one):
        assert answer.status_code == 200
        names_nobody(answer)
    assert client.get("/api/v1/people/E1007").status_code == 404
    assert client.get("/api/v1/people?months=1").status_code == 400
    assert site.client(Role.HR).get("/api/v1/people").status_code == 403


@pytest.mark.long
def test_a_person_by_keys(site: Site, browsers: Browsers) -> None:
    shown = with_months(site)
    page = browsers.page(site, Role.ANALYST)
    page.goto(f"{site.url}/people")
    page.keyboard.press("j")
    page.keyboard.press("o")
    page.wait_for_url(f"**/people/{shown}")
    page.locator(".chart-hours").wait_for()
    three = page.evaluate(DOTS)
    assert three > 40
    page.keyboard.press("6")
    page.wait_for_url(f"**/people/{shown}?months=6")
    page.wait_for_function(f"{DOTS} > {three}")
    page.keyboard.press("1")
    page.wait_for_url(f"**/people/{shown}?months=1")
    page.wait_for_function(f"{DOTS} < {three}")
    page.keyboard.press("[")
    page.wait_for_url(re.compile(r"until=2026-11-07"))
    page.keyboard.press("]")
    page.wait_for_url(f"**/people/{shown}?months=1")
    page.keyboard.press("c")
    page.wait_for_url(re.compile("channel=removable_storage"))
    page.get_by_role("button", name="Only above usual").click()
    page.wait_for_url(re.compile("above=1"))
    page.go_back()
    page.wait_for_url(re.compile("channel=removable_storage$"))
    picture(page, "person-keys", full=True)
    assert bars_to_people(page) == []
    assert errors_of(page) == []
    page.context.close()
