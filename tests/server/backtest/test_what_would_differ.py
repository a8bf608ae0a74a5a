"""What a change of rules would have done: alerts, people, leaks that would be missed, false alarms gone."""

from __future__ import annotations

import pytest

from event_schema.ocsf_events import Event
from policies.errors import PolicyErrors
from policies.rule_file import RuleText
from server.alerts.queries import Verdict
from server.backtest.report import DayCount, Judged
from server.people.pseudonyms import known_pseudonyms
from server.policies.versions import switch
from server.store.tables import alerts, event_blocks, rule_days
from tests.server.backtest.trials import close, raised, saved, tried
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.test_worker import rows
from tests.server.policies.rule_texts import BUILD_SERVER, EXCEPTION, MANY, MANY_COPIED, RULE

TODAY = NOW // DAY
LARGE = f"""\
title: A large file to removable storage
id: {RULE}
name: copied
status: test
description: For tests.
logsource: {{product: leaver}}
detection:
  copy:
    class_uid: 1001
    file.size|gte: 1000
  condition: copy
level: high
leaver: {{family: removable_storage_copy, runbook: Look at it.}}
tests:
  firing: [{{name: large, record: file_copied, with: {{file.size: 100000}}}}]
  silent: [{{name: small, record: file_copied, with: {{file.size: 10}}}}]
"""
BLOCK = LARGE.replace("level: high", "level: informational").replace(
    "leaver: {family: removable_storage_copy, runbook: Look at it.}", "leaver: {building_block: true}"
)
MANY_LARGE = MANY_COPIED.replace("with: {file.ext: xlsx}", "with: {file.size: 100000}")


def _larger(size: int, text: str = LARGE) -> str:
    return text.replace("file.size|gte: 1000\n", f"file.size|gte: {size}\n")


@pytest.fixture
def endpoint(server: Server) -> Endpoint:
    for number, name in enumerate(("alice", "bob", "carol"), start=1):
        server.employ(f"p{number}", name)
    made = Endpoint()
    made.enrol(server.database)
    return made


def _copy(days_ago: int, size: int, account: str = "alice", minute: int = 0, host: str = "laptop-1") -> Event:
    return copied_file(NOW - days_ago * DAY + minute * 60_000, size=size, account=account, host=host)


def test_a_raised_threshold_misses_what_lies_between(server: Server, endpoint: Endpoint) -> None:
    saved(server, LARGE)
    copies = [_copy(40, 1_500), _copy(9, 1_500), _copy(5, 5_000, "bob"), _copy(5, 1_200, "bob")]
    server.take(endpoint.record([*copies, _copy(3, 9_000), _copy(3, 500, "carol")]))
    report = tried(server, _larger(2_000))
    assert (report.since, report.until) == (TODAY - 29, TODAY)
    assert (report.alerts, report.people, report.alert_days) == ((2, 2), (2, 2), (3, 2))
    (rule,) = report.rules
    assert (rule.id, rule.change, rule.hits, rule.people) == (RULE, "changed", (4, 2), (2, 2))
    assert rule.days == (DayCount(TODAY - 9, 1, 0), DayCount(TODAY - 5, 2, 1), DayCount(TODAY - 3, 1, 1))
    begun = [day for day in report.per_day if day.before or day.after]
    assert begun == [DayCount(TODAY - 9, 1, 0), DayCount(TODAY - 5, 1, 1), DayCount(TODAY - 3, 0, 1)]
    assert len(report.per_day) == 30
    assert report.changes == {"less": 1}
    (example,) = report.examples
    assert (example.change, example.days, example.first_day) == ("less", (2, 1), TODAY - 9)
    assert example.rules == ("A large file to removable storage",)
    with server.database.read() as connection:
        assert example.subject == known_pseudonyms(connection, ["person:p1"])["person:p1"]


def test_a_lowered_threshold_finds_more(server: Server, endpoint: Endpoint) -> None:
    saved(server, LARGE)
    server.take(endpoint.record([_copy(3, 9_000), _copy(3, 500, "carol")]))
    report = tried(server, _larger(400))
    assert (report.alerts, report.changes) == ((1, 2), {"new": 1})
    assert (report.examples[0].score, report.examples[0].closed) == ((None, 70), None)


def test_what_people_closed_says_what_would_be_missed_and_what_would_be_gone(
    server: Server, endpoint: Endpoint
) -> None:
    saved(server, LARGE)
    verdicts = {"alice": Verdict.CONFIRMED, "bob": Verdict.FALSE, "carol": Verdict.CONFIRMED}
    sizes = {"alice": 1_500, "bob": 1_600, "carol": 9_000}
    for account, verdict in verdicts.items():
        server.take(endpoint.record([_copy(12, sizes[account], account)]))
        (number,) = [row["id"] for row in rows(server, alerts) if row["status"] == "open"]
        close(server, number, verdict)
    server.take(endpoint.record([_copy(2, 8_000, "bob")]))
    report = tried(server, _larger(2_000))
    assert report.leaks == Judged(found=2, now_missing=1, still_told=0, alerts=(1,))
    assert report.benign == Judged(found=1, now_missing=1, still_told=0, alerts=(2,))
    assert report.alerts == (4, 2)
    assert [(each.change, each.closed, each.verdict) for each in report.examples] == [
        ("gone", 1, "confirmed"),
        ("gone", 2, "false"),
    ]
    assert tried(server, _larger(900)).leaks == Judged(found=2, now_missing=0)


def test_a_day_that_cools_down_is_an_alert_on_neither_side(server: Server, endpoint: Endpoint) -> None:
    saved(server, LARGE)
    server.take(endpoint.record([_copy(6, 1_600, "bob")]))
    close(server, 1, Verdict.FALSE)
    server.take(endpoint.record([_copy(2, 8_000, "bob")]))
    assert [row["status"] for row in rows(server, alerts)] == ["closed", "held"]
    assert tried(server, _larger(2_000)).alerts == (1, 0)
    assert tried(server, _larger(900)).alerts == (1, 1)


def test_a_leak_of_which_another_alert_tells_is_missed_but_still_told(
    server: Server, endpoint: Endpoint
) -> None:
    saved(server, LARGE)
    server.take(endpoint.record([_copy(6, 1_500)]))
    close(server, 1, Verdict.CONFIRMED)
    moved = LARGE.replace("family: removable_storage_copy", "family: copies")
    report = tried(server, moved)
    assert report.families == ("copies", "removable_storage_copy")
    assert report.leaks == Judged(found=1, now_missing=1, still_told=1, alerts=(1,))


def test_an_exception_hides_what_it_names_and_says_how_much(server: Server, endpoint: Endpoint) -> None:
    saved(server, LARGE)
    builds = [_copy(4, 2_000, host="build-1"), _copy(2, 9, host="build-1")]
    server.take(endpoint.record([*builds, _copy(4, 2_000, "bob")]))
    report = tried(server, BUILD_SERVER)
    (exception,) = report.exceptions
    assert (exception.id, exception.change) == (EXCEPTION, "new")
    assert (exception.hidden, exception.people) == ((0, 1), (0, 1))
    assert [(rule.change, rule.hits) for rule in report.rules] == [("concerned", (2, 1))]
    assert (report.alerts, report.changes) == ((2, 1), {"gone": 1})
    saved(server, BUILD_SERVER)
    taken_back = tried(server, without=(EXCEPTION,))
    assert [(each.change, each.hidden) for each in taken_back.exceptions] == [("gone", (1, 0))]
    assert taken_back.alerts == (1, 2)


def test_what_an_exception_hides_correlations_do_not_count(server: Server, endpoint: Endpoint) -> None:
    saved(server, BLOCK, MANY_LARGE)
    server.take(endpoint.record([_copy(4, 2_000, minute=n, host="build-1") for n in range(3)]))
    assert ("person:p1", "removable_storage_copy") in raised(server)
    report = tried(server, BUILD_SERVER)
    assert {rule.id: (rule.change, rule.hits) for rule in report.rules} == {
        RULE: ("concerned", (3, 0)),
        MANY: ("concerned", (1, 0)),
    }
    assert (report.alerts, report.changes) == ((1, 0), {"gone": 1})


def test_a_correlation_that_counts_further_fires_less(server: Server, endpoint: Endpoint) -> None:
    saved(server, BLOCK, MANY_LARGE)
    three = [_copy(8, 2_000, minute=n) for n in range(3)]
    five = [_copy(4, 2_000, "bob", minute=n) for n in range(5)]
    server.take(endpoint.record([*three, *five]), endpoint.record([_copy(0, 2_000, "carol")]))
    stricter = MANY_LARGE.replace("gte: 3", "gte: 4").replace("times: 3", "times: 4")
    report = tried(server, stricter)
    assert [(rule.id, rule.hits) for rule in report.rules] == [(MANY, (4, 2))]
    assert (report.alerts, report.people) == ((2, 1), (2, 1))


def test_a_rule_that_a_correlation_counts_changes_what_it_finds(server: Server, endpoint: Endpoint) -> None:
    saved(server, BLOCK, MANY_LARGE)
    server.take(endpoint.record([_copy(8, 1_500 + n, minute=n) for n in range(3)]))
    report = tried(server, _larger(1_502, BLOCK))
    assert {rule.id: (rule.change, rule.hits) for rule in report.rules} == {
        RULE: ("changed", (3, 1)),
        MANY: ("concerned", (1, 0)),
    }
    assert report.changes == {"gone": 1}


def test_windows_of_correlations_hold_what_came_before_the_days_that_are_asked_for(
    server: Server, endpoint: Endpoint
) -> None:
    saved(server, BLOCK, MANY_LARGE)
    last_evening = [copied_file(NOW - 2 * DAY + n * 60_000, size=2_000) for n in range(2)]
    morning = [copied_file(NOW - 2 * DAY + 20 * 3_600_000, size=2_000)]
    server.take(endpoint.record([*last_evening, *morning]))
    assert raised(server)
    report = tried(server, MANY_LARGE.replace("level: high", "level: critical"), days=2)
    assert [(rule.id, rule.hits) for rule in report.rules] == [(MANY, (1, 1))]
    assert report.changes == {"more": 1}


def test_a_new_rule_and_one_that_is_switched_off(server: Server, endpoint: Endpoint) -> None:
    saved(server, LARGE)
    server.take(endpoint.record([_copy(4, 2_000), _copy(3, 10, "bob")]))
    other = LARGE.replace(RULE, MANY).replace("name: copied\n", "").replace("gte: 1000\n", "gte: 5\n")
    new = tried(server, other.replace("file.size: 10}", "file.size: 1}"))
    assert [(rule.change, rule.hits) for rule in new.rules] == [("new", (0, 2))]
    assert new.alerts == (1, 2)
    gone = tried(server, without=(RULE,))
    assert [(rule.change, rule.hits) for rule in gone.rules] == [("gone", (1, 0))]
    assert gone.alerts == (1, 0)
    with server.database.begin() as connection:
        switch(connection, RULE, enabled=False, actor="x", reason="x", now=NOW)
    back = tried(server, LARGE)
    assert [(rule.change, rule.hits) for rule in back.rules] == [("new", (0, 1))], "given is in use"


def test_other_files_may_stand_on_the_other_side(server: Server, endpoint: Endpoint) -> None:
    saved(server, LARGE)
    server.take(endpoint.record([_copy(4, 2_000), _copy(3, 10, "bob")]))
    smaller = _larger(5).replace("file.size: 10}", "file.size: 1}")
    report = tried(server, _larger(1_500), against=(RuleText("x.yml", smaller),))
    assert [rule.hits for rule in report.rules] == [(2, 1)]
    assert report.alerts == (2, 1)


def test_what_is_not_replayed_and_what_is_older_weighs_as_it_was_found(
    server: Server, endpoint: Endpoint
) -> None:
    medium = LARGE.replace("level: high", "level: medium")
    low = medium.replace(RULE, MANY).replace("name: copied\n", "").replace("level: medium", "level: low")
    saved(server, medium, low)
    server.take(endpoint.record([_copy(35, 2_000), _copy(2, 2_000)]))
    live = raised(server)["person:p1", "removable_storage_copy"]
    report = tried(server, low.replace("level: low", "level: informational"))
    (example,) = report.examples
    assert example.score[0] == live[0]
    assert example.change == "less"


def test_faults_are_told_and_nothing_is_replayed(server: Server, endpoint: Endpoint) -> None:
    saved(server, BLOCK, MANY_LARGE)
    with pytest.raises(PolicyErrors, match="did you mean file"):
        tried(server, LARGE.replace("file.size|gte", "file.sise|gte"))
    with pytest.raises(PolicyErrors, match="copied"):
        tried(server, BLOCK.replace("name: copied", "name: other"))
    report = tried(server, without=(RULE,))
    assert {rule.id for rule in report.rules} == {RULE, MANY}, "what counts it does not run either"


def test_a_block_that_cannot_be_read_is_counted_and_hides_no_other(
    server: Server, endpoint: Endpoint
) -> None:
    saved(server, LARGE)
    server.take(endpoint.record([_copy(4, 2_000)]), endpoint.record([_copy(3, 2_000, "bob")]))
    with server.database.begin() as connection:
        connection.execute(event_blocks.update().where(event_blocks.c.id == 1).values(value=b"x" * 40))
    report = tried(server, _larger(1_999))
    assert report.blocks_damaged == 1
    assert [rule.hits for rule in report.rules] == [(1, 1)]


def test_nothing_of_it_is_written_but_pseudonyms(server: Server, endpoint: Endpoint) -> None:
    saved(server, LARGE)
    server.take(endpoint.record([_copy(4, 2_000)]))
    before = [rows(server, table) for table in (alerts, rule_days)]
    assert tried(server, _larger(5_000)).changes == {"gone": 1}
    assert [rows(server, table) for table in (alerts, rule_days)] == before
