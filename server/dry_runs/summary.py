"""What is kept of a dry run: the back-test's report, and whom it concerns most. Bounded; names nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from server.backtest.alerts_found import Pair
from server.backtest.backtesting import Outcome
from server.backtest.report import BacktestReport, change_of, examples_of, report_of

TOP_MAX: Final = 10
RULES_MAX: Final = 50
BYTES_MAX: Final = 512 * 1024


class TopPerson(msgspec.Struct, frozen=True):
    """Whom the rules of one side find most. `alerts`, `days`: (before, after); days at or above the line."""

    pseudonym: str
    alerts: tuple[int, int]
    days: tuple[int, int]


class Summary(msgspec.Struct, frozen=True):
    """`names_people`: what was tried, or what it stands against, compares with somebody's name, so what it
    finds is about them, whatever pseudonym they have."""

    report: BacktestReport
    top: tuple[TopPerson, ...]
    names_people: bool


def concerned(found: Outcome) -> list[str]:
    """Subjects whose pseudonyms a summary needs."""
    named = [pair.subject for pair in examples_of(found.totals.pairs)]
    return list(dict.fromkeys([*named, *(subject for subject, _, _ in _top(found.totals.pairs))]))


def summary_of(found: Outcome, pseudonyms: Mapping[str, str], *, names_people: bool) -> Summary:
    """`pseudonyms`: of those who are `concerned`."""
    report = report_of(found.totals, found.compared, pseudonyms, window=found.window, events=found.events)
    top = tuple(
        TopPerson(pseudonyms[subject], alerts, days) for subject, alerts, days in _top(found.totals.pairs)
    )
    return _bounded(Summary(report, top, names_people))


def stored(summary: Summary) -> Any:
    """As the table keeps it."""
    return msgspec.to_builtins(summary)


def read_summary(value: Any) -> Summary:
    """Raises msgspec.ValidationError where another version of Leaver kept something else."""
    return msgspec.convert(value, Summary)


def _top(pairs: Iterable[Pair]) -> list[tuple[str, tuple[int, int], tuple[int, int]]]:
    alerts: dict[str, list[int]] = {}
    changed: set[str] = set()
    days: dict[str, list[int]] = {}
    for pair in pairs:
        if change_of(pair) is not None:
            changed.add(pair.subject)
        for side, each in enumerate((pair.before, pair.after)):
            if each is not None:
                alerts.setdefault(pair.subject, [0, 0])[side] += 1
                days.setdefault(pair.subject, [0, 0])[side] += len(each.days)
    found = [
        (subject, (counts[0], counts[1]), (days[subject][0], days[subject][1]))
        for subject, counts in alerts.items()
    ]
    # Those whom the change concerns most; then those whom the new rules find most.
    found.sort(
        key=lambda each: (
            each[0] not in changed,
            -abs(each[2][1] - each[2][0]),
            -each[2][1],
            -each[1][1],
            each[0],
        )
    )
    return found[:TOP_MAX]


def _bounded(summary: Summary) -> Summary:
    replace = msgspec.structs.replace
    summary = replace(summary, report=replace(summary.report, rules=summary.report.rules[:RULES_MAX]))
    if len(msgspec.json.encode(summary)) <= BYTES_MAX:
        return summary
    rules = tuple(replace(each, days=()) for each in summary.report.rules)
    return replace(summary, report=replace(summary.report, rules=rules, examples=()))
