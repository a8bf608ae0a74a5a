"""Cases over HTTP: opened, noted, closed, packed; nobody is named, and two people do not undo each other."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import httpx
import pytest
from sqlalchemy import select

from server.cases.changing import add_note, open_or_join_case
from server.evidence_pack import jobs, making
from server.evidence_pack.stored import begin_pack
from server.evidence_pack.verifier import verify
from server.people.roles import Role
from server.store.tables import audit, cases
from tests.server.alerts.recorded_leak import SECRETS
from tests.server.console.site import Site

TYPED = "Alice Wang <b>x</b>"


@pytest.fixture
def analyst(site: Site) -> httpx.Client:
    return site.client(Role.ANALYST)


def _case(site: Site, title: str = "Customers on a stick") -> int:
    with site.database.begin() as connection:
        return open_or_join_case(connection, [1], actor="user:lin", at=site.clock(), title=title).case


def _names(text: str) -> list[str]:
    # A digest may hold any four digits.
    text = re.sub(r"\b[0-9a-f]{10,}\b", "", text.casefold())
    return [word for word in SECRETS if word.casefold() in text]


def _actions_of(site: Site, object: str) -> list[str]:
    with site.database.read() as connection:
        query = select(audit.c.action).where(audit.c.object == object).order_by(audit.c.seq)
        return list(connection.execute(query).scalars())


def _made(analyst: httpx.Client, case: int) -> str:
    """The part of the page that tells of packs, once none is being made any more."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        told = analyst.get(f"/cases/{case}/packs").text
        if "hx-get" not in told:
            return told
        time.sleep(0.1)
    raise TimeoutError(told)


def test_a_case_is_opened_noted_closed_and_reopened_and_names_nobody(
    site: Site, analyst: httpx.Client
) -> None:
    opened = analyst.post("/cases/open", data={"title": TYPED, "alerts": "#1"})
    assert opened.status_code == 303
    place = opened.headers["location"]
    for verb, form in (
        ("note", {"text": f"{TYPED} and Berta Braun\nsecond line"}),
        ("assign", {"owner": "me"}),
        ("rename", {"title": f"About {TYPED}"}),
        ("close", {"outcome": "confirmed", "reason": "alice did it"}),
        ("reopen", {"reason": "it goes on, says Wang"}),
        ("close", {"outcome": "inconclusive", "reason": "E1007 denies it"}),
    ):
        answer = analyst.post(f"{place}/{verb}", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, place), verb
    page = analyst.get(place)
    assert page.status_code == 200
    for words in ("About [name] &lt;b&gt;x&lt;/b&gt;", "[name] did it", "inconclusive", "465 MB (30 files)"):
        assert words in page.text
    lists = [analyst.get(f"/cases{query}").text for query in ("?status=all", "?status=closed")]
    for text in (page.text, *lists, str(page.headers)):
        assert _names(text) == []
    assert all("About [name]" in text for text in lists)


def test_no_search_confirms_a_name_that_is_hidden(site: Site, analyst: httpx.Client) -> None:
    _case(site, TYPED)
    analyst.post("/cases/open", data={"title": "Sticks of sales"})
    assert "Sticks of sales" in analyst.get("/cases?text=sticks").text
    hidden, nothing = analyst.get("/cases?text=alice").text, analyst.get("/cases?text=zzzz").text
    assert hidden.replace("alice", "zzzz") == nothing
    assert "No case matches" in nothing
    assert "Sticks of sales" in analyst.get("/cases?text=%232").text


def test_two_who_close_one_case_are_told_of_each_other(site: Site, analyst: httpx.Client) -> None:
    case = _case(site)
    version = re.search(r'name="version" value="(\d+)"', analyst.get(f"/cases/{case}").text)
    assert version is not None
    first = {"outcome": "false", "reason": "a test", "version": version[1]}
    assert analyst.post(f"/cases/{case}/close", data=first).status_code == 303
    second = analyst.post(f"/cases/{case}/close", data=first, headers={"hx-request": "true"})
    assert second.status_code == 409
    assert "Somebody changed this case meanwhile" in second.json()["error"]
    del first["version"]
    third = analyst.post(f"/cases/{case}/close", data=first, headers={"hx-request": "true"})
    assert "It was closed as false alarm by user:analy.one" in third.json()["error"]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("path", "form", "code"),
    [
        ("/cases/99/note", {"text": "x"}, 404),
        ("/cases/1/note", {"text": " "}, 400),
        ("/cases/1/note", {"text": "a\x00b"}, 400),
        ("/cases/1/note", {"text": "x" * 4001}, 400),
        ("/cases/1/close", {"outcome": "maybe", "reason": "x"}, 400),
        ("/cases/1/add", {"alerts": "one"}, 400),
        ("/cases/1/add", {"alerts": "1"}, 409),
        ("/cases/1/add", {"alerts": "9" * 18}, 409),
        ("/cases/1/assign", {"owner": "nobody.there"}, 400),
        ("/cases/1/assign", {"owner": "me", "version": "-1"}, 400),
        ("/cases/1/packs", {"names": "1", "reason": " "}, 400),
        ("/cases/99/packs", {}, 404),
        ("/packs/7/download", {}, 404),
        ("/packs/7/cancel", {}, 404),
        ("/cases/open", {"title": "x", "alerts": "1"}, 409),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    site: Site, analyst: httpx.Client, path: str, form: dict[str, str], code: int
) -> None:
    _case(site)
    answer = analyst.post(path, data=form, headers={"hx-request": "true"})
    assert (answer.status_code, bool(answer.json()["error"])) == (code, True)


@pytest.mark.databases("sqlite")
def test_a_case_that_is_not_there_looks_like_any_page_that_is_not(site: Site, analyst: httpx.Client) -> None:
    assert analyst.get("/cases/999").status_code == 404
    assert analyst.get("/cases?status=nonsense&after=x&owner=%00&text=%ed").status_code == 200


def test_a_pack_is_made_downloaded_verified_and_on_record(
    site: Site, analyst: httpx.Client, tmp_path: Path
) -> None:
    case = _case(site, TYPED)
    assert analyst.post(f"/cases/{case}/packs").status_code == 303
    told = _made(analyst, case)
    assert _names(told) == []
    downloaded = analyst.post("/packs/1/download")
    assert (
        downloaded.headers["content-disposition"] == f'attachment; filename="leaver-case-{case}-pack-1.zip"'
    )
    path = tmp_path / "downloaded.zip"
    path.write_bytes(downloaded.content)
    key = re.search(r"--key ([0-9a-f]{64})", analyst.get(f"/cases/{case}").text)
    assert key is not None
    assert verify(str(path), key[1]).good
    path.write_bytes(downloaded.content[:300] + b"!" + downloaded.content[301:])
    assert verify(str(path)).exit_code == 3
    with site.database.read() as connection:
        rows = connection.execute(select(audit).where(audit.c.object == "pack:1").order_by(audit.c.seq)).all()
    assert [(row.action, row.actor) for row in rows] == [
        ("pack.make", "user:analy.one"),
        ("pack.download", "user:analy.one"),
    ]


@pytest.mark.databases("sqlite")
def test_a_pack_with_names_is_handed_to_another_for_a_reason(site: Site, analyst: httpx.Client) -> None:
    case = _case(site)
    site.add_user("lin.two", Role.ANALYST)
    lin = site.client(Role.ANALYST, user="lin.two")
    analyst.post(f"/cases/{case}/packs", data={"names": "1", "reason": "the court asks about Alice Wang"})
    told = _made(analyst, case)
    assert "the court asks about [name]" in told
    assert _names(told) == []
    refused = lin.post("/packs/1/download", headers={"hx-request": "true"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "case_names")
    assert lin.post("/packs/1/download", data={"reason": "I stand in"}).status_code == 200
    assert analyst.post("/packs/1/download").status_code == 200
    assert _actions_of(site, f"case:{case}")[-1] != "pack.records", "a choice of its own"
    form = {"names": "1", "reason": "the court asks", "records": "1"}
    analyst.post(f"/cases/{case}/packs", data=form)
    _made(analyst, case)
    assert "pack.records" in _actions_of(site, f"case:{case}")


@pytest.mark.databases("sqlite")
def test_programs_get_cases_without_names(site: Site, analyst: httpx.Client) -> None:
    analyst.headers["accept"] = "application/json"
    body = {"title": TYPED, "alerts": [1]}
    made = analyst.post("/api/v1/cases", json=body).json()
    case = made["case"]["id"]
    assert (made["case"]["title"], made["alerts"][0]["id"]) == ("[name] <b>x</b>", 1)
    assert "case.view" in _actions_of(site, f"case:{case}"), "the answer to a change is a look, too"
    analyst.post(f"/api/v1/cases/{case}/notes", json={"text": "Berta saw it"})
    closed = analyst.post(f"/api/v1/cases/{case}/close", json={"outcome": "expected", "reason": "agreed"})
    assert closed.json()["case"]["status"] == "closed"
    assert (
        analyst.post(f"/api/v1/cases/{case}/close", json={"outcome": "false", "reason": "no"}).status_code
        == 409
    )
    reopened = analyst.post(f"/api/v1/cases/{case}/reopen", json={"reason": "again"})
    assert reopened.json()["case"]["status"] == "open"
    started = analyst.post(f"/api/v1/cases/{case}/packs")
    assert started.json() == {"pack": 1}
    _made(analyst, case)
    whole = analyst.get(f"/api/v1/cases/{case}")
    assert whole.json()["packs"][0]["state"] == "done"
    listed = analyst.get("/api/v1/cases?limit=1")
    assert [each["id"] for each in listed.json()["cases"]] == [case]
    assert _names(json.dumps([whole.json(), listed.json(), made])) == []
    assert analyst.get("/api/v1/cases/99").status_code == 404


@pytest.mark.databases("sqlite")
def test_long_lists_of_a_case_come_a_hundred_at_a_time(site: Site, analyst: httpx.Client) -> None:
    case = _case(site)
    with site.database.begin() as connection:
        for number in range(150):
            add_note(connection, case, f"note-{number:03}.", actor="user:lin", at=site.clock())
    first = analyst.get(f"/cases/{case}").text
    assert (first.count("note-"), "note-149." in first, "note-010." in first) == (100, True, False)
    older = analyst.get(f"/cases/{case}?history=100").text
    assert (older.count("note-"), "note-010." in older) == (50, True)
    assert analyst.get(f"/cases/{case}?history=x&alerts=99999").status_code == 200


@pytest.mark.databases("sqlite")
def test_who_cancels_a_pack_is_on_record_once(
    site: Site, analyst: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, go = _case(site), threading.Event()
    make = making.make_pack

    def later(*given: object, **more: object) -> making.MadePack:
        assert go.wait(30)
        return cast("Callable[..., making.MadePack]", make)(*given, **more)

    monkeypatch.setattr(jobs, "make_pack", later)
    analyst.post(f"/cases/{case}/packs")
    for _ in range(2):
        assert analyst.post("/packs/1/cancel").status_code == 303
    go.set()
    _made(analyst, case)
    assert analyst.post("/packs/1/cancel").status_code == 303
    assert _actions_of(site, "pack:1") == ["pack.make", "pack.cancel"]


def test_custody_tells_of_names_read_packs_made_and_cases_and_names_nobody(
    site: Site, analyst: httpx.Client
) -> None:
    shown = analyst.get("/alerts/1").text
    people = list(dict.fromkeys(re.findall(r'data-pseudonym="([PA]-\w+)"', shown)))
    assert people
    reason = {"reason": "asked by Berta Braun for alice", "back": "/alerts/1"}
    for each in people:
        assert analyst.post(f"/people/{each}/unmask", data=reason).status_code == 303
        assert analyst.post(f"/people/{each}/hide", data={"back": "/alerts/1"}).status_code == 303
    escalated = analyst.post("/alerts/escalate", data={"ids": "1", "title": "a case", "back": "/alerts/1"})
    assert escalated.status_code == 303
    with site.database.begin() as connection:
        number = int(connection.execute(select(cases.c.id)).scalars().all()[-1])
    pack = begin_pack(site.database, number, reason=None, actor="user:omar", at=site.clock(), alerts=1)
    for place in ("/alerts/1", f"/cases/{number}"):
        text = analyst.get(place).text
        custody = text[text.index('class="case-custody"' if "cases" in place else 'id="custody"') :]
        for act in ("alert.view", "alert.escalate", "pseudonym.unmask", "pseudonym.hide", "pack.make"):
            assert act in custody, (place, act)
        assert all(each in custody for each in (*people, f"pack:{pack}"))
        assert "asked by [name] for [name]" in custody
        assert [word for word in SECRETS if word.casefold() in custody.casefold()] == []
