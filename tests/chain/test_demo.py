"""The demo as a user runs it: real collector, agent, server, model and alert, joined. Nothing is prepared."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.server.up.up_process import leaver

DEMO = Path(__file__).parents[2] / "deploy" / "demo.py"
FILES = 5
MEGABYTES = 30


def _demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DEMO), "--folder", str(folder), *options],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a demo whose server and agent still run."""
    made = tmp_path_factory.mktemp("demo") / "run"
    done = _demo(
        made, "--name", "contracts", "--files", str(FILES), "--megabytes", str(MEGABYTES), "--seed", "3"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    yield made
    _demo(made, "--stop")


@pytest.fixture(scope="module")
def shown(folder: Path) -> dict[str, Any]:
    listed = json.loads(leaver("alerts", "list", "--json", data=folder / "server").stdout)
    assert len(listed) == 1
    number = str(listed[0]["id"])
    found: dict[str, Any] = json.loads(
        leaver("alerts", "show", number, "--json", data=folder / "server").stdout
    )
    return found


def test_the_alert_names_exactly_the_files_that_were_copied(folder: Path, shown: dict[str, Any]) -> None:
    copied = {
        path.name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in (folder / "place" / "office").iterdir()
    }
    assert len(copied) == FILES
    files = [item["event"]["file"] for item in shown["evidence"]["largest"]]
    assert {file["name"]: (file["size"], file["hashes"][0]["value"]) for file in files} == copied
    assert shown["evidence"]["bytes"] == sum(size for size, _ in copied.values())
    assert shown["facts"]["copy"]["files"] == FILES


def test_the_alert_says_who_with_what_and_where_to(folder: Path, shown: dict[str, Any]) -> None:
    events = [item["event"] for item in shown["evidence"]["largest"]]
    assert {event["unmapped"]["peripheral_device"]["name"] for event in events} == {
        str((folder / "place").resolve() / "stick")
    }
    person = shown["alert"]["suspected_actor"]
    assert (person["status"], person["days_to_last_day"]) == ("notice", 6)
    assert {event["actor"]["user"]["name"] for event in events} == {person["pseudonym"]}
    if os.geteuid() == 0:
        assert {event["actor"]["process"]["name"] for event in events} == {"cp"}
        assert {event["unmapped"]["evidence"]["fidelity"] for event in events} == {"exact"}


def test_the_alert_explains_its_score_and_proves_its_evidence(shown: dict[str, Any]) -> None:
    assert sum(share["points"] for share in shown["shares"]) == shown["alert"]["score"]
    assert {"anomaly"} < {share["source"] for share in shown["shares"]}
    proof = shown["proof"]
    assert (proof["good"], proof["events"], proof["bad"]) == (True, FILES, [])
    assert {proof[nothing] for nothing in ("missing", "sealed", "erased")} == {0}


def test_another_demo_does_not_take_the_place_of_one_that_runs(folder: Path) -> None:
    refused = _demo(folder)
    assert (refused.returncode, "make demo-stop" in refused.stdout) == (1, True)
    pids = [int(line.split()[0]) for line in (folder / "pids").read_text().splitlines()]
    assert all(psutil.pid_exists(pid) for pid in pids)
    assert (folder / "server" / "leaver.db").exists()


def test_stopping_the_demo_leaves_no_program_and_no_mount(folder: Path) -> None:
    pids = [int(line.split()[0]) for line in (folder / "pids").read_text().splitlines()]
    assert len(pids) == 2
    place = (folder / "place").resolve()
    assert _demo(folder, "--stop").returncode == 0
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    assert str(place) not in Path("/proc/self/mountinfo").read_text()
