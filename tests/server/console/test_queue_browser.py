"""The analyst's daily work in a browser: keys, closing, undo, others' changes, a session that ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete, select, update

from server.accounts.invitations import invite
from server.accounts.users import set_look
from server.people.roles import Role
from server.store.tables import alerts, console_sessions
from tests.server.accounts.doors import PASSWORD
from tests.server.alerts.queue.full_queue import full_queue
from tests.server.console.browser import PHONE, Browsers, bars_to_people, errors_of, picture
from tests.server.console.site import USERS, Site

pytestmark = pytest.mark.databases("sqlite")
COUNT = 130


_WAITS_OF_KEYS = """() => {
  const waits = [], own = window.setTimeout;
  window.setTimeout = (what, ms, ...more) => { waits.push(ms); return own(what, ms, ...more); };
  const press = () => document.body.dispatchEvent(
    new KeyboardEvent("keydown", { key: "j", bubbles: true, cancelable: true }));
  press(); press();
  window.setTimeout = own;
  return waits;
}"""


@pytest.fixture
def full(tmp_path: Path, database_url: str) -> Iterator[Site]:
    opened = Site(tmp_path, database_url=database_url, leak_files=0)
    full_queue(opened.database, count=COUNT, people=60)
    yield opened
    opened.close()


def queue(browsers: Browsers, site: Site, address: str = "/alerts", **options: object) -> Page:
    page = browsers.page(site, Role.ANALYST, **options)
    page.goto(site.url + address)
    expect(page.locator("tr.here")).to_have_count(1)
    return page


def here(page: Page) -> str:
    found = page.locator("tr.here").get_attribute("data-id")
    assert found is not None
    return found


def stored(site: Site, alert: str, column: str) -> object:
    with site.database.read() as connection:
        return connection.execute(select(alerts.c[column]).where(alerts.c.id == int(alert))).scalar()


def test_a_known_benign_alert_is_dismissed_in_three_keys_and_undone_with_one(
    browsers: Browsers, full: Site
) -> None:
    page = queue(browsers, full)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    alert = here(page)
    expect(page.locator(f"#panel [data-alert='{alert}'], #panel [data-panel='{alert}']")).to_be_visible()
    pressed = ("e", "2", "Enter")
    for key in pressed:
        page.keyboard.press(key)
    expect(page.locator(f"#a{alert}")).to_have_count(0)
    assert len(pressed) == 3
    assert (stored(full, alert, "status"), stored(full, alert, "verdict")) == ("closed", "expected")
    assert stored(full, alert, "reason") == "Allowed business use."
    assert here(page) != alert
    expect(page.locator("[data-count]")).to_have_text(f"{COUNT - 1} alerts")
    page.keyboard.press("z")
    expect(page.locator(f"#a{alert}")).to_have_count(1)
    assert here(page) == alert
    assert stored(full, alert, "status") == "open"
    assert errors_of(page) == []


def test_filters_stand_in_the_address_and_back_leads_back(browsers: Browsers, full: Site) -> None:
    page = queue(browsers, full)
    page.select_option("[name=channel]", "mail")
    page.wait_for_url("**/alerts?channel=mail")
    page.keyboard.press("/")
    page.keyboard.type("mailed", delay=5)
    page.wait_for_url("**text=mailed**")
    assert page.locator("input[name=text]").input_value() == "mailed"
    page.keyboard.press("Escape")
    page.goto(full.url + "/alerts?severity=critical")
    assert page.locator("[name=severity][value=critical]").is_checked()
    page.goto(full.url + "/alerts?text=zzzz")
    expect(page.get_by_text("No alerts match")).to_be_visible()
    page.go_back()
    page.go_back()
    assert "channel=mail" in page.url
    assert errors_of(page) == []


def test_several_are_closed_at_once_and_those_that_could_not_be_are_named(
    browsers: Browsers, full: Site
) -> None:
    page = queue(browsers, full)
    page.route("**/alerts/live*", lambda route: route.abort())
    page.keyboard.press("x")
    page.keyboard.press("Shift+J")
    page.keyboard.press("Shift+J")
    expect(page.locator("#bulk")).to_contain_text("3 chosen")
    chosen = page.locator("tr.picked").evaluate_all("rows => rows.map(row => row.dataset.id)")
    with full.database.begin() as connection:
        values = {"status": "closed", "verdict": "false", "closed_by": "user:eve", "closed_at": full.clock()}
        connection.execute(update(alerts).where(alerts.c.id == int(chosen[1])).values(values))
    page.keyboard.press("e")
    for key in ("3", "Enter"):
        page.keyboard.press(key)
    refused = page.locator("#bulk [data-refused]")
    expect(refused).to_contain_text(f"Not done: {chosen[1]}")
    expect(refused).to_contain_text("eve")
    expect(page.locator("#toasts")).to_contain_text("2 alerts closed")
    assert {stored(full, each, "verdict") for each in chosen} == {"false"}
    assert errors_of(page) == []


def test_what_is_new_waits_and_what_others_change_is_changed_in_place(browsers: Browsers, full: Site) -> None:
    page = queue(browsers, full)
    expect(page.locator("p[data-live]")).to_have_attribute("data-live", "on")
    before = here(page)
    shown = set(page.locator("tr[data-id]").evaluate_all("rows => rows.map(row => row.dataset.id)"))
    other = next(each for each in shown if each != before)
    lowest = max(set(range(1, COUNT + 1)) - {int(each) for each in shown})
    with full.database.begin() as connection:
        changed = {"owner": "eve", "triage_version": alerts.c.triage_version + 1}
        connection.execute(update(alerts).where(alerts.c.id == int(other)).values(changed))
        risen = {"score": 100, "updated_at": full.clock()}
        connection.execute(update(alerts).where(alerts.c.id == lowest).values(risen))
    expect(page.locator(f"#a{other}")).to_contain_text("eve")
    pill = page.locator("[data-fresh]")
    expect(pill).to_have_text("1 new ↑")
    assert here(page) == before
    assert page.locator(f"#a{lowest}").count() == 0
    page.keyboard.press(".")
    expect(page.locator(f"#a{lowest}")).to_be_visible()
    expect(pill).to_be_hidden()
    assert here(page) == before
    assert errors_of(page) == []


def test_a_change_between_page_and_stream_is_not_lost(browsers: Browsers, full: Site) -> None:
    page = browsers.page(full, Role.ANALYST)

    def late(route: object) -> None:
        with full.database.begin() as connection:
            values = {"owner": "late", "triage_version": 7}
            connection.execute(update(alerts).where(alerts.c.id == 1).values(values))
        route.continue_()  # type: ignore[attr-defined]

    page.route("**/alerts/live*", late)
    page.goto(full.url + "/alerts?sort=last")
    expect(page.locator("#a1")).to_contain_text("late")


def test_the_second_of_two_analysts_is_told_who_closed_it_and_loses_nothing(
    browsers: Browsers, full: Site
) -> None:
    full.add_user("omar", Role.ANALYST)
    mine, theirs = queue(browsers, full), queue(browsers, full, user="omar")
    alert = here(mine)
    mine.keyboard.press("e")
    mine.keyboard.press("1")
    mine.locator("#close-dialog textarea").fill("I looked at it for an hour")
    for key in ("e", "2", "Enter"):
        theirs.keyboard.press(key)
    expect(theirs.locator(f"#a{alert}")).to_have_count(0)
    expect(mine.locator(f"#a{alert}")).to_contain_text("closed")
    mine.keyboard.press("Control+Enter")
    problem = mine.locator("#close-dialog [data-problem]")
    expect(problem).to_contain_text("omar")
    assert mine.locator("#close-dialog textarea").input_value() == "I looked at it for an hour"
    assert mine.locator("#close-dialog").is_visible()
    assert stored(full, alert, "verdict") == "expected"
    assert errors_of(mine) == errors_of(theirs) == []


def test_enter_twice_posts_once(browsers: Browsers, full: Site) -> None:
    page = queue(browsers, full)
    posts: list[str] = []

    def slow(route: object) -> None:
        posts.append("close")
        page.wait_for_timeout(150)
        route.continue_()  # type: ignore[attr-defined]

    page.route("**/alerts/close", slow)
    for key in ("e", "2", "Enter", "Enter", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#toasts")).to_contain_text("1 alert closed")
    assert posts == ["close"]


def test_a_session_that_ends_in_the_middle_of_closing_loses_nothing(browsers: Browsers, full: Site) -> None:
    with full.database.begin() as connection:
        token = invite(connection, USERS[Role.ANALYST], now=full.clock(), actor="test")
    full.client(None).post("/invited", data={"token": token, "password": PASSWORD, "again": PASSWORD})
    page = queue(browsers, full)
    alert = here(page)
    page.keyboard.press("e")
    page.keyboard.press("1")
    page.locator("#close-dialog textarea").fill("typed before the session ended")
    with full.database.begin() as connection:
        connection.execute(delete(console_sessions))
    page.keyboard.press("Control+Enter")
    again = page.locator("#sign-in-again")
    expect(again).to_be_visible()
    again.locator("[name=password]").fill(PASSWORD)
    again.locator("[name=password]").press("Enter")
    expect(page.locator("#toasts")).to_contain_text("1 alert closed")
    assert stored(full, alert, "reason") == "typed before the session ended"


def test_typed_text_in_the_panel_comes_back_and_the_panel_stays_where_it_was(
    browsers: Browsers, full: Site
) -> None:
    page = queue(browsers, full)
    expect(page.locator("#panel h2")).to_be_visible()
    page.evaluate(
        "() => { const field = document.createElement('textarea'); field.name = 'note';"
        " document.getElementById('panel').append(field); field.value = 'half a note'; }"
    )
    page.keyboard.press("j")
    page.wait_for_timeout(400)
    assert page.locator("#panel textarea[name=note]").count() == 0
    assert page.evaluate("() => document.activeElement.tagName") == "BODY"


def test_review_shows_the_worst_and_then_the_next(browsers: Browsers, full: Site) -> None:
    page = browsers.page(full, Role.ANALYST)
    page.goto(full.url + "/alerts/review")
    first = page.locator("[data-review]").get_attribute("data-id")
    for key in ("e", "2", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("[data-review]")).not_to_have_attribute("data-id", str(first))
    expect(page.locator(".progress")).to_contain_text("1 closed today")
    second = page.locator("[data-review]").get_attribute("data-id")
    page.keyboard.press("n")
    expect(page.locator("[data-review]")).not_to_have_attribute("data-id", str(second))
    picture(page, "review")
    with full.database.begin() as connection:
        connection.execute(
            update(alerts).values(status="closed", closed_at=full.clock(), updated_at=full.clock())
        )
    page.goto(full.url + "/alerts/review")
    expect(page.locator("[data-empty]")).to_contain_text(f"Queue clear. {COUNT} closed today")
    assert errors_of(page) == []


def test_single_letters_can_be_switched_off(browsers: Browsers, full: Site) -> None:
    context = browsers.context(full, Role.ANALYST)
    with full.database.begin() as connection:
        set_look(
            connection, USERS[Role.ANALYST], language="en", theme="light", time_zone="UTC", single_keys=False
        )
    page = context.new_page()
    page.goto(full.url + "/alerts")
    before = here(page)
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.wait_for_timeout(200)
    assert here(page) == before
    assert not page.locator("#close-dialog").is_visible()


def test_a_number_leads_to_its_alert(browsers: Browsers, full: Site) -> None:
    page = queue(browsers, full)
    page.keyboard.press("Control+k")
    page.locator("#jump input").fill("17")
    expect(page.locator("#jump-found a")).to_have_text(["Alert#17"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/alerts/17")


@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("zh", "dark")])
def test_nothing_bars_anybody(browsers: Browsers, full: Site, language: str, theme: str) -> None:
    page = queue(browsers, full, language=language, theme=theme)
    page.keyboard.press("x")
    picture(page, f"queue_{language}_{theme}")
    assert bars_to_people(page) == []
    page.keyboard.press("e")
    assert bars_to_people(page) == []
    picture(page, f"queue_close_{language}_{theme}")
    for address in ("/alerts/review", "/alerts/below", "/alerts?text=zzzz"):
        page.goto(full.url + address)
        assert bars_to_people(page) == [], address
    assert errors_of(page) == []


def test_the_queue_can_be_read_on_a_phone(browsers: Browsers, full: Site) -> None:
    page = queue(browsers, full, size=PHONE)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    picture(page, "queue_phone")
    assert bars_to_people(page) == []


def test_an_open_page_says_anew_how_long_ago_it_was_and_what_it_cannot_show(
    browsers: Browsers, full: Site
) -> None:
    page = browsers.page(full, Role.ANALYST)
    page.clock.install()
    page.goto(full.url + "/alerts")
    shown = page.locator("time[data-relative]").first
    before = shown.inner_text()
    page.clock.fast_forward("03:00:00")
    expect(shown).not_to_have_text(before)
    page.route("**/panel", lambda route: route.abort())
    page.keyboard.press("j")
    page.clock.fast_forward("00:01")
    expect(page.locator("#panel .problem")).to_contain_text(f"Alert {here(page)} cannot be shown now")


def test_one_key_is_followed_by_the_panel_at_once_and_a_held_one_passes_by(
    browsers: Browsers, full: Site
) -> None:
    page = queue(browsers, full)
    page.wait_for_timeout(200)
    assert page.evaluate(_WAITS_OF_KEYS) == [0, 90]
    alert = here(page)
    expect(page.locator(f"#panel [data-alert='{alert}'], #panel [data-panel='{alert}']")).to_be_visible()
    page.context.close()
