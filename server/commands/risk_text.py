"""How the command line shows a person's risk over time: a chart, a line a policy family, the alerts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analytics.risk_line import ALERT_LINE
from server.alerts.person_risk import PersonRisk, RiskAlert
from server.commands.alert_text import WIDTH_MAX, WIDTH_PIPED
from server.commands.alert_words import counted, printable, score_text
from server.commands.tables import output_width

_ROWS: Final = 10
"""Of the chart; each is ten points."""
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_LABEL: Final = 5
_FAMILY_MAX: Final = 26
_ALERTS_SHOWN: Final = 10
_WIDEST: Final = 4
"""Cells of a day."""


def risk_text(found: PersonRisk) -> RenderableType:
    found = printable(found, PersonRisk)
    width = min(WIDTH_MAX, output_width(WIDTH_PIPED))
    peak = max(found.days, key=lambda each: each.score)
    title = Text.assemble((found.pseudonym, "bold"), " · risk ", score_text(found.days[-1].score), " today")
    if not peak.score:
        return Group(title, f"Nothing in {counted(len(found.days), 'day')}.", *_harmless(found))
    title.append(", highest ").append_text(score_text(peak.score)).append(f" on {peak.date}")
    parts: list[RenderableType] = [title, "", *_chart(found, width - _LABEL), "", _families(found, width)]
    if found.days[-1].shares:
        made_of = ", ".join(f"{each.title} {each.points}" for each in found.days[-1].shares)
        parts += ["", Text("today  ", style="dim").append(made_of, style="not dim")]
    if found.alerts:
        parts += ["", _alerts(found.alerts)]
    return Group(*parts, *_harmless(found))


def _columns(scores: Sequence[int], room: int) -> list[int]:
    """The highest of so many days each as there must be to fit."""
    each = math.ceil(len(scores) / max(room, 1))
    # From the end, so that the last column ends today.
    starts = range(len(scores) % each - each if len(scores) % each else 0, len(scores), each)
    return [max(scores[max(start, 0) : start + each]) for start in starts]


def _chart(found: PersonRisk, room: int) -> list[Text]:
    columns = _columns([each.score for each in found.days], room)
    wide = max(1, min(room // len(columns), _WIDEST))
    lines = []
    for row in reversed(range(_ROWS)):
        top = (row + 1) * 100 // _ROWS
        is_line = top - 100 // _ROWS == ALERT_LINE
        label = 100 if top == 100 else ALERT_LINE if is_line else ""
        line = Text(f"{label:>{_LABEL - 2}} │", style="dim")
        for score in columns:
            eighths = min(max(round((score / 100 * _ROWS - row) * 8), 0), 8)
            if eighths:
                line.append(_EIGHTHS[eighths] * wide, style=_style(score))
            else:
                line.append(("╌" if is_line else " ") * wide, style="dim")
        lines.append(line)
    lines.append(Text(f"{0:>{_LABEL - 2}} └{'─' * wide * len(columns)}", style="dim"))
    first, last = found.days[0].date, found.days[-1].date
    space = wide * len(columns) - len(first) - len(last)
    under = f"{first}{' ' * space}{last}" if space > 0 else last
    lines.append(Text(" " * (_LABEL - 1) + under, style="dim"))
    return lines


def _style(score: int) -> str:
    return "red" if score >= 70 else "yellow" if score >= ALERT_LINE else ""


def _families(found: PersonRisk, width: int) -> Table:
    names = sorted({name for each in found.days for name in each.families})
    peaks = {name: max(found.days, key=lambda each: each.families.get(name, 0)) for name in names}
    names.sort(key=lambda name: -peaks[name].families[name])
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("by family", max_width=_FAMILY_MAX, overflow="fold")
    table.add_column("", no_wrap=True)
    table.add_column("today", justify="right", no_wrap=True)
    table.add_column("highest", no_wrap=True)
    room = max(width - min(_FAMILY_MAX, max(map(len, names))) - 33, 10)
    for name in names:
        scores = [each.families.get(name, 0) for each in found.days]
        line = Text()
        for score in _columns(scores, room):
            line.append(_EIGHTHS[min(math.ceil(score / 100 * 8), 8)], style=_style(score))
        peak = peaks[name]
        table.add_row(name, line, str(scores[-1]), f"{peak.families[name]:>3} on {peak.date}")
    return table


def _alerts(alerts: Sequence[RiskAlert]) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(no_wrap=True)
    for index, alert in enumerate(alerts[:_ALERTS_SHOWN]):
        state = alert.status if alert.verdict is None else f"{alert.status} as {alert.verdict}"
        label = Text("alerts" if not index else "", style="dim")
        table.add_row(label, f"{alert.id}", f"{alert.score} on {alert.date}", f"{alert.family}, {state}")
    if len(alerts) > _ALERTS_SHOWN:
        table.add_row("", "…", f"{len(alerts) - _ALERTS_SHOWN} more", "")
    return table


def _harmless(found: PersonRisk) -> list[RenderableType]:
    if not found.days_judged_harmless:
        return []
    days = counted(found.days_judged_harmless, "day")
    words = f"Of {days} something counts no longer: it was closed as expected or false."
    return ["", Text(words, style="dim")]
