"""The audit trail's page: search, paging, verifying and export; nobody sees there what their role may not."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from server import audit
from server.accounts import audit_reading
from server.accounts.audit_words import ACTORS, KEYS, NAMED_ACTORS, NAMED_OBJECTS, OBJECTS
from server.console.phrases import chinese
from server.people.directory import raise_people_version
from server.people.pseudonyms import give_pseudonyms
from server.people.roles import Role
from server.store.database import Database
from server.store.tables import audit as audit_table
from server.store.tables import people, person_names
from tests.server.console.site import Site

pytestmark = pytest.mark.databases("sqlite")
NAME, ID = "Qiurong Ouyang", "E90431"
DAY = 86_400_000


def write(database: Database, at: int, **row: Any) -> None:
    with database.begin() as connection:
        audit.append(connection, at=at, **{"actor": "user:analy.one", "object": "alert:1", **row})


@pytest.fixture
def told(site: Site) -> Site:
    """Rows that name somebody in their reason, their details and as their object."""
    at = site.clock()
    with site.database.begin() as connection:
        connection.execute(people.insert().values(id=ID, time_zone="UTC", changed_at=at))
        connection.execute(person_names.insert().values(person_id=ID, name=NAME))
        raise_people_version(connection)
    reason = f"{NAME} copied the customers' list"
    write(site.database, at, action="alert.close", reason=reason, detail={"verdict": "confirmed"})
    write(site.database, at, action="alert.note", detail={"said": [NAME, {NAME: 1}], "score": 87})
    write(site.database, at, action="people.flag", object=f"person:{ID}", reason=f"{NAME} gave notice")
    write(site.database, at, action="person.view", object=f"person:{ID}")
    write(site.database, at, action="pseudonym.unmask", object="P-7F3K2", reason=f"case of {NAME}")
    return site


def hides_names(text: str) -> bool:
    return not any(word in text for word in ("Qiurong", "Ouyang", ID))


def test_an_auditor_sees_reasons_details_and_objects_without_names(told: Site) -> None:
    client = told.client(Role.AUDITOR)
    text = client.get("/audit").text
    assert hides_names(text)
    for shown in ("alert.close", "copied the customers", "confirmed", "pseudonym.unmask", "P-7F3K2", "87"):
        assert shown in text
    for wanted in ("Qiurong", NAME, ID, "ouyang"):
        for field in ("text", "object"):
            found = client.get("/audit", params={field: wanted, "action": "a"})
            assert "Nothing on record fits." in found.text, (field, wanted)
    lines = client.post("/audit/export", data={"text": "customers"}).text
    assert hides_names(lines)
    assert [json.loads(line)["action"] for line in lines.splitlines()] == ["alert.close"]
    api = client.get("/api/v1/audit", headers={"accept": "application/json"})
    assert hides_names(api.text)
    assert hides_names(client.get("/audit", params={"action": "audit.export"}).text)


def test_an_administrator_sees_that_something_was_done_about_an_alert_and_nothing_of_it(told: Site) -> None:
    client = told.client(Role.ADMINISTRATOR)
    text = client.get("/audit").text
    for hidden in ("customers", "confirmed", ">87<", f"case of {NAME}"):
        assert hidden not in text
    assert f"{NAME} gave notice" in text
    assert "not shown" in text
    row = next(
        each
        for each in client.get("/api/v1/audit", params={"action": "person.view"}).json()["rows"]
        if each["action"] == "person.view"
    )
    assert row["object"] == "…"


def test_an_administrator_never_reads_which_pseudonym_somebody_has(told: Site) -> None:
    with told.database.begin() as connection:
        shown = give_pseudonyms(connection, [f"person:{ID}"])[f"person:{ID}"]
    at = told.clock()
    write(told.database, at, action="people.sign_off", object=shown, detail={"item": "accounts"})
    write(told.database, at, action="leaver.view", object=f"leaver:{shown}")
    write(told.database, at, action="alert.view", object=shown)
    write(told.database, at, action="policy.except", object="x", reason=shown, detail={shown: [shown]})
    client = told.client(Role.ADMINISTRATOR)
    client.get(f"/leavers/{ID}")
    rows = client.get("/api/v1/audit").json()["rows"]
    assert shown not in str(rows)
    assert shown not in client.get("/audit").text
    assert shown not in client.post("/audit/export", data={}).text
    objects = {row["action"]: row["object"] for row in rows}
    assert objects["people.sign_off"] == objects["leaver.view"] == f"person:{ID}"
    assert objects["alert.view"] == "…"
    assert not client.get("/api/v1/audit", params={"text": shown}).json()["rows"]
    assert shown in told.client(Role.AUDITOR).get("/audit").text
    assert "hash" not in rows[0]
    for wanted in ("customers", "confirmed"):
        assert "Nothing on record fits." in client.get("/audit", params={"text": wanted}).text
        export = client.post("/audit/export", data={"text": wanted, "action": "alert."}).text
        assert export.strip() == ""


MODEL = "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d"


def test_who_and_what_are_shown_by_kind_and_name_and_details_without_json(site: Site) -> None:
    at = site.clock()
    write(site.database, at, actor="cli:root", action="model.activate", object=f"model:{MODEL}", detail={})
    detail = {"before": None, "steps": ["export", "copy"], "whole": True, "from": at, "by": {"rule": 3}}
    write(site.database, at, action="user.role", object="user:demo-hr", detail=detail)
    client = site.client(Role.ADMINISTRATOR)
    text = client.get("/audit", params={"from": "2020-01-01"}).text
    for shown in ("root (command line)", "model 0b1c2d3e…", "user demo-hr", ">analy.one<"):
        assert shown in text, shown
    for shown in ("none", "export, copy", "yes", "rule: 3", " UTC"):
        assert f'<span class="name">{shown}' in text or shown in text, shown
    assert not any(raw in text for raw in ("[&#34;", "{&#34;", ">user:analy.one<", ">cli:root<"))
    # As it is stored: where the pointer rests, as a filter, and for programs.
    assert f'title="model:{MODEL}"' in text
    for wanted in ("model 0b1c2d3e", f"model:{MODEL}"):
        found = client.get("/api/v1/audit", params={"object": wanted}).json()["rows"]
        assert [row["object"] for row in found] == [f"model:{MODEL}"]
    assert found[0]["actor"] == "cli:root"


def test_words_of_the_trail_are_there_in_chinese() -> None:
    tables = (ACTORS, NAMED_ACTORS, OBJECTS, NAMED_OBJECTS)
    said = {phrase for table in tables for phrase in table.values()} | KEYS
    assert [phrase for phrase in said if phrase not in chinese()] == []


def test_an_agent_that_has_somebodys_name_is_not_confirmed(site: Site) -> None:
    write(site.database, site.clock(), actor="agent:qiurongs-laptop", action="agent.renew", object="key:1")
    write(site.database, site.clock(), action="agent.revoke", object="qiurongs-laptop", reason="lost")
    client = site.client(Role.AUDITOR)
    assert "qiurong" not in client.get("/audit").text
    for field in ("actor", "object", "text"):
        found = client.get("/api/v1/audit", params={field: "qiurong"}).json()["rows"]
        assert found == [], field
    named = site.client(Role.ADMINISTRATOR).get("/api/v1/audit", params={"actor": "qiurong"})
    assert [row["action"] for row in named.json()["rows"]] == ["agent.renew"]


def test_filters_and_pages(site: Site) -> None:
    at = site.clock()
    for number in range(250):
        write(site.database, at - (250 - number) * DAY, action="alert.view", object=f"alert:{number}")
    client = site.client(Role.AUDITOR)
    seen: list[int] = []
    query: dict[str, Any] = {"action": "alert.view"}
    for _ in range(5):
        page = client.get("/api/v1/audit", params=query).json()
        seen += [row["seq"] for row in page["rows"]]
        if page["next_before"] is None:
            break
        query["before"] = page["next_before"]
    assert len(seen) == len(set(seen)) == 250
    assert seen == sorted(seen, reverse=True)
    html = client.get("/audit?action=alert.view").text
    assert html.count('<td class="mono">alert.view</td>') == 100
    assert "Older" in html
    one = client.get("/api/v1/audit", params={"object": "alert:77", "actor": "ANALY"}).json()["rows"]
    assert [row["object"] for row in one] == ["alert:77"]
    day = f"{client.get('/api/v1/audit', params={'object': 'alert:77'}).json()['rows'][0]['at_dt'][:10]}"
    within = client.get("/api/v1/audit", params={"from": day, "to": day, "action": "alert.view"}).json()
    assert [row["object"] for row in within["rows"]] == ["alert:77"]


def test_a_search_for_words_reads_so_many_rows_and_says_how_far_it_came(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_reading, "_AT_ONCE", 20)
    monkeypatch.setattr(audit_reading, "ROWS_READ", 50)
    at = site.clock() - 500 * DAY
    write(site.database, at, action="erasure.run", reason="the first of all")
    for number in range(150):
        write(site.database, at + number, action="alert.view", object=f"alert:{number}")
    client = site.client(Role.ADMINISTRATOR)
    query: dict[str, Any] = {"text": "first of all"}
    found, looked = [], []
    while True:
        page = client.get("/api/v1/audit", params=query).json()
        found += [row["action"] for row in page["rows"]]
        if page["next_before"] is None:
            break
        looked.append(page["next_before"])
        query["before"] = page["next_before"]
    assert found == ["erasure.run"]
    assert 3 <= len(looked) <= 5
    assert all(before - after == 50 for before, after in pairwise(looked))
    # What the database can tell apart is found in one go.
    for query in ({"action": "erasure."}, {"action": "erasure.", "actor": "ANALY"}):
        page = client.get("/api/v1/audit", params=query).json()
        assert ([row["action"] for row in page["rows"]], page["next_before"]) == (["erasure.run"], None)
    assert not client.get("/api/v1/audit", params={"action": "ERASURE."}).json()["rows"]
    assert not client.get("/api/v1/audit", params={"action": "eras_re."}).json()["rows"]


@pytest.mark.parametrize(
    "query",
    [
        "before=x",
        "before=-1",
        "before=99999999999999999999",
        "text=%00",
        "text=%25_%27",
        "action=" + "x" * 500,
    ],
)
def test_hostile_queries_find_nothing_and_break_nothing(site: Site, query: str) -> None:
    assert site.client(Role.AUDITOR).get(f"/audit?{query}").status_code == 200


@pytest.mark.parametrize("query", ["from=yesterday", "to=2026-13-01", "from=0001-01-01", "to=9999-12-31"])
def test_a_day_that_is_none_is_said(site: Site, query: str) -> None:
    answer = site.client(Role.AUDITOR).get(f"/audit?{query}")
    assert (answer.status_code, "2026-11-20" in answer.text) == (400, True)


def test_verifying_names_the_first_row_that_was_changed(site: Site) -> None:
    client = site.client(Role.AUDITOR)
    assert "The chain holds" in client.post("/audit/verify").text
    with site.database.begin() as connection:
        connection.execute(update(audit_table).where(audit_table.c.seq == 2).values(actor="user:nobody"))
    assert "broken at row 2" in client.post("/audit/verify").text


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.ADMINISTRATOR])
def test_verifying_tells_nothing_that_a_guess_at_a_hidden_row_could_be_held_against(
    told: Site, role: Role
) -> None:
    answer = told.client(role).post("/audit/verify").text
    with told.database.read() as connection:
        hashes = connection.execute(select(audit_table.c.hash)).scalars().all()
    assert _told_fingerprint(answer)
    assert not any(each in answer for each in hashes)


def test_a_fingerprint_that_was_kept_tells_later_that_the_end_was_cut_off(told: Site) -> None:
    client = told.client(Role.AUDITOR)
    kept = _told_fingerprint(client.post("/audit/verify").text)
    with told.database.read() as connection:
        head = audit.head(connection)
    assert head is not None
    # Verifying is on record itself, behind the row that it told of.
    row = head[0] - 1
    write(told.database, told.clock(), action="alert.close")
    given = {"row": f" {row} ", "fingerprint": kept.upper()}
    assert "is the one whose fingerprint was kept" in client.post("/audit/verify", data=given).text
    with told.database.begin() as connection:
        connection.execute(delete(audit_table).where(audit_table.c.seq >= row))
    cut = client.post("/audit/verify", data=given).text
    assert "The chain holds" in cut
    assert f"Row {row} does not have the fingerprint" in cut


@pytest.mark.parametrize("row", ["1", "0", "-1", "x", "9" * 18, "9" * 60, "²"])
def test_what_is_no_rows_fingerprint_does_not_fit(told: Site, row: str) -> None:
    with told.database.read() as connection:
        stored = audit.hash_of(connection, 1)
    answer = told.client(Role.AUDITOR).post("/audit/verify", data={"row": row, "fingerprint": stored or ""})
    assert (answer.status_code, "does not have the fingerprint" in answer.text) == (200, True)


def _told_fingerprint(page: str) -> str:
    found = re.search(r"<code>([0-9a-f]{64})</code>", page)
    assert found is not None
    return found[1]


def test_reading_and_exporting_the_trail_is_on_record_once_an_hour(site: Site) -> None:
    client = site.client(Role.AUDITOR)
    for _ in range(3):
        client.get("/audit")
    rows = client.get("/api/v1/audit", params={"action": "audit."}).json()["rows"]
    assert [row["action"] for row in rows] == ["audit.view"]
    for _ in range(2):
        site.clock.now += 1_800_000
        client.get("/settings")
    client.get("/audit")
    client.post("/audit/export", data={})
    rows = client.get("/api/v1/audit", params={"action": "audit."}).json()["rows"]
    assert [row["action"] for row in rows] == ["audit.export", "audit.view", "audit.view"]
