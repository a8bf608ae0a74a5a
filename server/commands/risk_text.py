"""How the command line shows a person's risk over time: a chart, a line a policy family, the alerts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from server.alerts.person_risk import PersonRisk, RiskAlert
from server.commands.alert_words import counted, printable, score_text
from server.commands.tables import WIDTH_MAX, WIDTH_PIPED, output_width

_ROWS: Final = 10
"""Of the chart; each is ten points."""
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_LABEL: Final = 5
_FAMILY_MAX: Final = 26
_ALERTS_SHOWN: Final = 10
_WIDEST: Final = 4
"""Cells of a day."""
_UNKNOWN: Final = "·"


def risk_text(found: PersonRisk) -> RenderableType:
    found = printable(found, PersonRisk)
    width = min(WIDTH_MAX, output_width(WIDTH_PIPED))
    known = [(each.score, each.date) for each in found.days if each.score is not None]
    highest = max(score for score, _ in known)
    title = Text.assemble((found.pseudonym, "bold"), " · risk ", score_text(known[-1][0]), " today")
    if not highest:
        return Group(title, f"Nothing in {counted(len(known), 'day')}.", *_known(found), *_harmless(found))
    on = next(date for score, date in known if score == highest)
    title.append(", highest ").append_text(score_text(highest)).append(f" on {on}")
    parts: list[RenderableType] = [title, "", *_chart(found, width - _LABEL), "", _families(found, width)]
    if found.days[-1].shares:
        made_of = ", ".join(f"{each.title} {each.points}" for each in found.days[-1].shares)
        parts += ["", Text("today  ", style="dim").append(made_of, style="not dim")]
    if found.alerts:
        parts += ["", _alerts(found.alerts)]
    return Group(*parts, *_known(found), *_harmless(found))


def _columns(scores: Sequence[int | None], room: int) -> list[int | None]:
    """The highest of so many days each as there must be to fit; None where none of them is known."""
    each = math.ceil(len(scores) / max(room, 1))
    # From the end, so that the last column ends today.
    starts = range(len(scores) % each - each if len(scores) % each else 0, len(scores), each)
    together = (scores[max(start, 0) : start + each] for start in starts)
    return [max((score for score in some if score is not None), default=None) for some in together]


def _chart(found: PersonRisk, room: int) -> list[Text]:
    columns = _columns([each.score for each in found.days], room)
    wide = max(1, min(room // len(columns), _WIDEST))
    lines = []
    for row in reversed(range(_ROWS)):
        top = (row + 1) * 100 // _ROWS
        is_line = row == found.line * _ROWS // 100
        label = 100 if top == 100 else found.line if is_line else ""
        line = Text(f"{label:>{_LABEL - 2}} │", style="dim")
        for score in columns:
            if score is None:
                line.append((" " if row else _UNKNOWN) * wide, style="dim")
                continue
            eighths = min(max(round((score / 100 * _ROWS - row) * 8), 0), 8)
            if eighths:
                line.append(_EIGHTHS[eighths] * wide, style=_style(score, found.line))
            else:
                line.append(("╌" if is_line else " ") * wide, style="dim")
        lines.append(line)
    lines.append(Text(f"{0:>{_LABEL - 2}} └{'─' * wide * len(columns)}", style="dim"))
    first, last = found.days[0].date, found.days[-1].date
    space = wide * len(columns) - len(first) - len(last)
    under = f"{first}{' ' * space}{last}" if space > 0 else last
    lines.append(Text(" " * (_LABEL - 1) + under, style="dim"))
    return lines


def _style(score: int, line: int) -> str:
    return "red" if score >= 70 else "yellow" if score >= line else ""


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
        scores = [None if each.score is None else each.families.get(name, 0) for each in found.days]
        line = Text()
        for score in _columns(scores, room):
            if score is None:
                line.append(_UNKNOWN, style="dim")
                continue
            line.append(_EIGHTHS[min(math.ceil(score / 100 * 8), 8)], style=_style(score, found.line))
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


def _known(found: PersonRisk) -> list[RenderableType]:
    """From when on it is known, and whole, as far as these days are not."""
    said = []
    if found.days[0].date < found.known_from:
        said.append(f"{_UNKNOWN} before {found.known_from} nothing is known: that is not 0.")
    if found.whole_from is None:
        said.append("No day is whole: hits may be gone that would weigh (retention.events_days).")
    elif found.known_from < found.whole_from:
        said.append(
            f"Whole from {found.whole_from} on: for days before it hits may be gone that would weigh."
        )
    return ["", Text(" ".join(said), style="dim")] if said else []


def _harmless(found: PersonRisk) -> list[RenderableType]:
    if not found.days_judged_harmless:
        return []
    days = counted(found.days_judged_harmless, "day")
    words = f"Of {days} something counts no longer: it was closed as expected or false."
    return ["", Text(words, style="dim")]
