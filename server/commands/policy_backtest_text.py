"""How the command line shows a back-test to people: what it comes to first, then why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from server.backtest.report import BacktestReport, Change, DayCount, Example, Judged, RuleChange
from server.backtest.severity_changes import SeverityChanges
from server.commands.alert_words import counted

EXAMPLES_SHOWN: Final = 5
"""Of each kind."""
_BAR: Final = 30
_RULE_WORDS: Final[dict[RuleChange, str]] = {
    "new": "new",
    "gone": "not running",
    "changed": "changed",
    "concerned": "says the same, but counts or leaves out something else",
    "same": "as it is",
}
_KINDS: Final[dict[Change, tuple[str, str]]] = {
    "gone": ("would not have been", "green"),
    "new": ("would have been beside them", "yellow"),
    "less": ("would weigh less", "green"),
    "more": ("would weigh more", "yellow"),
}


def report_text(report: BacktestReport) -> RenderableType:
    days = report.until - report.since + 1
    parts: list[RenderableType] = [
        Text(f"{_day(report.since)} to {_day(report.until)}, {counted(days, 'day')}", style="bold")
    ]
    if not report.differs:
        parts.append("No rule differs: nothing would have changed.")
        return Group(*parts)
    parts += [_read(report), "", _rules(report)]
    if report.exceptions:
        parts += ["", _exceptions(report)]
    parts += ["", _totals(report, days)]
    if report.severities is not None and report.changes:
        parts += ["", *_severities(report.severities)]
    if any(report.alerts):
        parts += ["", *_judged(report)]
    if any(each.before or each.after for each in report.per_day):
        parts += ["", _per_day(report.per_day)]
    for kind in _KINDS:
        examples = [each for each in report.examples if each.change == kind]
        if examples:
            parts += ["", _examples(kind, examples, report.changes.get(kind, 0))]
    if report.correlations_dropped:
        parts += ["", _dropped(report)]
    return Group(*parts)


def _read(report: BacktestReport) -> Text:
    skipped = (
        f", {report.blocks_skipped / report.blocks:.0%} of them skipped" if report.blocks_skipped else ""
    )
    words = f"{counted(report.events, 'event')} in {counted(report.blocks, 'block')}{skipped}"
    text = Text(words, style="dim")
    if report.blocks_damaged:
        text.append(f"; {counted(report.blocks_damaged, 'block')} could not be read", style="red")
    return text


def _rules(report: BacktestReport) -> Table:
    table = _table("rule", "", "hits before", "after", "people before", "after")
    for each in report.rules:
        numbers = (*each.hits, *each.people)
        words = Text(_RULE_WORDS[each.change], style="dim")
        table.add_row(each.title, words, *(f"{number:,}" for number in numbers))
    return table


def _exceptions(report: BacktestReport) -> Table:
    table = _table("exception", "", "hides before", "after", "people before", "after")
    for each in report.exceptions:
        numbers = (*each.hidden, *each.people)
        words = Text(_RULE_WORDS[each.change], style="dim")
        table.add_row(each.title, words, *(f"{number:,}" for number in numbers))
    return table


def _totals(report: BacktestReport, days: int) -> Table:
    table = _table(", ".join(report.families) or "no alerts", "before", "after", "")
    for name, (before, after) in (
        ("alerts", report.alerts),
        ("people", report.people),
        ("days of somebody at the line or above", report.alert_days),
    ):
        change = Text(f"{after - before:+,}" if after != before else "", style="bold")
        table.add_row(name, f"{before:,}", f"{after:,}", change)
    table.add_row("alerts a day", *(f"{count / days:.1f}" for count in report.alerts), "")
    return table


def _severities(found: SeverityChanges) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for each in found.moves:
        style = "yellow" if each.rises else "green"
        words = f"{counted(each.alerts, 'alert')}: {each.before or 'none'} → {each.after or 'none'}"
        parts.append(Text(words, style=style))
    lower, higher = found.rescored
    if lower or higher:
        words = f"score lower of {lower:,}, higher of {higher:,}"
        parts.append(f"{counted(lower + higher, 'alert')} of the same severity: {words}")
    if found.came_first:
        parts.append(f"{found.came_first} of the first {found.first} in the queue would be others")
    return parts


def _judged(report: BacktestReport) -> list[RenderableType]:
    return [
        _verdict("Leaks (closed as confirmed)", report.leaks, "missed", "bold red", "none would be missed"),
        _verdict(
            "False alarms (closed as expected or false)", report.benign, "gone", "green", "all would stay"
        ),
    ]


def _verdict(what: str, judged: Judged, becomes: str, style: str, none: str) -> Text:
    text = Text(f"{what}: ")
    if not judged.found:
        return text.append("none in these days", style="dim")
    if not judged.now_missing:
        return text.append(f"{judged.found:,}, {none}")
    text.append(f"{judged.now_missing:,} of {judged.found:,} would be {becomes}", style=style)
    numbers = ", ".join(map(str, judged.alerts[:EXAMPLES_SHOWN]))
    more = ", …" if judged.now_missing > EXAMPLES_SHOWN else ""
    text.append(f" ({'alert' if judged.now_missing == 1 else 'alerts'} {numbers}{more})")
    if judged.still_told:
        text.append(f"; of {judged.still_told:,} another alert would still tell")
    return text


def _per_day(days: Sequence[DayCount]) -> Table:
    table = _table("alerts that begin on", "before", "after", "")
    table.columns[3].justify = "left"
    most = max(max(each.before, each.after) for each in days)
    for each in days:
        if each.before or each.after:
            table.add_row(_day(each.day, weekday=True), str(each.before), str(each.after), _bar(each, most))
    return table


def _bar(day: DayCount, most: int) -> Text:
    """What stays is full, what goes or comes is not."""
    stay, most_of_day = (
        -(-count * _BAR // max(most, _BAR))
        for count in (min(day.before, day.after), max(day.before, day.after))
    )
    goes = day.before > day.after
    bar = Text("█" * stay)
    return bar.append(("░" if goes else "▓") * (most_of_day - stay), style="green" if goes else "yellow")


def _examples(kind: Change, examples: Sequence[Example], total: int) -> Group:
    words, style = _KINDS[kind]
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in examples[:EXAMPLES_SHOWN]:
        table.add_row(each.subject, _span(each), _scores(each), _why(each))
    rest = total - min(len(examples), EXAMPLES_SHOWN)
    title = Text(f"{counted(total, 'alert')} {words}", style=f"bold {style}")
    return Group(title, table, *([Text(f"and {rest:,} more", style="dim")] if rest else []))


def _scores(example: Example) -> str:
    before, after = example.score
    if before is None or after is None:
        return f"score {before if after is None else after}"
    return f"score {before} → {after}" if before != after else f"score {before}"


def _why(example: Example) -> Text:
    text = Text("; ".join(example.rules) or "an unusual day")
    if example.closed is not None:
        style = "red" if example.verdict == "confirmed" else "dim"
        text.append(f"  alert {example.closed}, closed as {example.verdict}", style=style)
    return text


def _span(example: Example) -> str:
    first, last = _day(example.first_day), _day(example.last_day)
    return first if first == last else f"{first} … {last[5:]}"


def _dropped(report: BacktestReport) -> Text:
    words = ", ".join(f"{name} {count:,}" for name, count in report.correlations_dropped.items())
    return Text(
        f"Windows of correlations met their bounds, as they do for the pipeline: {words}", style="dim"
    )


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="left" if not name else "right", no_wrap=bool(name))
    return table


def _day(day: int, *, weekday: bool = False) -> str:
    at = date(1970, 1, 1) + timedelta(days=day)
    return f"{at:%a %Y-%m-%d}" if weekday else str(at)
