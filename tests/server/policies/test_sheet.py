"""The sheet of policies: what each found of the alerts that people saw, what they made of these; no names."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import insert

from policies import rule_file
from policies.rule_file import ParsedText, RuleText
from server.policies.figures import FIGURE_DAYS, NO_FIGURES, policy_figures
from server.policies.running import PolicyLoader
from server.policies.sheet import FRESH_MS, PolicySheets, SheetRow
from server.policies.versions import save, set_version, switch
from server.store.database import Database
from server.store.tables import alert_days, alerts, hidden_hits, rule_days
from tests.server.conftest import NOW
from tests.server.policies.rule_texts import BUILD_SERVER, COPIED, EXCEPTION, MANY, MANY_COPIED, RULE

TODAY = NOW // 86_400_000
FAMILY = "removable_storage_copy"
NAMED = COPIED.replace("id: 0f4d1c0e", "name: copied\nid: 0f4d1c0e")


def alert(
    database: Database, number: int, days: list[int], *, verdict: str | None = None, status: str | None = None
) -> None:
    """Of a subject of its own, on which RULE hit on all these days (before today)."""
    subject = f"person:p{number}"
    row = {
        "id": number,
        "subject": subject,
        "family": FAMILY,
        "status": status or ("closed" if verdict else "open"),
        "by_rules": True,
        "score": 80,
        "traits": [],
        "sentence": {"en": "x"},
        "shares": [],
        "facts": {},
        "policy_version": "1",
        "first_time": 0,
        "last_time": 0,
        "events": 1,
        "opened_at": 0,
        "updated_at": 0,
        "verdict": verdict,
    }
    about = {"family": FAMILY, "level": "high", "title": "x", "hits": 2, "first_time": 0, "last_time": 0}
    with database.begin() as connection:
        connection.execute(insert(alerts).values(row))
        for ago in days:
            at = {"channel": "removable_storage", "day": TODAY - ago}
            connection.execute(insert(alert_days).values(alert=number, **at))
            connection.execute(
                insert(rule_days).values(
                    subject=subject, rule_id=RULE, first_version=1, last_version=1, **at, **about
                )
            )


def keep(database: Database, *texts: str) -> None:
    with database.begin() as connection:
        for text in texts:
            save(connection, text, file="a.yml", actor="cli:lin", reason="because", now=NOW)


def row(sheets: PolicySheets, rule_id: str = RULE, *, now: int = NOW) -> SheetRow:
    return next(each for each in sheets.sheet(now=now).rows if each.rule.id == rule_id)


def test_an_alert_counts_on_the_first_of_its_days_and_by_its_verdict(database: Database) -> None:
    alert(database, 1, [3, 2, 1])
    alert(database, 2, [3], verdict="confirmed")
    alert(database, 3, [0], verdict="expected")
    alert(database, 4, [0], verdict="false")
    alert(database, 5, [0], verdict="duplicate")
    alert(database, 6, [0], status="held")
    alert(database, 7, [FIGURE_DAYS], verdict="false")
    with database.read() as connection:
        found = policy_figures(connection, today=TODAY)[RULE]
    assert found.days[-4:] == (2, 0, 0, 3)
    assert (found.alerts, len(found.days)) == (5, FIGURE_DAYS)
    assert (found.confirmed, found.benign, found.precision) == (1, 3, 0.25)
    assert (found.hits, found.people, found.last_hit) == (16, 6, TODAY)


def test_noisy_ones_come_first_and_exceptions_that_end_soon_are_told(database: Database) -> None:
    quiet = COPIED.replace("0f4d1c0e", "1f4d1c0e").replace("A spreadsheet", "Quietly")
    keep(database, quiet, COPIED, BUILD_SERVER.replace("2026-12-31", "2026-11-30"))
    alert(database, 1, [1])
    with database.begin() as connection:
        connection.execute(
            insert(hidden_hits).values(exception_id=EXCEPTION, rule_id=RULE, day=TODAY, hits=7, last_time=NOW)
        )
    sheet = PolicySheets(database).sheet(now=NOW)
    assert [each.rule.title for each in sheet.rows] == [
        "A spreadsheet to removable storage",
        "Quietly to removable storage",
    ]
    assert (sheet.rows[0].exceptions, sheet.rows[0].expiring) == (1, 1)
    assert (sheet.rows[1].figures, sheet.rows[1].exceptions) == (NO_FIGURES, 0)
    assert [(each.id, each.hidden) for each in sheet.exceptions] == [(EXCEPTION, 7)]


@pytest.mark.databases("sqlite")
def test_a_correlation_looks_at_what_its_rules_look_at(database: Database) -> None:
    keep(database, NAMED, MANY_COPIED)
    sheets = PolicySheets(database)
    assert row(sheets, MANY).channels == row(sheets).channels == ("removable_storage",)
    assert row(sheets, MANY).kind == "correlation"


@pytest.mark.databases("sqlite")
def test_what_is_published_shows_at_once_and_what_was_found_within_a_minute(database: Database) -> None:
    keep(database, COPIED)
    sheets = PolicySheets(database)
    assert row(sheets).rule.state == "on"
    with database.begin() as connection:
        switch(connection, RULE, enabled=False, actor="cli:lin", reason="loud", now=NOW)
    alert(database, 1, [0])
    assert row(sheets).rule.state == "off"
    assert row(sheets).figures.alerts == 0
    later = NOW + FRESH_MS + 1
    assert row(sheets, now=later).figures.alerts == 0, "counted aside"
    sheets.join(30)
    assert row(sheets, now=later).figures.alerts == 1
    assert sheets.sheet(now=later).counted_at == later


@pytest.mark.databases("sqlite")
def test_a_rule_about_somebody_by_name_says_so(database: Database) -> None:
    named = COPIED.replace("    file.ext: xlsx\n", "    file.ext: xlsx\n    leaver.person.id: p1\n").replace(
        "with: {file.ext: XLSX}", "with: {file.ext: XLSX, leaver.person.id: p1}"
    )
    many = MANY_COPIED.replace("with: {file.ext: xlsx}", "with: {file.ext: xlsx, leaver.person.id: p1}")
    keep(database, named.replace("id: 0f4d1c0e", "name: copied\nid: 0f4d1c0e"), many)
    sheets = PolicySheets(database)
    assert row(sheets).names_people
    assert row(sheets, MANY).names_people, "it counts that one"


@pytest.mark.databases("sqlite")
def test_texts_are_parsed_once_for_the_pipeline_and_the_pages(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    parse = rule_file.parse_text

    def counting(text: RuleText) -> ParsedText:
        parsed.append(text.file)
        return parse(text)

    with database.begin() as connection:
        text = COPIED.replace("spreadsheet", "table that nobody parsed before")
        save(connection, text, file="once.yml", actor="cli:lin", reason="x", now=NOW)
    monkeypatch.setattr(rule_file, "parse_text", counting)

    def pipeline() -> None:
        with database.read() as connection:
            PolicyLoader().load(connection, set_version(connection))

    several = [threading.Thread(target=pipeline) for _ in range(3)]
    for thread in several:
        thread.start()
    PolicySheets(database).sheet(now=NOW)
    for thread in several:
        thread.join(30)
    assert parsed == ["once.yml"]
