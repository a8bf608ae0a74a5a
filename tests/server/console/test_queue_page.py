"""The queue over HTTP: what page, list, changes and API answer, and what is in none of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import delete, insert, select, update

from policies.rule_file import SHIPPED_RULES
from server.console.ingest_watch import Ingest, IngestWatch, ingest_of
from server.console.phrases import chinese
from server.people.roles import Role
from server.process_state import ProcessState
from server.status_types import Status
from server.store.tables import agents, alerts, event_blocks, pseudonyms
from server.supervision import PartState
from tests.server.alerts.queue.full_queue import NOW, full_queue
from tests.server.console.site import Site

pytestmark = pytest.mark.databases("sqlite")
PART = {"hx-request": "true"}
NAMES = re.compile(r"zhanna|quillfeather|acct\d|(?<![0-9a-z])(?-i:E)0\d{4}", re.IGNORECASE)


@pytest.fixture
def full(tmp_path: Path, database_url: str) -> Iterator[Site]:
    opened = Site(tmp_path, database_url=database_url, leak_files=0)
    full_queue(opened.database, count=230, people=80)
    yield opened
    opened.close()


def rows_in(text: str) -> dict[int, str]:
    """Alert to stamp."""
    return {int(found[1]): found[2] for found in re.finditer(r'data-id="(\d+)" data-stamp="(\w+)"', text)}


def attribute(text: str, name: str) -> str:
    found = re.search(rf'data-{name}="([^"]*)"', text)
    assert found is not None
    return found[1]


def changed(client: httpx.Client, text: str, query: str = "") -> dict[str, Any]:
    shown = ",".join(f"{alert}.{stamp}" for alert, stamp in rows_in(text).items())
    answer = client.get(f"/alerts/changes?rows={shown}&until={attribute(text, 'next')}&{query}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_a_page_has_a_hundred_rows_the_next_one_the_rest(full: Site) -> None:
    client = full.client(Role.ANALYST)
    first = client.get("/alerts")
    assert first.status_code == 200
    assert "230 alerts" in first.text
    shown = list(rows_in(first.text))
    assert len(shown) == 100
    seen = set(shown)
    after = attribute(first.text, "next")
    while after:
        part = client.get(f"/alerts?after={after}", headers=PART)
        assert "<html" not in part.text
        assert seen.isdisjoint(rows_in(part.text))
        seen |= rows_in(part.text).keys()
        after = attribute(part.text, "next")
    assert seen == set(range(1, 231))


def test_no_answer_of_the_queue_names_anybody(full: Site) -> None:
    client = full.client(Role.ANALYST)
    page = client.get("/alerts").text
    number = next(iter(rows_in(page)))
    addresses = (
        "/alerts",
        "/alerts?status=all&sort=last",
        "/alerts?leavers=1",
        "/alerts/review",
        "/alerts/below",
        f"/alerts/{number}/panel",
        "/api/v1/alerts",
        "/jump?q=p-",
        f"/jump?q={number}",
        "/alerts/changes?rows=1.x,2.x,3.x",
    )
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert NAMES.search(answer.text) is None, address
        assert NAMES.search(str(answer.headers)) is None
    for text in ("Zhanna", "Quillfeather7", "acct00001x", "E00003"):
        assert "No alerts match" in client.get(f"/alerts?text={text}").text
        assert client.get(f"/api/v1/alerts?text={text}").json()["total"] == 0
        assert client.get(f"/jump?q={text}").json() == []


def test_what_others_change_is_told_in_place_and_what_is_new_is_counted(full: Site) -> None:
    mine, theirs = full.client(Role.ANALYST), full.client(Role.ANALYST)
    page = mine.get("/alerts").text
    untrained = changed(mine, page)["notice"]
    assert "No model is trained" in untrained
    assert changed(mine, page) | {"mark": ""} == {
        "mark": "", "rows": [], "fresh": 0, "fresh_words": "0 new ↑", "count": "230 alerts",
        "notice": untrained,
    }  # fmt: skip
    number = next(iter(rows_in(page)))
    closed = theirs.post(
        "/alerts/close", data={"ids": number, "verdict": "expected", "reason": "agreed"},
        headers={"accept": "application/json"},
    )  # fmt: skip
    assert closed.status_code == 200, closed.text
    found = changed(mine, page)
    assert found["count"] == "229 alerts"
    assert found["fresh"] == 0
    (row,) = found["rows"]
    assert row["alert"] == number
    assert "allowed business use" in row["html"]
    undone = theirs.post("/alerts/undo", data={"group": closed.json()["group"]}, headers=PART)
    assert undone.status_code == 200
    assert changed(mine, page)["count"] == "230 alerts"
    fresh_page = theirs.get("/alerts").text
    lowest = max(set(range(1, 231)) - rows_in(fresh_page).keys())
    with full.database.begin() as connection:
        connection.execute(update(alerts).where(alerts.c.id == lowest).values(score=100))
        connection.execute(delete(alerts).where(alerts.c.id == number))
    found = changed(mine, page)
    assert found["fresh"] == 1
    assert found["fresh_words"] == "1 new ↑"
    assert {"alert": number, "html": None} in found["rows"]


@pytest.mark.parametrize("rows", ["x", "1", "1.", "-1.a", "1.a b", ",".join(f"{n}.a" for n in range(201))])
def test_odd_rows_are_refused(full: Site, rows: str) -> None:
    assert full.client(Role.ANALYST).get("/alerts/changes", params={"rows": rows}).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "status=%00&severity=%ff&channel=../x&after=1.2&since=0000-00-00",
        "text=%f0%9f%92%a9%00&owner=%0a&agent=" + "H" * 900,
        "text=" + "%25_" * 60,
        "after=99999999999999999999.1.1",
        "policy=%27%3B--&sort=x&leavers=on",
    ],
)
def test_hostile_queries_break_nothing(full: Site, query: str) -> None:
    client = full.client(Role.ANALYST)
    assert client.get(f"/alerts?{query}").status_code == 200
    assert client.get(f"/alerts/review?{query}").status_code == 200
    assert client.get(f"/api/v1/alerts?{query}").status_code in (200, 400)


def test_names_with_markup_and_marks_that_turn_the_text_are_shown_as_they_are(full: Site) -> None:
    hostile = '<img src=x onerror=alert(1)>"\u202egnp'
    with full.database.begin() as connection:
        connection.execute(
            update(alerts)
            .where(alerts.c.id == 1)
            .values(score=100, sentence={"en": hostile + "y" * 10_000, "zh": hostile}, owner="omar")
        )
    client = full.client(Role.ANALYST)
    for address in ("/alerts", "/alerts/1/panel", "/alerts/review"):
        text = client.get(address).text
        assert "<img" not in text
        assert "onerror=alert(1)&gt;" in text


def test_an_empty_queue_tells_the_truth(full: Site) -> None:
    client = full.client(Role.ANALYST)
    with full.database.begin() as connection:
        connection.execute(update(alerts).values(status="closed", closed_at=NOW + 1, updated_at=NOW + 1))
    assert "Queue clear. 230 closed today" in client.get("/alerts").text
    assert "Queue clear. 230 closed today" in client.get("/alerts/review").text
    assert "No alerts match" in client.get("/alerts?leavers=1").text
    with full.database.begin() as connection:
        connection.execute(delete(alerts))
    text = client.get("/alerts").text
    assert "No alerts yet" in text
    assert "0 agents reporting" in text
    with full.database.begin() as connection:
        heard = {"created_at": 0, "enrolled_at": 1, "heartbeat_at": full.clock() - 27 * 60_000}
        connection.execute(insert(agents), [{"name": f"a{n}", "clock_offset": 0, **heard} for n in range(40)])
    stale = ingest_of(full.server._status())
    assert (stale.trouble, stale.agents, stale.silent) == ("silent", 40, 40)
    assert stale.is_stale


def test_what_is_wrong_with_the_pipeline_is_said(site: Site) -> None:
    status: Status = site.server._status()
    assert ingest_of(status).trouble in (None, "some_silent", "silent")

    def of(parts: dict[str, PartState], waits: tuple[str, str] | None = None) -> Ingest:
        process = ProcessState(1, 0, status.at, "x", parts, {}, waits_for=waits)
        return ingest_of(msgspec.structs.replace(status, process=process))

    assert of({"pipeline": PartState("waiting", 3, "boom")}).trouble == "pipeline"
    assert of({"training": PartState("waiting", 3, "boom")}).trouble != "pipeline"
    assert of({}, ("database", "locked")).trouble == "pipeline"
    assert of({}, ("database", "locked")).down == ("database",)
    assert ingest_of(status, ["disk"]).down == ("disk",)
    late = msgspec.structs.replace(
        status, log=msgspec.structs.replace(status.log, oldest_waiting_at=status.at - 6 * 60_000)
    )
    assert ingest_of(late).trouble == "behind"
    assert (
        ingest_of(
            msgspec.structs.replace(status, log=msgspec.structs.replace(status.log, fault="away"))
        ).trouble
        == "log"
    )
    assert Ingest(trouble="unknown").is_stale


def test_views_are_ones_own(full: Site) -> None:
    full.add_user("omar", Role.ANALYST)
    mine, theirs = full.client(Role.ANALYST), full.client(Role.ANALYST, user="omar")
    saved = mine.post("/alerts/views", data={"name": "<b>Mail</b>", "channel": "mail", "severity": "high"})
    assert saved.headers["location"] == "/alerts?severity=high&channel=mail"
    page = mine.get(saved.headers["location"]).text
    assert "&lt;b&gt;Mail" in page
    assert "Mail&lt;" not in theirs.get("/alerts").text
    found = re.search(r"/alerts/views/(\d+)/delete", page)
    assert found is not None
    assert theirs.post(found[0]).status_code == 404
    assert mine.post(found[0]).status_code == 303
    assert mine.post("/alerts/views", data={"name": " "}).status_code == 400


def test_programs_read_the_same_queue(full: Site) -> None:
    client = full.client(Role.ANALYST)
    first = client.get("/api/v1/alerts?severity=high&severity=critical").json()
    assert {row["severity"] for row in first["alerts"]} <= {"high", "critical"}
    assert (first["more"], len(first["alerts"])) == (False, min(100, first["total"]))
    after = client.get(f"/api/v1/alerts?after={client.get('/api/v1/alerts').json()['next']}").json()
    assert len(after["alerts"]) == 100
    for query in ("status=x", "nothing=1", "after=x", "since=x", "text=%00", "since=2300-01-01"):
        assert client.get(f"/api/v1/alerts?{query}").status_code == 400, query


def test_nothing_is_written_by_reading(full: Site) -> None:
    client = full.client(Role.ANALYST)
    client.get("/alerts")
    with full.database.read() as connection:
        before = connection.execute(select(pseudonyms)).all()
    for address in ("/alerts?text=P-", "/alerts?leavers=1", "/jump?q=P-ZZZZZ", "/alerts/review"):
        client.get(address)
    with full.database.read() as connection:
        assert connection.execute(select(pseudonyms)).all() == before
        assert connection.execute(select(event_blocks)).all() == []


def test_the_status_is_looked_at_once_for_many_pages(site: Site) -> None:
    looked: list[int] = []

    class Counting:
        class service:
            @staticmethod
            def status() -> Status:
                looked.append(1)
                return site.server._status()

            class health:
                not_ready = staticmethod(lambda: ())

    watch = IngestWatch(Counting())  # type: ignore[arg-type]
    assert watch.now().trouble != "unknown"
    for _ in range(20):
        watch.now()
    assert len(looked) == 1


def test_after_a_minute_without_pages_the_status_is_waited_for(site: Site) -> None:
    time = [0.0]

    class Console:
        class service:
            status = site.server._status

            class health:
                not_ready = staticmethod(lambda: ())

    watch = IngestWatch(Console(), steady=lambda: time[0])  # type: ignore[arg-type]
    assert watch.now().trouble != "unknown"
    time[0] = 3_600.0
    assert watch.now().trouble != "unknown"


def test_an_open_page_learns_that_the_pipeline_died_and_that_it_came_back(
    full: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [Ingest(agents=3)]
    monkeypatch.setattr(IngestWatch, "now", lambda _: now[0])
    client = full.client(Role.ANALYST)
    text = client.get("/alerts").text
    well = changed(client, text)
    assert (well["mark"], well["notice"]) == (attribute(text, "mark"), "")
    now[0] = Ingest(trouble="pipeline", down=("pipeline",), agents=3)
    dead = changed(client, text)
    assert dead["mark"] != well["mark"]
    assert "cannot read events (pipeline)" in dead["notice"]
    part = client.get("/alerts?leavers=1&severity=low", headers=PART).text
    assert "cannot read events (pipeline)" in part.partition("data-notice")[2]
    now[0] = Ingest(trouble="some_silent", agents=200, silent=199)
    assert "199 of 200 agents are silent" in changed(client, text)["notice"]
    now[0] = Ingest(agents=3)
    assert changed(client, text)["mark"] == well["mark"]


def test_a_page_whose_rows_are_all_done_does_not_say_that_all_is(full: Site) -> None:
    client = full.client(Role.ANALYST)
    text = client.get("/alerts").text
    after, first = attribute(text, "next"), list(rows_in(text))
    with full.database.begin() as connection:
        values = {"status": "closed", "closed_at": NOW + 1, "updated_at": NOW + 1}
        connection.execute(update(alerts).where(alerts.c.id.not_in(first)).values(values))
    behind = client.get(f"/alerts?after={after}").text
    assert "Nothing behind here" in behind
    assert "Queue clear" not in behind
    with full.database.begin() as connection:
        connection.execute(
            update(alerts)
            .where(alerts.c.status == "open")
            .values(
                snoozed_until=full.clock() + 60_000,
                snoozed_score=alerts.c.score,
                snoozed_events=alerts.c.events,
                snoozed_last=alerts.c.last_time,
            )
        )
    assert "100 alerts sleep" in client.get("/alerts").text


def test_every_rule_that_is_shipped_has_a_title_in_chinese() -> None:
    titles = {
        found[1].strip().strip("'\"")
        for path in SHIPPED_RULES.rglob("*.yml")
        for found in re.finditer(r"^title:(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(titles) > 80
    assert titles - chinese().keys() == set()


@pytest.mark.databases("sqlite")
def test_the_leavers_view_asks_for_the_seven_days_that_it_names(site: Site) -> None:
    today = datetime.fromtimestamp(site.clock() / 1000, UTC).date()
    page = site.client(Role.ANALYST).get("/alerts").text
    address = f'href="/alerts?leavers=1&amp;since={today - timedelta(days=6)}"'
    assert re.search(rf"{re.escape(address)}[^>]*>\s*Leavers, last 7 days", page)
