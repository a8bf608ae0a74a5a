"""Leaks around leaving are found, with the right person; look-alikes stay silent. In several variants."""

from __future__ import annotations

import random

import pytest
from click.testing import CliRunner

from policies.rule_file import load_policies
from server.command_line import main
from server.evaluation.departures.evaluation import GOOD, Outcome, evaluate, judged
from server.evaluation.departures.replay import RaisedAlert
from server.evaluation.departures.script import Script, Stream
from server.evaluation.departures.streams import STREAMS

LEAKS = {name for name, stream in STREAMS.items() if stream.expects == "alert"}
QUICK = (
    "shared_service_login",
    "long_goodbye",
    "key_that_outlived",
    "reissued_laptop",
    "cafe",
    "new_password",
)


def wrong(outcomes: list[Outcome]) -> list[str]:
    return [
        f"{o.stream} {o.variant}: {o.verdict} {[alert.rules for alert in o.alerts]}"
        for o in outcomes
        if o.verdict not in GOOD
    ]


def test_there_are_the_three_cases_and_twenty_look_alikes() -> None:
    assert {"old_teams_chat", "shared_service_login", "long_goodbye"} <= LEAKS
    assert len(STREAMS.keys() - LEAKS) >= 20


def test_leaks_are_found_and_look_alikes_stay_silent() -> None:
    outcomes = list(evaluate([STREAMS[name] for name in QUICK], load_policies(), seed=2, variants=1))
    assert wrong(outcomes) == []
    assert {outcome.stream for outcome in outcomes if outcome.seconds is not None} == LEAKS & set(QUICK)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", STREAMS)
def test_each_leak_is_found_in_two_variants_and_each_look_alike_stays_silent(name: str) -> None:
    # `leaver eval departures` plays five of each: that takes seven minutes of a core.
    variants = 2 if name in LEAKS else 1
    assert wrong(list(evaluate([STREAMS[name]], load_policies(), seed=1, variants=variants))) == []


@pytest.mark.parametrize("name", STREAMS)
def test_a_seed_gives_the_same_script_again_and_another_one_another(name: str) -> None:
    def written(seed: str) -> Script:
        script = Script(random.Random(seed))
        STREAMS[name].write(script)
        return script

    once, again, other = written("a"), written("a"), written("b")
    assert once.sent == again.sent
    assert [each.at for each in once.declared] == [each.at for each in again.declared]
    assert once.sent != other.sent
    assert (once.leak_begins is not None) == (name in LEAKS)


# ---- what is said of what came out ------------------------------------------------------------------------


def alert(opened_at: int, suspect: str = "E1", owner: str = "E2") -> RaisedAlert:
    return RaisedAlert("access", opened_at, 95, f"person:{suspect}", owner, suspect, (), (), "")


def outcome_of(expects: str, *alerts: RaisedAlert) -> Outcome:
    stream = Stream("made_up", "alert" if expects == "alert" else "silence", "something", lambda _: None)
    script = Script(random.Random(1))
    script.suspect, script.owner, script.leak_begins = "E1", "E2", 10_000
    return judged(stream, script, alerts, 1)


def test_an_alert_about_the_suspect_is_found_and_says_how_long_it_took() -> None:
    found = outcome_of("alert", alert(13_500))
    assert (found.verdict, found.seconds) == ("found", 3.5)


@pytest.mark.parametrize(
    ("expects", "alerts", "verdict"),
    [
        ("alert", (), "missed"),
        ("alert", (alert(13_000, suspect="E2"),), "missed"),
        ("alert", (alert(13_000, owner="E1"),), "missed"),
        ("alert", (alert(13_000), alert(14_000, suspect="E3")), "wrong_person"),
        ("alert", (alert(9_000), alert(13_000)), "false_alarm"),
        ("silence", (alert(13_000),), "false_alarm"),
        ("silence", (), "silent"),
    ],
)
def test_what_is_missed_wrong_or_too_much_is_said(
    expects: str, alerts: tuple[RaisedAlert, ...], verdict: str
) -> None:
    assert outcome_of(expects, *alerts).verdict == verdict


def test_the_command_shows_a_table_and_tells_programs_the_same() -> None:
    name = "two_jobs"
    shown = CliRunner().invoke(main, ["eval", "departures", "--variants", "1", "--stream", name])
    assert shown.exit_code == 0, shown.output
    assert name in shown.stdout
    assert "silent" in shown.stdout
