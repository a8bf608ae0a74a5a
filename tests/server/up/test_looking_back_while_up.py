"""Somebody is flagged while the server runs: what they did before raises an alert within a minute."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.server.pipeline.endpoint import copied_file
from tests.server.up.conftest import Start
from tests.server.up.enrolled_agent import EnrolledAgent
from tests.server.up.up_process import leaver, leaver_json

pytestmark = pytest.mark.databases("sqlite")
DAY = 86_400_000


def test_a_flag_raises_an_alert_about_the_weeks_before_within_a_minute(tmp_path: Path, start: Start) -> None:
    up = start(tmp_path / "data")
    people = tmp_path / "people.csv"
    people.write_text("id,accounts\nE1,alice\nE2,bob\n")
    assert leaver("people", "import", "--yes", str(people), data=up.data).returncode == 0
    now = time.time_ns() // 1_000_000
    with up.client() as client:
        agent = EnrolledAgent(client, up.data, "desk-0")
        for day in range(20):
            files = [
                copied_file(
                    now - day * DAY - 1000, name=f"{day}.{kind}", size=2_000_000, account=who, host="desk-0"
                )
                for who in ("alice", "bob")
                for kind in ("zip", "xlsx")
            ]
            assert agent.send_events(files).status_code == 200
    deadline = time.monotonic() + 60
    while leaver_json("status", data=up.data)["log"]["lag"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert leaver_json("alerts", "list", data=up.data) == []
    last_day = (datetime.now(UTC) + timedelta(days=6)).date().isoformat()
    flagged = time.monotonic()
    done = leaver("people", "flag", "E1", "--last-day", last_day, "--reason", "case 9", data=up.data)
    assert done.returncode == 0, done.stderr
    while not (found := leaver_json("alerts", "list", data=up.data)):
        assert time.monotonic() < flagged + 60
        time.sleep(0.2)
    (alert,) = found
    assert alert["who"]["status"] == "notice"
    assert alert["looked_back_at"] >= now
    shown = leaver("alerts", "show", str(alert["id"]), data=up.data)
    assert "by looking back, under what HR said by" in " ".join(shown.stdout.split())
    state = leaver_json("status", data=up.data)["look_backs"]
    assert (state["waiting"], state["finished"], state["events_finished"], state["opened"]) == (0, 1, 40, 1)
    words = " ".join(leaver("status", data=up.data).stdout.split())
    assert "looking back 1 done" in words
    assert "40 events scored again, 1 alert opened, 0 changed" in words
    assert up.terminate()[0] == 0
