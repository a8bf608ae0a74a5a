"""The CERT r4.2 layout: what its rows become, and that scores come from the past alone.

cert_r42/ was made by hand: four users, two weeks, one of them copying customer lists at night on 2010-06-03.
It has what real folders have: rows out of order, a file without ids, a byte order mark, text over several
lines, rows that are broken, somebody who is in no LDAP month, and somebody whom the last month no longer has.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from event_schema.catalogue import load_catalogue
from event_schema.ocsf_account_events import ApiActivity, Authentication
from event_schema.ocsf_endpoint_events import FileSystemActivity, PeripheralActivity
from event_schema.ocsf_objects import DriveType
from event_schema.ocsf_transfer_events import EmailActivity
from policies.rule_file import load_policies
from server.command_line import main as leaver
from server.evaluation.cert import reading
from server.evaluation.cert.acts import Acts
from server.evaluation.cert.layout import BadRow, Row, moment, user_name
from server.evaluation.cert.people import hr_file, read_ldap
from server.evaluation.cert.reading import BadRows, UnreadableFolder, read_folder
from server.evaluation.cert.scoring import CertSummary, score_folder

FIXTURE = Path(__file__).parent / "cert_r42"
NOON = moment("06/02/2010 12:00:00")


def nothing(_what: str, _done: int, _of: int) -> None:
    return


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURE, tmp_path / "cert"))


def scores(folder: Path) -> tuple[list[dict[str, str]], CertSummary]:
    out = io.StringIO()
    until = date(2010, 5, 31)
    summary = score_folder(folder, out, load_policies(), train_until=until, progress=nothing)
    return list(csv.DictReader(io.StringIO(out.getvalue()))), summary


Scored = tuple[list[dict[str, str]], CertSummary]


@pytest.fixture(scope="module")
def whole() -> Scored:
    """Of the fixture as it is."""
    return scores(FIXTURE)


def rows_of(folder: Path, scratch: Path) -> Iterator[Row]:
    scratch.mkdir()
    for _, rows in read_folder(folder, scratch, load_catalogue(), nothing).days():
        yield from rows


def test_every_user_day_after_the_training_that_has_activity_gets_a_score_in_the_order_of_time(
    whole: Scored,
) -> None:
    found, summary = whole
    places = [(row["day"], row["user"]) for row in found]
    assert places == sorted(set(places))
    assert len(places) == summary.scored_user_days == 14
    assert min(row["day"] for row in found) == "2010-06-01"
    # Only a visit that Leaver would not collect, but a day with activity.
    assert ("2010-06-05", "DEF0002") in places
    assert ("2010-06-03", "JKL0004") not in places
    assert all(0 <= float(row["score"]) <= 100 and row["reason"] for row in found)


def test_who_copies_customer_lists_at_night_has_the_highest_score_and_a_reason(whole: Scored) -> None:
    found, _ = whole
    worst = max(found, key=lambda row: float(row["score"]))
    assert (worst["user"], worst["day"]) == ("GHI0003", "2010-06-03")
    assert "ustomer" in worst["reason"]


def test_bad_rows_are_counted_and_told_with_file_and_line_and_lose_nothing_else(whole: Scored) -> None:
    _, summary = whole
    assert summary.rows == {
        "logon.csv": 78,
        "device.csv": 23,
        "file.csv": 50,
        "email.csv": 32,
        "http.csv": 41,
    }
    assert summary.first_bad == [
        ("logon.csv", 78, "the date is not MM/DD/YYYY HH:MM:SS"),
        ("logon.csv", 79, "the user is no name"),
        ("device.csv", 24, "the activity is neither connect nor disconnect"),
        ("email.csv", 33, "an address is no mail address"),
    ]
    # 76 logons, 22 devices, 50 copies, 1 mail to the outside, 10 hours with visits of a known place.
    assert summary.events == 76 + 22 + 50 + 1 + 10
    assert summary.not_told == {"http": 11}


def test_who_is_missing_from_later_months_changes_no_score(folder: Path, whole: Scored) -> None:
    (folder / "LDAP" / "2010-06.csv").unlink()
    assert scores(folder)[0] == whole[0]


def test_what_comes_later_changes_no_earlier_score(folder: Path, whole: Scored) -> None:
    for path in folder.glob("*.csv"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if "06/04/2010" not in line), encoding="utf-8")
    until = [row for row in scores(folder)[0] if row["day"] < "2010-06-04"]
    assert until == [row for row in whole[0] if row["day"] < "2010-06-04"]


@pytest.mark.parametrize("only", ["logon.csv", "http.csv", "file.csv"])
def test_any_file_may_be_missing(folder: Path, only: str) -> None:
    for path in folder.glob("*.csv"):
        if path.name != only:
            path.unlink()
    shutil.rmtree(folder / "LDAP")
    found, summary = scores(folder)
    assert found
    assert list(summary.rows) == [only]


def test_rows_come_in_the_order_of_time_whatever_their_order_in_and_across_files(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(rows_of(folder, tmp_path / "one"))
    assert [row.time for row in whole] == sorted(row.time for row in whole)
    assert {row.kind for row in whole} == {"logon", "device", "file", "email", "http"}
    # Many runs that are merged give the same as one.
    monkeypatch.setattr(reading, "RUN_ROWS", 7)
    assert list(rows_of(folder, tmp_path / "many")) == whole


def test_a_folder_without_any_of_the_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFolder, match="none of logon"):
        read_folder(tmp_path, tmp_path, load_catalogue(), nothing)


def test_a_file_without_a_column_that_is_needed_is_refused_with_its_name(folder: Path) -> None:
    (folder / "file.csv").write_text("id,date,user,filename\n", encoding="utf-8")
    with pytest.raises(UnreadableFolder, match=r"file\.csv, line 1: no column pc"):
        scores(folder)


def test_an_empty_file_is_refused_with_its_name(folder: Path) -> None:
    (folder / "http.csv").write_bytes(b"")
    with pytest.raises(UnreadableFolder, match=r"http\.csv: it is empty"):
        scores(folder)


def test_a_clock_that_was_wrong_once_does_not_cost_a_walk_through_centuries(folder: Path) -> None:
    with (folder / "logon.csv").open("a", encoding="utf-8") as file:
        file.write("{x},01/01/2950 08:00:00,ABC0001,PC-1001,Logon\n")
    found, summary = scores(folder)
    assert summary.last_day == "2950-01-01"
    assert found[-1]["day"] == "2950-01-01"


@pytest.mark.parametrize(
    "text", ["", "2010-06-02 12:00:00", "02/30/2010 12:00:00", "06/02/2010 24:00:00", "06/02/2010", "x" * 19]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(BadRow, match="MM/DD/YYYY"):
        moment(text)


def test_a_domain_before_the_user_is_left_out() -> None:
    assert user_name("DTAA/ABC0001") == user_name("ABC0001") == user_name("DTAA\\ABC0001") == "ABC0001"


def test_a_row_becomes_what_a_collector_would_have_told() -> None:
    rows = [
        Row(NOON, "logon", "U1", "PC-1", "on"),
        Row(NOON, "device", "U1", "PC-1", "off"),
        Row(NOON, "file", "U1", "PC-1", "Plan.DOC"),
        Row(NOON, "email", "U1", "PC-1", "2 512 u1@dtaa.com dtaa.com,gmail.com,sub.dtaa.com"),
        Row(NOON, "email", "U1", "PC-1", "2 512 u1@dtaa.com dtaa.com"),
        Row(NOON, "http", "U1", "PC-1", "dropbox.com"),
        Row(NOON + 60_000, "http", "U1", "PC-1", "dropbox.com"),
    ]
    events = list(Acts(frozenset({"dtaa.com"}), load_catalogue()).of_day(rows))
    login, device, copy, mail, visit = events
    assert isinstance(login, Authentication) and login.user.name == "U1"
    assert isinstance(device, PeripheralActivity) and device.activity_id == 2
    assert isinstance(copy, FileSystemActivity)
    assert (copy.file.ext, copy.file.drive_type_id, copy.file.size) == ("doc", DriveType.REMOVABLE, None)
    assert isinstance(mail, EmailActivity)
    assert mail.email.to == ("*@gmail.com",)
    assert (mail.email.size, len(mail.email.files or ())) == (512, 2)
    assert isinstance(visit, ApiActivity)
    assert (visit.api.operation, visit.count) == ("visit", 2)
    assert visit.resources is not None and visit.resources[0].name == "Dropbox"
    assert all(event.unmapped.evidence.observed_by == "simulated" for event in events)


def test_departments_are_those_of_the_month_in_which_training_ends() -> None:
    known = read_ldap(FIXTURE / "LDAP", "2010-05", BadRows())
    assert {user: person.department for user, person in known.items()} == {
        "ABC0001": "1 - Field",
        "GHI0003": "1 - Field",
        "JKL0004": "2 - Office",
    }
    people = list(csv.DictReader(io.StringIO(hr_file(known, ["DEF0002"]).decode())))
    assert [person["id"] for person in people] == ["ABC0001", "DEF0002", "GHI0003", "JKL0004"]
    assert "last working day" not in people[0]


def test_the_command_writes_scores_and_a_summary(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    done = CliRunner().invoke(leaver, ["eval", "cert", str(folder), "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    assert out.read_text(encoding="utf-8").splitlines()[0] == "user,day,score,alerted,reason"
    summary = orjson.loads(done.stdout)
    assert summary["scored_user_days"] == 14
    assert summary["own_domains"] == ["dtaa.com"]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(("until", "scored"), [("2009-01-01", 38), ("2011-01-01", 0)])
def test_a_date_before_or_behind_all_rows_scores_all_or_nothing(
    until: str, scored: int, tmp_path: Path
) -> None:
    out = tmp_path / "scores.csv"
    arguments = [str(FIXTURE), "--train-until", until, "--out", str(out), "--json"]
    done = CliRunner().invoke(leaver, ["eval", "cert", *arguments])
    assert done.exit_code == 0, done.output
    assert len(out.read_text(encoding="utf-8").splitlines()) == 1 + scored
    assert orjson.loads(done.stdout)["cold_start"]


def test_the_command_says_what_it_cannot_read(tmp_path: Path) -> None:
    done = CliRunner().invoke(leaver, ["eval", "cert", str(tmp_path)])
    assert done.exit_code == 1
    assert "none of logon.csv" in done.output
