"""The stream of marks: what it tells, to how many, and when it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from sqlalchemy import delete, update

from server.console.live_queue import STREAMS_OF_SESSION, LiveQueue
from server.people.roles import Role
from server.store.tables import alerts, console_sessions
from tests.server.console.site import Site

pytestmark = pytest.mark.databases("sqlite")


def marks(lines: Iterator[str]) -> Iterator[str]:
    return (line.removeprefix("data: ") for line in lines if line.startswith("data: "))


def test_a_stream_begins_where_the_page_was_made_and_holds_nothing_but_marks(site: Site) -> None:
    client = site.client(Role.ANALYST)
    page = client.get("/alerts").text
    mark = page.partition('data-mark="')[2].partition('"')[0]
    assert len(mark) == 16
    with client.stream("GET", f"/alerts/live?from={mark}") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        lines = answer.iter_lines()
        assert next(lines) == "retry: 8000"
        with site.database.begin() as connection:
            connection.execute(update(alerts).values(owner="eve", triage_version=9))
        later = next(marks(lines))
        assert later != mark
    with client.stream("GET", f"/alerts/live?from={mark}") as answer:
        assert next(marks(answer.iter_lines())) == later


def test_a_session_has_a_few_streams_and_gets_them_back(site: Site) -> None:
    client = site.client(Role.ANALYST)
    with ExitStack() as open_ones:
        # Kept: a reader that goes closes its stream.
        read = []
        for _ in range(STREAMS_OF_SESSION):
            answer = open_ones.enter_context(client.stream("GET", "/alerts/live"))
            read.append(marks(answer.iter_lines()))
            assert len(next(read[-1])) == 16
        assert client.get("/alerts/live").status_code == 429
        assert _works(site.client(Role.ANALYST))
    deadline = time.monotonic() + 10
    while not _works(client) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _works(client)


def _works(client: httpx.Client) -> bool:
    with client.stream("GET", "/alerts/live") as answer:
        return answer.status_code == 200


def test_a_stream_ends_with_its_session(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.console.live_queue.SESSION_SECONDS", 0.1)
    client = site.client(Role.ANALYST)
    with client.stream("GET", "/alerts/live") as answer:
        lines = answer.iter_lines()
        next(marks(lines))
        with site.database.begin() as connection:
            connection.execute(delete(console_sessions))
        assert "event: ended" in list(lines)


def test_a_stream_ends_where_the_queue_cannot_be_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = site.client(Role.ANALYST)
    with client.stream("GET", "/alerts/live") as answer:
        lines = answer.iter_lines()
        next(marks(lines))
        monkeypatch.setattr(LiveQueue, "_look", lambda _: None)
        assert [line for line in lines if line.startswith("data")] == []


def test_a_server_that_stops_does_not_wait_for_listeners(site: Site) -> None:
    client = site.client(Role.ANALYST)
    with client.stream("GET", "/alerts/live") as answer:
        lines = answer.iter_lines()
        next(marks(lines))
        threading.Timer(0.1, site.server.https.stop).start()
        begun = time.monotonic()
        assert [line for line in lines if line.startswith("data")] == []
        assert time.monotonic() - begun < 1.9
