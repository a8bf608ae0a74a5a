"""The alert's page over HTTP: it says all of the alert, and nobody's name before it is unmasked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import msgspec
import pytest
from sqlalchemy import delete, select, update

from server import audit
from server.alerts.queries import Verdict, close_alert
from server.people.facts_store import load_facts, write_facts
from server.people.pseudonyms import known_pseudonyms
from server.people.roles import Role
from server.people.unmaskings import UNMASKED_MS
from server.store.tables import alert_notes, alerts, event_blocks, person_names
from tests.server.alerts.recorded_leak import NOW, SECRETS
from tests.server.console.site import Site

pytestmark = pytest.mark.databases("sqlite")
_KEY = re.compile(r'<tr data-key="([^"]+)"')


def _names_in(answer: httpx.Response) -> list[str]:
    """Of the company's people, in body or headers."""
    told = f"{answer.text}\n{answer.headers!r}".casefold()
    return [word for word in SECRETS if word.casefold() in told]


def _pseudonym(site: Site, subject: str = "person:E1007") -> str:
    with site.database.read() as connection:
        return known_pseudonyms(connection, [subject])[subject]


def _note(site: Site, text: str) -> None:
    with site.database.begin() as connection:
        row = {"alert": 1, "at": NOW, "actor": "user:omar", "text": text}
        connection.execute(alert_notes.insert().values(row))


def test_no_answer_about_an_alert_names_anybody(site: Site) -> None:
    _note(site, "Alice Wang said that Berta Braun (E1001) asked her; awang@corp.example, alice-laptop-agent")
    client = site.client(Role.ANALYST)
    page = client.get("/alerts/1")
    assert page.status_code == 200
    keys = _KEY.findall(page.text)
    assert len(keys) == 30
    addresses = [
        *("/alerts/1", "/alerts/1?text=customers", "/alerts/1?channel=removable_storage&sure=exact"),
        *("/alerts/1/panel", "/alerts/1/exception"),
        f"/alerts/1/evidence/{keys[0]}",
        *("/alerts/1/evidence/H-000000.00.1", "/alerts/99", "/alerts/1?since=x"),
    ]
    for address in addresses:
        for headers in ({}, {"hx-request": "true"}):
            answer = client.get(address, headers=headers)
            assert answer.status_code < 500, address
            assert _names_in(answer) == [], address
    assert "[name] said that [name] ([name]) asked her; [name]@corp" not in page.text
    assert "said that [name]" in page.text


def test_searching_confirms_no_hidden_name_and_finds_what_is_shown(site: Site) -> None:
    client = site.client(Role.ANALYST)
    for hidden in ("alice", "alice_usb", "4C530001", "wang", "1501"):
        assert "No event of this alert matches" in client.get("/alerts/1", params={"text": hidden}).text, (
            hidden
        )
    found = client.get("/alerts/1", params={"text": "CUSTOMERS-007"}).text
    assert len(_KEY.findall(found)) == 1
    assert len(_KEY.findall(client.get("/alerts/1", params={"text": "cruzer"}).text)) == 30


def test_evidence_is_narrowed_by_time_and_by_what_is_shown_of_places(site: Site) -> None:
    client = site.client(Role.ANALYST)
    part = client.get("/alerts/1", params={"since": NOW + 5_000, "until": NOW + 8_000}).text
    assert [name for name in re.findall(r"customers-\d+", part) if name in ("customers-005", "customers-007")]
    assert len(_KEY.findall(part)) == 3
    assert len(_KEY.findall(client.get("/alerts/1", params={"place": "nowhere"}).text)) == 0


def test_a_raw_record_is_found_by_its_key_alone_and_holds_all_but_names(site: Site) -> None:
    client = site.client(Role.ANALYST)
    key = _KEY.findall(client.get("/alerts/1").text)[3]
    shown = client.get(f"/alerts/1/evidence/{key}")
    assert "customers-003.xlsx" in shown.text
    assert "Cruzer Blade" in shown.text
    assert _names_in(shown) == []
    for wrong in (key.replace(".3", ".300"), "alice-laptop-agent.00112233aabbccdd.3", "%2e%2e", "x" * 500):
        assert client.get(f"/alerts/1/evidence/{wrong}").status_code == 404


def test_a_name_is_shown_to_one_user_for_an_hour_and_hidden_again(site: Site) -> None:
    client, other = site.client(Role.ANALYST), _second(site)
    pseudonym = _pseudonym(site)
    _note(site, "Alice Wang and Berta Braun met")
    form = {"reason": "case 7, Berta Braun asked", "back": "/alerts/1"}
    answer = client.post(f"/people/{pseudonym}/unmask", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts/1")
    named = client.get("/alerts/1").text
    assert "Alice Wang" in named
    assert "Alice Wang and [name] met" in named
    assert "Berta" not in named
    assert f'data-until="{site.clock() + UNMASKED_MS}"' in named
    assert _names_in(other.get("/alerts/1")) == []
    assert _names_in(client.post("/alerts/1/evidence.jsonl")) == [], "what leaves the console names nobody"
    with site.database.read() as connection:
        [row] = [each for each in audit.newest(connection, limit=20) if each.action == "pseudonym.unmask"]
    assert (row.actor, row.object, row.reason) == ("user:analy.one", pseudonym, form["reason"])
    hidden = client.post(f"/people/{pseudonym}/hide", data={"back": "/alerts/1"})
    assert hidden.status_code == 303
    assert _names_in(client.get("/alerts/1")) == []


def test_a_name_hides_itself_after_an_hour(site: Site) -> None:
    client, pseudonym = site.client(Role.ANALYST), _pseudonym(site)
    client.post(f"/people/{pseudonym}/unmask", data={"reason": "x"})
    # A session that is used does not idle out meanwhile.
    for _ in range(2):
        site.clock.now += UNMASKED_MS // 2 - 1
        assert "Alice Wang" in client.get("/alerts/1").text
    site.clock.now += 2
    assert _names_in(client.get("/alerts/1")) == []


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 400),
        ({"reason": "  "}, 400),
        ({"reason": "x" * 1001}, 400),
        ({"reason": "a\0b"}, 400),
        ({"reason": "x", "case": "7 or 1"}, 400),
    ],
)
def test_without_a_proper_reason_no_name_is_shown(site: Site, form: dict[str, str], status: int) -> None:
    client = site.client(Role.ANALYST)
    answer = client.post(f"/people/{_pseudonym(site)}/unmask", data=form)
    assert (answer.status_code, _names_in(answer)) == (status, [])
    assert client.post("/people/E1007/unmask", data={"reason": "x"}).status_code == 404
    assert client.post("/people/P-00000/unmask", data={"reason": "x"}).status_code == 404
    back = {"reason": "x", "back": "https://evil.example/"}
    assert client.post(f"/people/{_pseudonym(site)}/unmask", data=back).headers["location"] == "/"


def test_former_names_stay_hidden(site: Site) -> None:
    with site.database.begin() as connection:
        known = load_facts(connection, ["E1007"])["E1007"]
        changed = msgspec.structs.replace(known, name="Xu Li")
        write_facts(connection, [(known, changed)], at=NOW, actor="cli:hr", way="import")
    _note(site, "that was Alice Wang")
    assert _names_in(site.client(Role.ANALYST).get("/alerts/1")) == []


def test_what_is_not_there_looks_like_what_may_not_be_seen(site: Site) -> None:
    analyst = site.client(Role.ANALYST)
    bodies = {analyst.get(address).text for address in ("/alerts/2", "/alerts/999999999999", "/alerts/0")}
    assert len(bodies) == 1
    for role in (Role.HR, Role.ADMINISTRATOR, Role.AUDITOR):
        client = site.client(role)
        assert client.get("/alerts/1").text == client.get("/alerts/2").text


def test_events_that_retention_took_leave_a_summary(site: Site) -> None:
    client = site.client(Role.ANALYST)
    assert "customers-001.xlsx" in client.get("/alerts/1").text
    with site.database.begin() as connection:
        connection.execute(delete(event_blocks))
    page = client.get("/alerts/1").text
    assert "Raw events are kept 90 days; of this alert the summary alone is left." in page
    assert "customers-001.xlsx" not in page
    assert "Why 87" in page


def test_bars_add_up_to_the_score_and_lead_to_their_evidence(site: Site) -> None:
    page = site.client(Role.ANALYST).get("/alerts/1").text
    points = [int(each) for each in re.findall(r'class="why-points">\+(\d+)<', page)]
    assert sum(points) == 87
    assert 'href="/alerts/1?channel=removable_storage#evidence"' in page


def test_who_saw_and_exported_it_is_on_the_record_and_shown(site: Site) -> None:
    client = site.client(Role.ANALYST)
    client.get("/alerts/1")
    assert client.get("/alerts/1/evidence.jsonl").status_code == 405, "a link takes nothing out"
    lines = client.post("/alerts/1/evidence.jsonl").text.splitlines()
    assert len(lines) == 30
    assert json.loads(lines[0])["names"] == ["customers-000.xlsx"]
    page = client.get("/alerts/1").text
    assert "alert.view" in page
    assert "alert.export" in page


def test_earlier_verdicts_and_similar_alerts_are_told(site: Site) -> None:
    with site.database.begin() as connection:
        close_alert(connection, 1, Verdict.EXPECTED, "Berta Braun's project", "user:omar", NOW + 1)
    _open_another(site)
    page = site.client(Role.ANALYST).get("/alerts/2").text
    assert "1 earlier, closed as allowed business use, the last by omar" in page
    assert "The same person" in page
    closed = site.client(Role.ANALYST).get("/alerts/1")
    assert "[name]&#39;s project" in closed.text
    assert _names_in(closed) == []


def _open_another(site: Site) -> None:
    with site.database.begin() as connection:
        row = dict(connection.execute(select(alerts).where(alerts.c.id == 1)).one()._mapping)
        row |= {
            "id": 2,
            "status": "open",
            "verdict": None,
            "reason": None,
            "closed_at": None,
            "closed_by": None,
        }
        connection.execute(alerts.insert().values(row))


def test_names_with_markup_stay_text(site: Site) -> None:
    with site.database.begin() as connection:
        connection.execute(
            update(person_names)
            .where(person_names.c.person_id == "E1007")
            .values(name="<img src=x onerror=1>\u202e")
        )
        connection.execute(update(alerts).values(sentence={"en": "<script>1</script>", "zh": "…"}))
    _note(site, "<svg onload=1>\u202e" + "x" * 9000)
    client = site.client(Role.ANALYST)
    client.post(f"/people/{_pseudonym(site)}/unmask", data={"reason": "<b>why</b>"})
    page = client.get("/alerts/1").text
    assert "<img src=x" not in page
    assert "<svg onload" not in page
    assert "<script>1" not in page
    assert "&lt;img src=x onerror=1&gt;" in page


def test_five_thousand_events_come_after_the_page_and_in_pages(tmp_path: Path, database_url: str) -> None:
    site = Site(tmp_path, database_url=database_url, leak_files=5000)
    try:
        client = site.client(Role.ANALYST)
        assert "data-evidence-later" in client.get("/alerts/1").text
        part = client.get("/alerts/1/evidence", headers={"hx-request": "true"}).text
        assert len(_KEY.findall(part)) == 200
        assert "1 to 200 of 5000" in part
        last = client.get("/alerts/1?after=4800").text
        assert len(_KEY.findall(last)) == 200
        assert "customers-4999.xlsx" in last
        assert part.count("<circle") < 400
    finally:
        site.close()


def test_an_exception_is_counted_before_it_is_kept(site: Site) -> None:
    client = site.client(Role.ANALYST)
    page = client.get("/alerts/1/exception").text
    # The recorded leak's rule is no rule of this installation.
    assert "rests on no policy that is still there" in page
    answer = client.post(
        "/alerts/1/exception", data={"rule": "x", "person": "on", "reason": "y", "do": "keep"}
    )
    assert answer.status_code == 400


def _second(site: Site) -> httpx.Client:
    site.add_user("mira", Role.ANALYST)
    return site.client(Role.ANALYST, user="mira")


def test_programs_read_an_alert_and_its_evidence_without_names(site: Site) -> None:
    client = site.client(Role.ANALYST)
    client.post(f"/people/{_pseudonym(site)}/unmask", data={"reason": "x"})
    found = client.get("/api/v1/alerts/1")
    assert (found.status_code, _names_in(found)) == (200, [])
    told = found.json()
    assert (sum(part["points"] for part in told["parts"]), told["standing"]) == (87, "new")
    part = client.get("/api/v1/alerts/1/evidence", params={"text": "customers-00", "sure": "exact"})
    assert (part.status_code, _names_in(part)) == (200, [])
    assert (part.json()["total"], part.json()["next"], part.json()["signatures_hold"]) == (10, None, True)
    for wrong in ({"sure": "perhaps"}, {"nothing": "x"}, {"after": "-1"}, {"text": "x" * 201}):
        assert client.get("/api/v1/alerts/1/evidence", params=wrong).status_code == 400
    assert client.get("/api/v1/alerts/9").status_code == 404
