"""Judging alerts over HTTP: each verb by form, by module and by program."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import select, update

from server import audit
from server.alerts.history import history_of
from server.alerts.queries import REASON_CHARACTERS, get_alert
from server.console.phrases import chinese
from server.console.snooze_times import snooze_until
from server.console.triage_told import DONE
from server.people.pseudonyms import give_pseudonyms
from server.people.roles import Role
from server.store.tables import alert_notes, alerts, cases
from server.triage.outcome import BULK_MAX, MESSAGES
from tests.server.alerts.recorded_leak import SECRETS, open_alert
from tests.server.console.site import HOUR, USERS, Site

pytestmark = pytest.mark.databases("sqlite")
OMAR = USERS[Role.ANALYST]


@pytest.fixture
def client(site: Site) -> httpx.Client:
    """Of an analyst. Beside the recorded leak there are alerts 2 and 3."""
    for number in (2, 3):
        open_alert(site.database, events=1, subject=f"person:p{number}", alert_id=number, score=60)
    opened = site.client(Role.ANALYST)
    opened.headers.update({"accept": "application/json", "hx-request": "true"})
    return opened


def post(client: httpx.Client, verb: str, *ids: int, **values: object) -> httpx.Response:
    return client.post(f"/alerts/{verb}", data={"ids": list(map(str, ids)), **values})


def test_each_verb_changes_and_is_undone(site: Site, client: httpx.Client) -> None:
    def state() -> list[tuple[Any, ...]]:
        at = alerts.c
        columns = [column for column in at if column.name not in ("triage_version", "updated_at")]
        with site.database.read() as connection:
            return [tuple(map(str, row)) for row in connection.execute(select(*columns).order_by(at.id))]

    before = state()
    values: dict[str, dict[str, str]] = {
        "assign": {"owner": "me"},
        "snooze": {"until": "tomorrow"},
        "merge": {"into": "1"},
        "close": {"verdict": "expected", "reason": "a release"},
    }
    for verb, form in values.items():
        answer = post(client, verb, 2, 3, **form)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["verb"], told["done"], told["refused"]) == (verb, [2, 3], [])
        assert state() != before
        undone = client.post("/alerts/undo", data={"group": told["group"]})
        assert (undone.status_code, undone.json()["message"]) == (200, "Undone for 2 alerts")
        assert state() == before
    for first, second in (("snooze", "wake"), ("merge", "unmerge"), ("close", "reopen")):
        assert post(client, first, 2, **values[first]).status_code == 200
        assert post(client, second, 2).json()["done"] == [2]
        assert state() == before


def test_the_second_of_two_analysts_is_told_who_closed_it(site: Site, client: httpx.Client) -> None:
    site.add_user("eve", Role.ANALYST)
    eve = site.client(Role.ANALYST, user="eve")
    eve.headers.update({"accept": "application/json", "hx-request": "true"})
    assert post(eve, "close", 1, verdict="false", reason="a test").status_code == 200
    answer = post(client, "close", 1, verdict="confirmed", reason="a leak")
    assert answer.status_code == 409
    assert answer.json()["error"] == "Alert 1 was closed by eve as false alarm."
    with site.database.read() as connection:
        assert get_alert(connection, 1).verdict == "false"
        assert history_of(connection, 1)[0].actor == "user:eve"


def test_what_cannot_be_done_is_listed_and_the_rest_is_done(client: httpx.Client) -> None:
    told = post(client, "assign", 1, 99, 2, owner="me").json()
    assert (told["done"], told["refused"]) == (
        [1, 2], [{"id": 99, "why": "unknown", "message": "There is no alert 99."}],
    )  # fmt: skip


def test_a_change_over_somebody_elses_is_refused(client: httpx.Client) -> None:
    post(client, "assign", 1, owner="me")
    answer = post(client, "assign", 1, owner="", seen="1:0")
    assert (answer.status_code, answer.json()["reason"]) == (409, "changed")
    assert post(client, "assign", 1, owner="", seen="1:1").status_code == 200


@pytest.mark.parametrize(
    ("verb", "values", "reason"),
    [
        ("close", {"verdict": "expected", "reason": "  "}, "no_words"),
        ("close", {"verdict": "nonsense", "reason": "a"}, "bad_verdict"),
        ("close", {"verdict": "false", "reason": "x" * (REASON_CHARACTERS + 1)}, "too_long"),
        ("close", {"verdict": "false", "reason": "泄" * 10_000}, "too_long"),
        ("close", {"verdict": "false", "reason": "a\x00b"}, "unstorable"),
        ("note", {"text": ""}, "no_words"),
        ("snooze", {"until": "yesterday"}, "bad_time"),
        ("snooze", {"until": "2001-01-01T00:00"}, "bad_time"),
        ("assign", {"owner": "nobody"}, "bad_owner"),
        ("assign", {"owner": USERS[Role.HR]}, "bad_owner"),
        ("merge", {"into": "x"}, "bad_number"),
        ("merge", {"into": "99"}, "unknown"),
        ("undo", {"group": "99"}, "cannot_undo"),
        ("escalate", {"case": "99"}, "unknown_case"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_words(
    client: httpx.Client, verb: str, values: dict[str, str], reason: str
) -> None:
    answer = post(client, verb, 1, **values)
    assert answer.status_code in (400, 409)
    assert answer.json()["reason"] == reason
    assert answer.json()["error"]


@pytest.mark.parametrize("ids", [[], ["x"], ["-1"], ["9" * 19], ["1"] * (BULK_MAX + 1)])
def test_alerts_that_are_none_or_too_many_are_refused(client: httpx.Client, ids: list[str]) -> None:
    assert client.post("/alerts/wake", data={"ids": ids}).status_code == 400


def test_escalated_alerts_are_in_a_case(client: httpx.Client) -> None:
    first = post(client, "escalate", 1, title="Customer lists").json()
    assert (first["done"], first["case"]) == ([1], 1)
    assert post(client, "escalate", 2, case="1").json()["case"] == 1


def test_a_piece_of_page_has_the_button_that_undoes(client: httpx.Client) -> None:
    client.headers["accept"] = "text/html"
    answer = post(client, "assign", 1, 99, owner="me")
    assert 'action="/alerts/undo"' in answer.text
    assert "There is no alert 99." in answer.text
    back = post(client, "assign", 1, owner="", back="/alerts?status=open")
    assert back.headers["hx-redirect"] == "/alerts?status=open"
    del client.headers["hx-request"]
    assert post(client, "assign", 1, owner="me", back="//elsewhere").headers["location"] == "/"
    refused = post(client, "reopen", 1)
    assert (refused.status_code, "not closed" in refused.text) == (409, True)


def test_programs_judge_with_their_own_numbers(site: Site, client: httpx.Client) -> None:
    del client.headers["hx-request"]
    body = {"alerts": [1, 2], "verdict": "expected", "reason": "a release", "versions": {"1": 0}}
    told = client.post("/api/v1/alerts/close", json=body)
    assert (told.status_code, told.json()["done"]) == (200, [1, 2])
    again = client.post("/api/v1/alerts/close", json=body)
    assert (again.status_code, again.json()["reason"]) == (409, "closed")
    undone = client.post("/api/v1/alerts/undo", json={"group": told.json()["group"]})
    assert undone.json()["done"] == [1, 2]
    until = site.clock() + HOUR
    for verb, more in (
        ("assign", {"owner": "me"}),
        ("snooze", {"until": until}),
        ("wake", {}),
        ("merge", {"into": 3}),
        ("unmerge", {}),
        ("note", {"text": "asked"}),
    ):
        answer = client.post(f"/api/v1/alerts/{verb}", json={"alerts": [1], **more})
        assert (answer.status_code, answer.json().get("done")) == (200, [1]), answer.text
    assert client.post("/api/v1/alerts/wake", json={"alerts": [1], "more": 1}).status_code == 400


def test_answers_name_nobody(site: Site, client: httpx.Client) -> None:
    typed = "asked Berta Braun about alice"
    answers = [
        post(client, "note", 1, text=typed),
        post(client, "close", 1, verdict="expected", reason=typed),
        post(client, "close", 1, verdict="expected", reason=typed),
        post(client, "escalate", 2, title=typed),
    ]
    for answer in answers:
        assert not [word for word in SECRETS if word.lower() in answer.text.lower()], answer.text
    with site.database.read() as connection:
        assert connection.execute(select(alert_notes.c.text)).scalar() == typed


def test_all_that_is_told_is_there_in_chinese() -> None:
    assert [words for words in (*MESSAGES.values(), *DONE.values()) if words not in chinese()] == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1h", "2026-11-22T02:00:00+00:00"),
        ("tomorrow", "2026-11-23T01:00:00+00:00"),
        ("week", "2026-11-29T01:00:00+00:00"),
        ("2026-11-24T09:30", "2026-11-24T01:30:00+00:00"),
        ("2026-11-24T09:30+00:00", "2026-11-24T09:30:00+00:00"),
        ("1795309200000", "2026-11-22T01:00:00+00:00"),
    ],
)
def test_times_are_the_viewers_own(given: str, expected: str) -> None:
    until = snooze_until(given, 1_795_309_200_000, ZoneInfo("Asia/Shanghai"))
    assert until == int(datetime.fromisoformat(expected).timestamp() * 1000)


@pytest.mark.parametrize("given", ["", "never", "2026-13-01", "1" * 40, "٣"])
def test_what_is_no_time_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        snooze_until(given, 0, ZoneInfo("UTC"))


def test_an_alerts_page_lists_what_was_merged_into_it(client: httpx.Client) -> None:
    assert post(client, "merge", 2, into="1").json()["changed"] == [2, 1]
    del client.headers["hx-request"]
    client.headers["accept"] = "text/html"
    main, part = client.get("/alerts/1").text, client.get("/alerts/2").text
    assert 'href="/alerts/2"' in main
    assert 'value="2:1"' in main
    assert "merged alert 2 into it" in main
    assert "judged with the one that it was merged into:" in part
    assert "Take out of alert 1" in part


def test_what_grew_since_it_was_shown_is_not_closed_unseen(site: Site, client: httpx.Client) -> None:
    shown = re.search(r'data-version="([0-9:]+)"', client.get("/alerts/2/panel").text)
    assert shown is not None
    typed = {"verdict": "expected", "reason": "x", "seen": f"2:{shown[1]}"}
    with site.database.begin() as connection:
        connection.execute(update(alerts).where(alerts.c.id == 2).values(events=507))
    refused = post(client, "close", 2, **typed)
    assert (refused.status_code, refused.json()["reason"]) == (409, "grew")
    assert "1 → 507 events" in refused.json()["error"]
    looked = re.search(r'data-version="([0-9:]+)"', client.get("/alerts/2/panel").text)
    assert looked is not None
    assert post(client, "close", 2, **typed | {"seen": f"2:{looked[1]}"}).json()["done"] == [2]


def test_programs_are_refused_what_grew_since_they_looked(site: Site, client: httpx.Client) -> None:
    del client.headers["hx-request"]
    one = client.get("/api/v1/alerts/2").json()["seen"]
    listed = {row["id"]: row["seen"] for row in client.get("/api/v1/alerts").json()["alerts"]}
    assert listed[2] == one
    with site.database.begin() as connection:
        connection.execute(update(alerts).where(alerts.c.id == 2).values(events=507))
    until = site.clock() + HOUR
    for verb, more in (("close", {"verdict": "expected", "reason": "x"}), ("snooze", {"until": until})):
        body = {"alerts": [2], "seen": {"2": one}, **more}
        refused = client.post(f"/api/v1/alerts/{verb}", json=body)
        assert (refused.status_code, refused.json()["reason"]) == (409, "grew")
        assert "1 → 507 events" in refused.json()["error"]
    # Nobody's task swallows nothing.
    body = {"alerts": [2], "seen": {"2": one}, "owner": "me"}
    assert client.post("/api/v1/alerts/assign", json=body).status_code == 200
    later = client.get("/api/v1/alerts/2").json()["seen"]
    for seen, status in ((one, 409), ("2", 400), ("1:2:3", 400), (later, 200)):
        body = {"alerts": [2], "seen": {"2": seen}, "verdict": "expected", "reason": "x"}
        assert client.post("/api/v1/alerts/close", json=body).status_code == status


def test_a_new_case_needs_a_title(site: Site, client: httpx.Client) -> None:
    refused = post(client, "escalate", 2, title="  ", case="")
    assert (refused.status_code, refused.json()["reason"]) == (400, "no_title")
    assert refused.json()["error"] == "Give the new case a title, or choose a case."
    assert 'name="title" maxlength="200" value="Alert 2" autofocus' in site.client(Role.ANALYST).get(
        "/alerts/2"
    ).text.replace("  ", " ")
    assert post(client, "escalate", 2, title="Alert 2").json()["case"] == 1


def test_cases_that_are_open_are_offered_and_one_that_was_closed_is_refused_in_words(
    site: Site, client: httpx.Client
) -> None:
    into = post(client, "escalate", 2, title="Roadmap to quillfeather").json()["case"]
    page = site.client(Role.ANALYST).get("/alerts").text
    assert f'<option value="{into}">{into} · Roadmap to ' in page
    assert f'<option value="{into}">' in site.client(Role.ANALYST).get("/alerts/review").text
    with site.database.begin() as connection:
        values = {"status": "closed", "outcome": "confirmed", "closed_by": "eve", "closed_at": 1}
        connection.execute(update(cases).values(**values))
    assert f'<option value="{into}">' not in site.client(Role.ANALYST).get("/alerts").text
    refused = post(client, "escalate", 3, case=into)
    assert refused.status_code == 409
    assert refused.json()["error"] == "It was closed as confirmed leak by eve. Reopen it first."


def test_what_is_followed_is_found_and_marked_for_who_follows_it(site: Site, client: httpx.Client) -> None:
    del client.headers["hx-request"]
    assert post(client, "follow", 2).json()["message"] == "1 alert followed"
    page = site.client(Role.ANALYST)
    listed = page.get("/alerts?following=1").text
    assert re.findall(r'<tr id="a(\d+)"', listed) == ["2"]
    assert 'data-followed="alert"' in listed
    assert "★ Following" in page.get("/alerts/2").text
    answer = client.get("/api/v1/alerts?following=true").json()
    assert [(row["id"], row["followed"]) for row in answer["alerts"]] == [(2, "alert")]
    site.add_user("eve", Role.ANALYST)
    eve = site.client(Role.ANALYST, user="eve")
    assert "<tr id=" not in eve.get("/alerts?following=1").text
    told = client.post("/api/v1/alerts/unfollow", json={"alerts": [2]}).json()
    assert (told["done"], told["group"]) == ([2], None)
    # A person, and so the alerts of theirs.
    with site.database.begin() as connection:
        give_pseudonyms(connection, ["person:p3"])
    pseudonym = next(r["pseudonym"] for r in client.get("/api/v1/alerts").json()["alerts"] if r["id"] == 3)
    assert page.post(f"/people/{pseudonym}/follow", data={"following": "1"}).status_code == 303
    assert "★ Following" in page.get(f"/people/{pseudonym}").text
    assert re.findall(r'<tr id="a(\d+)"', page.get("/alerts?following=1").text) == ["3"]
    body = {"following": False}
    gone = client.post(f"/api/v1/people/{pseudonym.lower()}/follow", json=body)
    assert gone.json() == {"pseudonym": pseudonym, "following": False}
    assert client.post("/api/v1/people/P-00000/follow", json=body).status_code == 404
    assert "<tr id=" not in page.get("/alerts?following=1").text
    with site.database.read() as connection:
        told_of = [(e.action, e.object) for e in audit.newest(connection, limit=30)]
    assert ("person.follow", f"person:{pseudonym}") in told_of


def test_ones_own_note_is_withdrawn_from_the_alerts_page_for_ten_minutes(
    site: Site, client: httpx.Client
) -> None:
    del client.headers["hx-request"]
    group = post(client, "note", 2, text="about the wrong one").json()["group"]
    page, eve = site.client(Role.ANALYST), None
    assert "Withdraw the note" in page.get("/alerts/2").text
    site.add_user("eve", Role.ANALYST)
    eve = site.client(Role.ANALYST, user="eve")
    assert "Withdraw the note" not in eve.get("/alerts/2").text
    assert client.post("/alerts/undo", data={"group": group}).json()["done"] == [2]
    shown = page.get("/alerts/2").text
    assert "about the wrong one" not in shown
    assert "withdrew a note" in shown
    told = client.post("/alerts/undo", data={"group": group})
    assert (told.status_code, told.json()["error"]) == (409, "the note is withdrawn already")
    post(client, "note", 2, 3, text="a later one")
    assert "Withdraw the note from all 2 alerts" in page.get("/alerts/2").text
    site.clock.now += 601_000
    assert "Withdraw the note" not in page.get("/alerts/2").text
