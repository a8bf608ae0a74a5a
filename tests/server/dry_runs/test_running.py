"""A dry run: what a text would have done, kept for whoever publishes; one at a time, stopped when asked."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from policies.errors import PolicyErrors
from server import audit
from server.dry_runs.gate import BaseMoved
from server.dry_runs.running import AlreadyRunning, DryRunner, Wanted
from server.dry_runs.stored_runs import (
    KEPT_OF_RULE,
    UnknownDryRun,
    add_run,
    end_lost_runs,
    find_run,
    runs_of_rule,
    summary_of_run,
)
from server.store.tables import dry_runs, pseudonyms
from tests.server.backtest.test_what_would_differ import LARGE
from tests.server.backtest.trials import saved
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.policies.rule_texts import RULE

LARGER = LARGE.replace("file.size|gte: 1000\n", "file.size|gte: 50000\n")
SECONDS = 60.0


@pytest.fixture
def history(server: Server) -> Server:
    """Three people who copied: two a little, one much."""
    saved(server, LARGE)
    for number, name in enumerate(("alice", "bob", "carol"), start=1):
        server.employ(f"p{number}", name)
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    sizes = (("alice", 2_000, 1), ("bob", 60_000, 2), ("carol", 3_000, 3))
    server.take(
        endpoint.record([copied_file(NOW - ago * DAY, size=size, account=who) for who, size, ago in sizes])
    )
    return server


def runner(server: Server) -> DryRunner:
    return DryRunner(server.database, clock=server.clock, events_days=None, processes=1)


def test_what_it_found_is_kept_and_says_who_tried_what(history: Server) -> None:
    runs = runner(history)
    number = runs.begin(Wanted(RULE, 1, LARGER), actor="user:lin")
    assert runs.join(SECONDS)
    with history.database.read() as connection:
        run, summary = find_run(connection, number), summary_of_run(connection, number)
        (entry, *_) = audit.newest(connection, limit=1)
        known = set(connection.execute(select(pseudonyms.c.pseudonym)).scalars())
    assert (run.status, run.base, run.text, run.begun_by) == ("done", 1, LARGER, "user:lin")
    assert summary is not None
    assert (summary.report.alerts, summary.report.people) == ((3, 1), (3, 1))
    assert {each.pseudonym for each in summary.top} <= known
    assert sorted(each.days for each in summary.top) == [(1, 0), (1, 0), (1, 1)]
    assert not summary.names_people
    assert (entry.action, entry.actor, entry.object) == ("policy.dry_run", "user:lin", RULE)
    assert entry.detail == {"hash": run.digest, "version": 1, "enabled": True, "days": 30}


def test_taking_it_out_of_use_can_be_tried(history: Server) -> None:
    runs = runner(history)
    number = runs.begin(Wanted(RULE, 1, LARGE, enabled=False), actor="user:lin")
    assert runs.join(SECONDS)
    with history.database.read() as connection:
        summary = summary_of_run(connection, number)
    assert summary is not None and summary.report.alerts == (3, 0)


@pytest.mark.databases("sqlite")
def test_a_text_about_somebody_by_name_says_so(history: Server) -> None:
    named = LARGE.replace("    class_uid: 1001\n", "    class_uid: 1001\n    leaver.person.id: p1\n").replace(
        "with: {file.size: 100000}", "with: {file.size: 100000, leaver.person.id: p1}"
    )
    runs = runner(history)
    number = runs.begin(Wanted(RULE, 1, named), actor="user:lin")
    assert runs.join(SECONDS)
    with history.database.read() as connection:
        summary = summary_of_run(connection, number)
    assert summary is not None and summary.names_people


@pytest.mark.databases("sqlite")
def test_faults_and_versions_that_moved_are_told_before_it_begins(history: Server) -> None:
    runs = runner(history)
    with pytest.raises(PolicyErrors) as caught:
        runs.begin(Wanted(RULE, 1, LARGER.replace("file.size|gte", "file.sizze|gte")), actor="user:lin")
    assert caught.value.errors[0].line == 10
    with pytest.raises(BaseMoved):
        runs.begin(Wanted(RULE, 2, LARGER), actor="user:lin")
    with pytest.raises(ValueError, match="days"):
        runs.begin(Wanted(RULE, 1, LARGER, days=0), actor="user:lin")
    with history.database.read() as connection:
        assert runs_of_rule(connection, RULE) == []
    assert runs.number is None


@pytest.mark.databases("sqlite")
def test_one_runs_at_a_time_and_can_be_cancelled(history: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, begun = runner(history), threading.Event()
    work = runs._outcome

    def slowly(job, trial):  # type: ignore[no-untyped-def]
        begun.set()
        job.stop.wait(SECONDS)
        return work(job, trial)

    monkeypatch.setattr(runs, "_outcome", slowly)
    number = runs.begin(Wanted(RULE, 1, LARGER), actor="user:lin")
    assert begun.wait(SECONDS)
    with pytest.raises(AlreadyRunning):
        runs.begin(Wanted(RULE, 1, LARGER), actor="user:omar")
    assert runs.progress(number) is not None
    assert runs.cancel(number, actor="user:omar")
    assert runs.join(SECONDS)
    assert not runs.cancel(number, actor="user:omar")
    with history.database.read() as connection:
        assert find_run(connection, number).status == "cancelled"
        assert [each.action for each in audit.newest(connection, limit=2)] == [
            "policy.dry_run_cancel",
            "policy.dry_run",
        ]


@pytest.mark.databases("sqlite")
def test_one_that_an_erasure_took_away_leaves_nothing(
    history: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = runner(history)
    work = runs._outcome

    def meanwhile(job, trial):  # type: ignore[no-untyped-def]
        found = work(job, trial)
        with history.database.begin() as connection:
            connection.execute(dry_runs.delete())
            connection.execute(pseudonyms.delete())
        return found

    monkeypatch.setattr(runs, "_outcome", meanwhile)
    number = runs.begin(Wanted(RULE, 1, LARGER), actor="user:lin")
    assert runs.join(SECONDS)
    with history.database.read() as connection:
        assert connection.execute(select(pseudonyms)).all() == []
        with pytest.raises(UnknownDryRun):
            find_run(connection, number)


def test_what_the_server_left_running_is_told_as_failed_and_old_ones_go(server: Server) -> None:
    with server.database.begin() as connection:
        for at in range(KEPT_OF_RULE + 5):
            add_run(
                connection, rule_id=RULE, base=1, text=LARGE, enabled=True, days=30, actor="user:lin", now=at
            )
        assert end_lost_runs(connection, now=NOW) == KEPT_OF_RULE
        kept = runs_of_rule(connection, RULE)
    assert len(kept) == KEPT_OF_RULE
    assert {(each.status, each.finished_at) for each in kept} == {("failed", NOW)}
    assert kept[0].begun_at == KEPT_OF_RULE + 4
