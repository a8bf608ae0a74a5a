"""What pages show and programs could not ask for: status, saved views, what is below the line, packs, the
assessment. With the same rights, masks and rows of the audit trail."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from event_schema.leaver_fields import PersonStatus
from server.alerts.below_views import NotAlertedView
from server.alerts.queue.filters import QueueFilter
from server.alerts.queue.saved import save_view
from server.alerts.view_types import Who
from server.cases.changing import open_or_join_case
from server.console.pages import below
from server.evidence_pack.verifier import verify
from server.people.roles import Role
from server.service_tokens import Scope, TokenRole, create_token
from server.store.database import Database
from server.store.tables import audit
from server.supervision import PartState
from tests.server.alerts.recorded_leak import SECRETS
from tests.server.console.site import Site

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def analyst(site: Site) -> httpx.Client:
    return site.client(Role.ANALYST)


@pytest.fixture
def program(site: Site) -> httpx.Client:
    """A token called as the analyst is."""
    with site.database.begin() as connection:
        token = create_token(
            connection,
            "analy.one",
            TokenRole.ANALYST,
            days=1,
            now=site.clock(),
            actor="test",
            scope=Scope.WRITE,
        )
    client = site.client(None)
    client.headers.update({"authorization": f"Bearer {token}", "accept": "application/json"})
    return client


def _case(site: Site) -> int:
    with site.database.begin() as connection:
        return open_or_join_case(connection, [1], actor="user:lin", at=site.clock(), title="A stick").case


def _packs(client: httpx.Client, case: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        told: list[dict[str, Any]] = client.get(f"/api/v1/cases/{case}/packs").json()["packs"]
        if all(each["pack"]["state"] != "running" for each in told):
            return told
        time.sleep(0.1)
    raise TimeoutError(told)


def _record(site: Site, object: str) -> list[tuple[str, str]]:
    query = select(audit.c.action, audit.c.actor).where(audit.c.object == object).order_by(audit.c.seq)
    with site.database.read() as connection:
        return [(row.action, row.actor) for row in connection.execute(query)]


def test_the_status_says_what_the_page_says_and_nothing_of_alerts(site: Site) -> None:
    client = site.client(Role.ADMINISTRATOR)
    site.server.parts["pipeline"] = PartState("stopped", 0, None)
    told = client.get("/api/v1/status").json()
    assert (told["ingest"]["trouble"], told["ingest"]["down"]) == ("pipeline", ["pipeline"])
    assert told["log"]["kind"] == "embedded"
    assert told["at_dt"].endswith("Z")
    assert not [name for name in told if "alert" in name]


def test_a_pack_is_listed_downloaded_and_on_record(site: Site, program: httpx.Client, tmp_path: Path) -> None:
    case = _case(site)
    number = program.post(f"/api/v1/cases/{case}/packs").json()["pack"]
    (told,) = _packs(program, case)
    assert (told["pack"]["id"], told["pack"]["state"], told["progress"]) == (number, "done", None)
    file = program.post(f"/api/v1/packs/{number}/download", json={})
    assert file.headers["content-type"] == "application/zip"
    path = tmp_path / "pack.zip"
    path.write_bytes(file.content)
    key = program.get(f"/api/v1/cases/{case}/packs").json()["key"]
    assert verify(str(path), key).good
    assert _record(site, f"pack:{number}") == [
        ("pack.make", "token:analy.one"),
        ("pack.download", "token:analy.one"),
    ]
    assert program.post(f"/api/v1/packs/{number}/cancel").json() == {"pack": number}
    assert program.post("/api/v1/packs/999/cancel").status_code == 404
    assert program.post("/api/v1/packs/999/download", json={}).status_code == 404


def test_a_pack_with_names_is_for_nobody_who_is_a_program(
    site: Site, analyst: httpx.Client, program: httpx.Client
) -> None:
    case = _case(site)
    analyst.post(f"/cases/{case}/packs", data={"names": "1", "reason": "the court asks about Alice Wang"})
    (told,) = _packs(program, case)
    assert told["pack"]["unmasked"] and told["pack"]["reason"] == "the court asks about [name]"
    refused = program.post("/api/v1/packs/1/download", json={"reason": "I want it"})
    assert (refused.status_code, refused.json()["reason"]) == (403, "forbidden")
    assert analyst.post("/api/v1/packs/1/download", json={}).status_code == 200
    assert [action for action, _ in _record(site, "pack:1")].count("pack.download") == 1


def test_views_are_kept_for_each_alone_also_where_a_token_is_called_as_a_user_is(
    site: Site, analyst: httpx.Client, program: httpx.Client
) -> None:
    with site.database.begin() as connection:
        save_view(
            connection, "analy.one", "Of the user", QueueFilter(leavers=True), actor="user:x", at=site.clock()
        )
    assert program.get("/api/v1/alerts/views").json() == {"views": []}
    body = {"name": " Bad  ones", "query": "severity=critical&status=open&nonsense=1"}
    kept = program.post("/api/v1/alerts/views", json=body).json()
    assert (kept["name"], kept["query"]) == ("Bad ones", "severity=critical")
    assert [each["name"] for each in analyst.get("/api/v1/alerts/views").json()["views"]] == ["Of the user"]
    place = f"/api/v1/alerts/views/{kept['id']}/delete"
    assert analyst.post(place).status_code == 404
    assert program.post(place).json() == {"views": []}
    assert _record(site, f"view:{kept['id']}") == [
        ("view.save", "token:analy.one"),
        ("view.delete", "token:analy.one"),
    ]
    assert program.post("/api/v1/alerts/views", json={"name": "  "}).status_code == 400


def test_what_is_below_the_line_is_told_as_the_page_tells_it(
    site: Site, analyst: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = Who(pseudonym="P-AAAAA", status=PersonStatus.UNKNOWN)
    days: list[int] = []

    def found(_database: Database, **asked: Any) -> list[NotAlertedView]:
        days.append(asked["days"])
        row = NotAlertedView(
            who=who,
            day="2026-11-20",
            family="upload",
            score=41,
            points=0.0,
            slow_points=0.0,
            uncalmed=0.0,
            strength=0.0,
            why="below_the_line",
            held=None,
            after=None,
            cap=None,
            line=51,
            activities=(),
            rules=("About Alice Wang",),
            words={"en": "below", "zh": "低于"},
            stood_out={"en": "About Alice Wang", "zh": "关于 Alice Wang"},
        )
        return [row] * asked["limit"]

    monkeypatch.setattr(below, "below_views", found)
    told = analyst.get("/api/v1/alerts/below?days=28&limit=2").json()
    assert set(told["budget"]) == {"line", "cap", "used", "held"}
    assert [(each["rules"], each["stood_out"]["en"]) for each in told["alerts"]] == [
        (["About [name]"], "About [name]")
    ] * 2
    page = analyst.get("/alerts/below?days=28").text
    assert "About [name]" in page and "Alice" not in page
    assert days == [28], "one reading for all who look"
    assert analyst.get("/api/v1/alerts/below?days=29").status_code == 400


def test_the_draft_of_an_assessment_is_told_in_both_languages(site: Site) -> None:
    client = site.client(Role.ADMINISTRATOR)
    found = [client.get(f"/api/v1/transparency/assessment?language={each}").json() for each in ("en", "zh")]
    english, chinese = found
    assert english["open_points"] == chinese["open_points"] > 3
    kinds = {block["kind"] for section in english["sections"] for block in section["blocks"]}
    assert kinds == {"said", "to_be_filled_in", "listed", "tabled"}
    page = client.get("/transparency/assessment").text
    assert all(section["title"] in page for section in english["sections"])
    assert [each["title"] for each in english["sections"]] != [each["title"] for each in chinese["sections"]]
    assert not [word for word in SECRETS if word.casefold() in str(found).casefold()]


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("undo", {"group": 2**70}),
        ("merge", {"alerts": [1], "into": 2**70}),
        ("note", {"alerts": [2**70], "text": "x"}),
        ("snooze", {"alerts": [1], "until": 2**70}),
    ],
)
def test_numbers_that_no_database_keeps_are_refused(
    program: httpx.Client, place: str, body: dict[str, Any]
) -> None:
    answer = program.post(f"/api/v1/alerts/{place}", json=body)
    assert answer.status_code in (200, 400, 404, 409, 422), answer.text
