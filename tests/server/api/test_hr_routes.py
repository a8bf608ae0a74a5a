"""HR's nightly export over HTTPS: shown, taken over, stopped where it must be, looked at and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from server.api import hr_routes
from server.config import PeopleConfig
from server.people.directory import load_directory
from server.people.import_drafts import IMPORT_TURN
from server.service_tokens import TokenRole
from server.store.tables import audit, people_changes
from tests.server.api.running_server import RunningServer
from tests.server.people.hr_files import workbook

PLACE = "/v1/people/imports"
CSV = {"content-type": "text/csv; charset=utf-8"}
STAFF = b"id,name,account,department,last working day\n1,Ada,ada,Board,\n2,Bob,bob,Sales,\n"


@pytest.fixture
def server(tmp_path: Path, database_url: str) -> Iterator[RunningServer]:
    folder = tmp_path / "mappings"
    folder.mkdir()
    (folder / "sap.toml").write_text('[columns]\nid = "Pers.-Nr."\naccounts = "Windows"\n', encoding="utf-8")
    (folder / "broken.toml").write_text("[columns\n", encoding="utf-8")
    settings = PeopleConfig(time_zone="Asia/Shanghai", mappings_folder=str(folder))
    running = RunningServer(tmp_path, database_url=database_url, people=settings)
    yield running
    running.close()


@pytest.fixture
def hr(server: RunningServer, client: httpx.Client) -> httpx.Client:
    token = server.service_token(TokenRole.HR_IMPORT, name="workday")
    client.headers["authorization"] = f"Bearer {token}"
    return client


def _ids(server: RunningServer) -> set[str]:
    with server.database.read() as connection:
        return {person.id for person in load_directory(connection).people()}


def test_a_look_changes_nothing_and_the_same_call_without_it_takes_over(
    server: RunningServer, hr: httpx.Client
) -> None:
    looked = hr.post(f"{PLACE}?dry_run=true", content=STAFF, headers=CSV)
    assert looked.status_code == 200
    assert (looked.json()["applied"], looked.json()["added"], looked.json()["import_id"]) == (False, 2, None)
    assert _ids(server) == set()
    taken = hr.post(PLACE, content=STAFF, headers=CSV).json()
    assert (taken["applied"], taken["added"], taken["stopped"], taken["answer"]) == (True, 2, None, None)
    assert taken["changes"][0]["fields"][0] == {"column": "department", "before": None, "after": "Board"}
    with server.database.read() as connection:
        person = load_directory(connection).person("1")
        assert person is not None
        assert person.time_zone == "Asia/Shanghai"
        actors = connection.execute(select(people_changes.c.changed_by).distinct()).scalars().all()
        trail = connection.execute(select(audit.c.actor).where(audit.c.action == "people.import")).scalars()
        assert (actors, list(trail)) == (["token:workday"], ["token:workday"])
    again = hr.post(PLACE, content=STAFF, headers=CSV).json()
    assert (again["added"], again["changed"], again["unchanged"]) == (0, 0, 2)


@pytest.mark.databases("sqlite")
def test_json_workbooks_and_mapped_files_are_taken_alike(server: RunningServer, hr: httpx.Client) -> None:
    assert hr.post(PLACE, json=[{"id": "j1", "accounts": ["j", "j@corp.example"]}]).json()["added"] == 1
    sheet = workbook(["工号", "姓名"], ["x1", "王小明"])
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert hr.post(PLACE, content=sheet, headers={"content-type": kind}).json()["encoding"] == "XLSX"
    mapped = b"Pers.-Nr.;Windows\nm1;may\n"
    assert hr.post(f"{PLACE}?mapping=sap", content=mapped, headers=CSV).json()["added"] == 1
    assert _ids(server) == {"j1", "x1", "m1"}


@pytest.mark.databases("sqlite")
def test_a_last_day_as_a_moment_is_a_day_of_the_persons_zone(server: RunningServer, hr: httpx.Client) -> None:
    rows = [
        {"id": "here", "last working day": "2026-11-30T16:00:00Z"},
        {"id": "west", "time zone": "America/New_York", "last working day": "2026-11-30T16:00:00Z"},
        {"id": "said", "time zone": "America/New_York", "last working day": "2026-11-30T00:00:00Z"},
    ]
    assert hr.post(PLACE, json=rows).json()["added"] == 3
    with server.database.read() as connection:
        people = {person.id: person for person in load_directory(connection).people()}
    last = {key: person.employments[0].last_day for key, person in people.items()}
    assert last == {"here": 20_788, "west": 20_787, "said": 20_787}


def test_a_bad_row_stops_all_until_a_parameter_says_otherwise(
    server: RunningServer, hr: httpx.Client
) -> None:
    data = STAFF + b"3,Cy,cy,IT,2026-02-30\n"
    stopped = hr.post(PLACE, content=data, headers=CSV)
    assert stopped.status_code == 409
    report = stopped.json()
    assert (report["applied"], report["answer"]) == (False, "skip_bad_rows=true")
    assert report["problems"] == [
        {
            "line": 4,
            "column": "last_working_day",
            "value": "2026-02-30",
            "message": "there is no day 2026-02-30",
        }
    ]
    assert _ids(server) == set()
    taken = hr.post(f"{PLACE}?{report['answer']}", content=data, headers=CSV)
    assert (taken.status_code, taken.json()["refused"]) == (200, 1)
    assert _ids(server) == {"1", "2"}


@pytest.mark.databases("sqlite")
def test_half_the_company_gone_stops_until_the_number_is_said(
    server: RunningServer, hr: httpx.Client
) -> None:
    staff = [{"id": str(number)} for number in range(20)]
    assert hr.post(PLACE, json=staff).json()["added"] == 20
    gone = [{**row, "last working day": "2026-12-01"} for row in staff[:10]]
    stopped = hr.post(PLACE, json=gone)
    assert (stopped.status_code, stopped.json()["answer"]) == (409, "expect_leavers=10")
    assert "10 of 20 people" in stopped.json()["stopped"]
    assert hr.post(f"{PLACE}?expect_leavers=9", json=gone).status_code == 409
    assert hr.post(f"{PLACE}?expect_leavers=10", json=gone).json()["new_leavers"] == 10
    back = [{**row, "last working day": None} for row in gone]
    stopped = hr.post(PLACE, json=back)
    assert (stopped.status_code, stopped.json()["answer"]) == (409, "expect_withdrawn=10")
    listed = hr.get(f"{PLACE}?limit=2").json()
    assert [each["stopped"] is None for each in listed] == [False, True]
    assert listed[0]["imported_at_dt"].endswith("Z")


def test_another_person_under_a_known_id_stops_until_a_parameter_says_that_they_are_one(
    server: RunningServer, hr: httpx.Client
) -> None:
    assert hr.post(PLACE, content=b"id,name,accounts\nE1,May Li,may\n", headers=CSV).status_code == 200
    other = b"id,name,accounts\nE1,Bo Hart,bo\n"
    answer = hr.post(PLACE, content=other, headers=CSV)
    assert (answer.status_code, answer.json()["answer"]) == (409, "same_people=true")
    assert answer.json()["others"] == 1
    assert "May" not in answer.text
    assert hr.post(f"{PLACE}?same_people=true", content=other, headers=CSV).json()["changed"] == 1


def test_what_an_import_did_is_told_person_by_person_and_taken_back(
    server: RunningServer, hr: httpx.Client
) -> None:
    first = hr.post(PLACE, content=STAFF, headers=CSV).json()["import_id"]
    moved = b"id,department\n1,Legal\n2,Legal\n"
    second = hr.post(PLACE, content=moved, headers=CSV).json()["import_id"]
    told = hr.get(f"{PLACE}/{second}").json()
    assert [(c["id"], c["is_new"], c["fields"]) for c in told["changes"]] == [
        ("1", False, [{"column": "department", "before": "Board", "after": "Legal"}]),
        ("2", False, [{"column": "department", "before": "Sales", "after": "Legal"}]),
    ]
    page = hr.get(f"{PLACE}/{first}?limit=1").json()
    assert [c["id"] for c in page["changes"]] == ["1"]
    assert page["changes"][0]["fields"][0] == {"column": "department", "before": None, "after": "Board"}
    rest = hr.get(f"{PLACE}/{first}?limit=1&after={page['next']}").json()
    assert ([c["id"] for c in rest["changes"]], rest["next"]) == (["2"], None)
    refused = hr.post(f"{PLACE}/{first}/undo")
    assert (refused.status_code, refused.json()["reason"]) == (409, "cannot_undo")
    assert hr.post(f"{PLACE}/{second}/undo").json() == {"import_id": second, "removed": 0, "restored": 2}
    assert hr.post(f"{PLACE}/{first}/undo").json()["removed"] == 2
    assert _ids(server) == set()
    assert hr.get(f"{PLACE}/{first}").json()["imported"]["undone_at"] == server.clock.now
    for place in (f"{PLACE}/99", f"{PLACE}/{2**40}"):
        assert hr.get(place).status_code == hr.post(f"{place}/undo").status_code == 404


@pytest.mark.databases("sqlite")
def test_what_cannot_be_read_is_refused_with_why_and_on_the_record(
    server: RunningServer, hr: httpx.Client
) -> None:
    for content, kind in ((b"\xff\xfe\x00", "text/csv"), (b"{}", "application/json"), (b"", "text/csv")):
        answer = hr.post(PLACE, content=content, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["reason"]) == (400, "unreadable")
    assert [each["stopped"] is None for each in hr.get(PLACE).json()] == [False, False, False]
    # A file without its header: its first row is somebody, and is kept nowhere.
    answer = hr.post(PLACE, content=b"E1;Ada Lovelace;ada\nE2;Bob;bob\n", headers=CSV)
    assert "Ada Lovelace" in answer.text
    assert "no column for the person's id" in hr.get(PLACE).json()[0]["stopped"]
    assert "Ada" not in hr.get(PLACE).text
    for encoding in ("undefined", "a%00b"):
        answer = hr.post(f"{PLACE}?encoding={encoding}", content=STAFF, headers=CSV)
        assert (answer.status_code, answer.json()["reason"]) == (400, "unreadable")
    assert hr.post(PLACE, content=b"<html>", headers={"content-type": "text/html"}).status_code == 415
    for wrong in (
        "dry_run=maybe",
        "expect_leavers=-1",
        "mapping=../../etc/passwd",
        "dryrun=true",
        "time_zone=Mars",
    ):
        answer = hr.post(f"{PLACE}?{wrong}", content=STAFF, headers=CSV)
        assert (answer.status_code, answer.json()["reason"]) == (400, "bad_query"), wrong
    unknown = hr.post(f"{PLACE}?mapping=none", content=STAFF, headers=CSV)
    assert (unknown.status_code, unknown.json()["reason"]) == (400, "unknown_mapping")
    assert hr.post(f"{PLACE}?mapping=broken", content=STAFF, headers=CSV).json()["reason"] == "bad_mapping"
    assert _ids(server) == set()


@pytest.mark.databases("sqlite")
def test_bodies_are_bounded_and_imports_come_one_at_a_time(
    hr: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = b"id\n" + b"x" * hr_routes.IMPORT_BYTES_MAX
    assert hr.post(PLACE, content=large, headers=CSV).status_code == 413
    with IMPORT_TURN:
        busy = hr.post(PLACE, content=STAFF, headers=CSV)
    assert (busy.status_code, busy.json()["reason"], busy.headers["retry-after"]) == (503, "busy", "10")
    assert hr.post(PLACE, content=STAFF, headers=CSV).status_code == 200
