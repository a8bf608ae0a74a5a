"""A person's risk over time: what the tables hold, without what was judged harmless, by pseudonym."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import insert, update

from server.alerts.person_risk import PersonRisk, person_risk
from server.alerts.queries import UnknownAlert, Verdict, close_alert
from server.commands.alerts import alerts as command
from server.people.pseudonyms import UnknownPseudonym
from server.store.database import Database
from server.store.tables import anomaly_days, channel_days, models, queue_days, rule_days
from tests.server.alerts.recorded_leak import DAY, NOW, RULE, record_leak

DAY_MS = 86_400_000
SUBJECT = "person:E1007"
FAMILY = "removable_storage_copy"


def strange(database: Database, day: int, points: float, family: str = FAMILY, slow: float = 0.0) -> None:
    values: dict[str, Any] = {
        "subject": SUBJECT,
        "day": day,
        "points": points,
        "uncalmed": points,
        "slow_points": slow,
        "family": family,
        "slow_family": family if slow else "",
        "evidence": "{}",
        "uncalmed_evidence": "{}",
    }
    with database.begin() as connection:
        connection.execute(insert(anomaly_days).values(values))


def seen(database: Database, day: int) -> None:
    """Something ordinary, on a day of theirs."""
    values = {"subject": SUBJECT, "channel": "printing", "day": day, "day_type": "work", "events": 1}
    values |= {"bytes": 0, "files": 0, "items": 1, "new_places": 0}
    times = {"first_time": day * DAY_MS, "last_time": day * DAY_MS}
    with database.begin() as connection:
        connection.execute(insert(channel_days).values(values | times))


def scores(found: PersonRisk) -> list[int | None]:
    return [each.score for each in found.days]


def close(database: Database, verdict: Verdict) -> None:
    with database.begin() as connection:
        close_alert(connection, 1, verdict, "looked at it", "cli:omar", NOW + 1000)


def test_the_risk_rises_on_the_leak_s_day_and_fades_and_its_shares_add_up(database: Database) -> None:
    record_leak(database)
    strange(database, DAY, 60.0, slow=30.0)
    seen(database, DAY - 40)
    found = person_risk(database, "1", 20, now=NOW + 10 * DAY_MS)
    assert [each.date for each in (found.days[0], found.days[-1])] == ["2026-11-13", "2026-12-02"]
    assert scores(found)[:9] == [0] * 9
    peak = found.days[9]
    assert peak.date == "2026-11-22"
    last = found.days[-1].score
    assert peak.score is not None and last is not None
    assert peak.score == max(score or 0 for score in scores(found)) > last > 0
    assert {share.source for share in peak.shares} == {RULE, "anomaly", "slow_anomaly"}
    assert all(sum(share.points for share in each.shares) == each.score for each in found.days)
    assert all(share.title != share.source for share in peak.shares)
    assert [(each.id, each.score, each.status) for each in found.alerts] == [(1, 87, "open")]
    assert found.days_judged_harmless == 0


def test_other_families_count_by_themselves_and_together(database: Database) -> None:
    record_leak(database)
    strange(database, DAY - 3, 60.0, "upload")
    found = person_risk(database, "1", 5, now=NOW)
    assert found.days[1].families == {"upload": 60}
    assert set(found.days[-1].families) == {"upload", FAMILY}
    assert (found.days[-1].score or 0) > max(found.days[-1].families.values())


def test_building_blocks_of_correlations_are_no_risk_by_themselves(database: Database) -> None:
    record_leak(database)
    before = person_risk(database, "1", 5, now=NOW)
    block = {"subject": SUBJECT, "rule_id": "block", "channel": "uploads", "day": DAY, "family": ""}
    times = {"first_time": NOW, "last_time": NOW, "first_version": 1, "last_version": 1}
    with database.begin() as connection:
        values = block | times | {"level": "high", "title": "A file is taken out", "hits": 3}
        connection.execute(insert(rule_days).values(values))
    assert person_risk(database, "1", 5, now=NOW) == before


@pytest.mark.parametrize("verdict", list(Verdict))
def test_what_was_closed_as_harmless_counts_no_longer_and_what_was_confirmed_does(
    database: Database, verdict: Verdict
) -> None:
    record_leak(database)
    strange(database, DAY, 60.0)
    strange(database, DAY - 3, 55.0, "upload")
    before = person_risk(database, "1", 5, now=NOW)
    close(database, verdict)
    found = person_risk(database, "1", 5, now=NOW)
    if verdict in (Verdict.EXPECTED, Verdict.FALSE):
        assert found.days[-1].families.keys() == {"upload"}
        assert found.days_judged_harmless == 1
    else:
        assert scores(found) == scores(before)
    assert found.alerts[0].verdict == verdict


def test_what_comes_after_the_verdict_counts_again(database: Database) -> None:
    record_leak(database)
    strange(database, DAY, 60.0)
    close(database, Verdict.FALSE)
    with database.begin() as connection:
        connection.execute(update(anomaly_days).values(points=95.0))
    assert person_risk(database, "1", 1, now=NOW).days[-1].families == {FAMILY: 95}
    with database.begin() as connection:
        connection.execute(update(rule_days).values(hits=rule_days.c.hits + 1))
    assert person_risk(database, "1", 1, now=NOW).days[-1].families[FAMILY] > 95


def test_days_of_which_nothing_is_kept_are_not_known_and_the_first_ones_after_them_not_whole(
    database: Database,
) -> None:
    record_leak(database)
    seen(database, DAY)
    strange(database, DAY, 60.0)
    for days_later, known_from, whole_from in (
        (50, "2026-11-22", "2026-11-22"),
        (300, "2027-06-19", "2027-09-16"),
    ):
        found = person_risk(database, "1", 365, now=NOW + days_later * DAY_MS, events_days=90)
        assert found.known_from == known_from
        assert found.whole_from == whole_from
        unknown = [each for each in found.days if each.date < known_from]
        assert {(each.score, each.shares) for each in unknown} == {(None, ())}
        assert all(each.families == {} for each in unknown)
        assert all(each.score is not None for each in found.days[len(unknown) :])
    # The leak itself is older than what is kept, whether housekeeping dropped it yet or not.
    assert {each.score for each in found.days} == {None, 0}
    short = person_risk(database, "1", 365, now=NOW + 300 * DAY_MS, events_days=30)
    assert (short.known_from, short.whole_from) == ("2027-08-18", None)
    whole = person_risk(database, "1", 365, now=NOW + 300 * DAY_MS, events_days=None)
    assert (whole.known_from, whole.whole_from) == ("2026-11-22", "2026-11-22")
    assert whole.days[-301].score == 88


def test_before_anything_was_seen_of_a_person_nothing_is_known(database: Database) -> None:
    record_leak(database)
    for day in (DAY - 3, DAY):
        seen(database, day)
    found = person_risk(database, "1", 7, now=NOW, events_days=90)
    assert scores(found) == [None, None, None, 0, 0, 0, found.days[-1].score]
    assert (found.known_from, found.whole_from) == ("2026-11-19", "2026-11-19")


def test_a_person_goes_by_pseudonym_or_alert_and_never_by_id(database: Database) -> None:
    record_leak(database)
    found = person_risk(database, "1", 5, now=NOW)
    assert person_risk(database, found.pseudonym.lower(), 5, now=NOW) == found
    for given in ("E1007", "alice", "P-00000"):
        with pytest.raises(UnknownPseudonym):
            person_risk(database, given, 5, now=NOW)
    for given in ("2", "9" * 40):
        with pytest.raises(UnknownAlert):
            person_risk(database, given, 5, now=NOW)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("columns", ["60", "80", "200"])
@pytest.mark.parametrize("days", ["1", "7", "90", "365"])
def test_the_chart_fits_the_terminal_and_names_nobody(
    database: Database, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, columns: str, days: str
) -> None:
    record_leak(database)
    strange(database, DAY, 60.0, slow=20.0)
    monkeypatch.setattr("server.commands.alerts.system_clock", lambda: NOW)
    options = ["risk", "1", "--days", days, "--data", str(tmp_path)]
    shown = CliRunner().invoke(command, options, env={"COLUMNS": columns})
    assert shown.exit_code == 0, shown.output
    # Nothing was seen of them before, so those days are no zeros in the picture either.
    assert ("· before 2026-11-22 nothing is known" in " ".join(shown.stdout.split())) == (days != "1")
    assert max(map(len, shown.stdout.splitlines())) <= min(int(columns), 140)
    assert "█" in shown.stdout
    assert "by family" in shown.stdout
    assert "E1007" not in shown.stdout


@pytest.mark.databases("sqlite")
def test_the_line_of_the_chart_is_today_s_else_this_week_s_else_50(
    database: Database, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn() -> tuple[int, int]:
        shown = CliRunner().invoke(command, ["risk", "1", "--days", "20", "--data", str(tmp_path)])
        line = next(each for each in shown.stdout.splitlines() if "╌" in each)
        told = CliRunner().invoke(command, ["risk", "1", "--data", str(tmp_path), "--json"])
        return int(line.split("│")[0]), json.loads(told.stdout)["line"]

    monkeypatch.setattr("server.commands.alerts.system_clock", lambda: NOW)
    record_leak(database)
    seen(database, DAY - 15)
    assert drawn() == (50, 50)
    row = {"kind": "activities", "created_at": 0, "active": True, "summary": {"risk_line": 63}}
    with database.begin() as connection:
        connection.execute(insert(models).values(row | {"state": b""}))
    assert drawn() == (63, 63)
    with database.begin() as connection:
        connection.execute(insert(queue_days).values(queue="day", day=NOW // DAY_MS, cap=3, line=70))
    assert drawn() == (70, 70)


@pytest.mark.databases("sqlite")
def test_of_quiet_days_there_is_nothing_to_draw(
    database: Database, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_leak(database)
    monkeypatch.setattr("server.commands.alerts.system_clock", lambda: NOW + 200 * DAY_MS)
    shown = CliRunner().invoke(command, ["risk", "1", "--data", str(tmp_path)])
    assert "risk 0 today\nNothing in 90 days." in shown.stdout
