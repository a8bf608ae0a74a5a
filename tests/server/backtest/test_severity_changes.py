"""A change of a level moves no alert in or out, and must show all the same: severities, scores, what comes
first."""

from __future__ import annotations

import pytest

from server.backtest.alerts_found import Found, Pair
from server.backtest.severity_changes import FIRST, SeverityChanges, SeverityMove, severity_changes
from tests.server.backtest.test_what_would_differ import LARGE
from tests.server.backtest.trials import saved, tried
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file


@pytest.mark.databases("sqlite")
def test_a_rule_of_another_level_moves_the_severity_of_what_it_raised(server: Server) -> None:
    saved(server, LARGE)
    server.employ("p1", "alice")
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    server.take(endpoint.record([copied_file(NOW - DAY, size=60_000, account="alice")]))
    told = tried(server, LARGE.replace("level: high", "level: critical"))
    assert told.alerts == (1, 1)
    assert told.severities is not None
    (move,) = told.severities.moves
    assert (move.alerts, move.after, move.rises) == (1, "critical", True)
    (example,) = told.examples
    assert example.change == "more" and example.score[0] != example.score[1]


def _found(score: int, *days: int) -> Found:
    return Found(score, days or (10,), (), ())


def _pair(subject: str, before: Found | None, after: Found | None, closed: int | None = None) -> Pair:
    return Pair(subject, "copies", None if closed is None else (closed, "expected"), before, after)


def test_every_alert_is_counted_once() -> None:
    told = severity_changes(
        [
            _pair("new", None, _found(95)),
            _pair("gone", _found(51), None),
            _pair("worse", _found(60), _found(91)),
            _pair("worse too", _found(60), _found(92)),
            _pair("milder", _found(72), _found(69)),
            _pair("higher", _found(72), _found(75)),
            _pair("lower", _found(75), _found(71)),
            _pair("longer", _found(75, 10), _found(75, 10, 11)),
            _pair("same", _found(75), _found(75)),
        ]
    )
    assert told.moves == (
        SeverityMove("medium", "critical", 2),
        SeverityMove(None, "critical", 1),
        SeverityMove("high", "medium", 1),
        SeverityMove("medium", None, 1),
    )
    assert [each.rises for each in told.moves] == [True, True, False, False]
    assert (told.rescored, told.other_days, told.same) == ((1, 1), 1, 1)


def test_what_comes_first_is_of_open_alerts_and_of_equals_the_latest() -> None:
    ten = [_pair(f"s{n}", _found(80, n), _found(80, n)) for n in range(FIRST)]
    later = _pair("later", _found(79, 20), _found(80, 20))
    assert severity_changes(ten).came_first == 0
    assert severity_changes([*ten, later]).came_first == 1
    closed = _pair("later", _found(79, 20), _found(80, 20), closed=3)
    assert severity_changes([*ten, closed]).came_first == 0


def test_of_nothing_there_is_nothing() -> None:
    assert severity_changes([]) == SeverityChanges((), (0, 0), 0, 0, 0, 0)
