"""`leaver erase`: says what would go, asks, erases, and is understood by programs."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from sqlalchemy import select

from server.commands.erase_text import result_text
from server.data_directory import DataDirectory
from server.installation import created_installation
from server.store.tables import audit, people
from tests.server.erasure.shared_machine import PERSON, flow, prepare, traces_in_rows
from tests.server.pipeline.conftest import NOW, Server
from tests.server.up.up_process import leaver

pytestmark = pytest.mark.databases("sqlite")
REASON = ("--reason", "request 17")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Of an installation with a person on a machine that others use too."""
    directory = DataDirectory(tmp_path)
    with created_installation(directory, directory.load_config(), clock=lambda: NOW):
        pass
    server = Server(tmp_path, f"sqlite:///{tmp_path}/leaver.db")
    by_endpoint = flow(random.Random(1), 4)
    prepare(server, by_endpoint)
    for records in by_endpoint.values():
        server.take(*records)
    server.close()
    return tmp_path


def _people(data: Path) -> int:
    server = Server(data, f"sqlite:///{data}/leaver.db")
    with server.database.read() as connection:
        number = len(connection.execute(select(people)).all())
    server.close()
    return number


def test_a_dry_run_says_what_would_go_and_changes_nothing(data: Path) -> None:
    done = leaver("erase", "person", PERSON, *REASON, "--dry-run", data=data)
    assert done.returncode == 0
    assert done.stdout.startswith(f"To be erased, person {PERSON}:\n")
    assert "1  row of HR's list\n" in done.stdout
    assert "written anew where others' are in them too" in done.stdout
    assert "2  people whose manager is left empty" in done.stdout
    stays = done.stdout[done.stdout.index("Stays as proof") :].splitlines()
    assert stays[1] == "  2 entries of the audit trail about this erasure, by digest, for good"
    assert re.fullmatch(
        r"  3 digests of accounts, so that their later events are dropped, until 20\d\d-\d\d-\d\d", stays[2]
    )
    assert _people(data) == 3


def test_what_is_told_beforehand_is_told_afterwards_in_the_same_words(data: Path) -> None:
    would = leaver("erase", "person", PERSON, *REASON, "--dry-run", data=data).stdout.splitlines()
    done = leaver("erase", "person", PERSON, *REASON, "--yes", data=data).stdout
    erased = done[done.index("Erased:") :].splitlines()
    told = {line.strip() for line in would[1:] if line.startswith("  ")}
    assert len(told) > 5
    assert {" ".join(line.split()) for line in told} <= {" ".join(line.split()) for line in erased}


def test_one_and_several_have_words_of_their_own() -> None:
    rows = {"accounts": 1, "alerts": 2, "subject_events": 7}
    assert result_text(rows, (), 1).splitlines() == [
        "Erased:",
        "  1  account",
        "  2  alerts",
        "1 record waits on the log: what is to be erased there is dropped as it is read.",
        "Out of reach: endpoints' own spools, backups, archived WAL.",
    ]


def test_nobody_there_to_be_asked_is_wrong_usage(data: Path) -> None:
    done = leaver("erase", "person", PERSON, *REASON, data=data)
    assert done.returncode == 2
    assert (done.stdout, done.stderr) == ("", "leaver: nobody is there to be asked: say --yes\n")
    assert _people(data) == 3


def test_what_went_is_said_to_people_and_to_programs_and_a_second_time_nothing_is_left(data: Path) -> None:
    would = json.loads(leaver("erase", "person", PERSON, *REASON, "--dry-run", "--json", data=data).stdout)
    done = leaver("erase", "person", PERSON, *REASON, "--yes", "--json", data=data)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["kind"], said["dry_run"], said["left"], said["waiting"]) == ("person", False, [], 0)
    assert said["rows"]["blocks_rewritten"] > 0
    assert [stays["number"] for stays in said["stays"]] == [2, 3]
    assert [stays["until"] is None for stays in said["stays"]] == [True, False]
    for table, rows in would["rows"].items():
        assert said["rows"][table] == rows, table
    server = Server(data, f"sqlite:///{data}/leaver.db")
    assert traces_in_rows(server) == []
    with server.database.read() as connection:
        actions = connection.execute(select(audit.c.action, audit.c.reason)).all()
        assert ("erasure.begin", "request 17") in [tuple(row) for row in actions]
    server.close()
    again = leaver("erase", "person", PERSON, *REASON, "--yes", data=data)
    assert again.returncode == 0
    assert "nothing is kept" in again.stdout
    assert "is a digest, which names nobody" in leaver("erase", "list", data=data).stdout
    assert (data / "pki" / "seal.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("reason", ["Xanthippe asked", f"for {PERSON}", "Ms xanthippe zymborska wrote"])
def test_a_reason_that_names_the_person_is_refused(data: Path, reason: str) -> None:
    named = leaver("erase", "person", PERSON, "--reason", reason, "--yes", data=data)
    refused = "names whom it is about" in named.stderr
    assert (named.returncode, refused) == (2, True), named.stderr
    assert _people(data) == 3


def test_unknown_people_accounts_and_days_that_are_not_over_are_refused(data: Path) -> None:
    assert leaver("erase", "person", "E404", *REASON, "--yes", data=data).returncode == 1
    assert leaver("erase", "account", "bob", *REASON, "--yes", data=data).returncode == 1
    assert leaver("erase", "day", "2199-01-01", *REASON, "--yes", data=data).returncode == 2
    assert leaver("erase", "day", "2026-11-02", "2026-11-01", *REASON, "--yes", data=data).returncode == 2
    assert leaver("erase", "day", "yesterday", *REASON, "--yes", data=data).returncode == 2


def test_an_alert_on_a_block_that_was_rewritten_says_what_its_proof_rests_on(data: Path) -> None:
    assert leaver("erase", "person", PERSON, *REASON, "--yes", data=data).returncode == 0
    queue = json.loads(leaver("alerts", "list", "--json", data=data).stdout)
    shown = leaver("alerts", "show", str(queue[0]["id"]), data=data)
    assert "all good" in shown.stdout
    assert "events were erased from" in shown.stdout
    assert "this installation's seal for what is left" in shown.stdout
