"""Pictures of an evaluation, PNG or SVG by the file's ending: recall against the budget, and one person's
timeline."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from server.evaluation.compared.baselines import MissingLibrary
from server.evaluation.simulator.evaluation import PRODUCT, Timeline
from server.people.local_time import DAY_ZERO

ENDINGS: Final = frozenset({".png", ".svg"})
_ALERT_LINE: Final = 50
_LEAVER: Final = "#b3261e"
_LEAK: Final = "#f2b8b5"


def recall_picture(
    path: Path, curves: Mapping[str, Mapping[int, float]], *, cases: int, seeds: Sequence[int]
) -> None:
    """`curves`: by name: recall by budget. Raises MissingLibrary, OSError."""
    figure, axes = _figure()
    for name, by_budget in curves.items():
        is_product = name == PRODUCT
        axes.plot(
            list(by_budget),
            list(by_budget.values()),
            label=name,
            marker="o",
            color="black" if is_product else None,
            linewidth=2.5 if is_product else 1.2,
            zorder=3 if is_product else 2,
        )
    axes.set_xticks(sorted({budget for each in curves.values() for budget in each}))
    axes.set_xlabel("false alerts a day for 1,000 people")
    axes.set_ylabel("leaks found")
    axes.set_ylim(0, 1)
    axes.set_title(f"{cases} planted leaks, seeds {', '.join(map(str, seeds))}")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    _save(figure, path)


def timeline_picture(path: Path, timeline: Timeline) -> None:
    """Raises MissingLibrary, OSError."""
    figure, axes = _figure()
    days = [date.fromordinal(day + DAY_ZERO) for day in timeline.days]
    leaks = set(timeline.leak_days)
    for day, number in zip(days, timeline.days, strict=True):
        if number in leaks:
            axes.axvspan(_noon(day, -0.5), _noon(day, 0.5), color=_LEAK, linewidth=0)
    axes.bar(days, timeline.scores, color="#5b6b7a", width=0.7, zorder=2)
    axes.axhline(_ALERT_LINE, color="black", linewidth=1, linestyle="--", zorder=3)
    raised = [
        (day, score) for day, score, on in zip(days, timeline.scores, timeline.alerted, strict=True) if on
    ]
    axes.scatter(
        [day for day, _ in raised],
        [score + 4 for _, score in raised],
        marker="v",
        color=_LEAVER,
        zorder=4,
        label="an alert was opened",
    )
    axes.set_ylim(0, 108)
    axes.set_ylabel("score, alert line at 50")
    axes.set_title(f"{timeline.shape.replace('_', ' ')}: {timeline.subject} (shaded: days of the leak)")
    axes.legend(framealpha=1, loc="upper left")
    figure.autofmt_xdate()
    _save(figure, path)


def _noon(day: date, offset: float) -> float:
    """As matplotlib counts days."""
    return float(day.toordinal() - DAY_ZERO) + offset


def _figure() -> tuple[Any, Any]:
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise MissingLibrary(
            f"{error}; the extra [evaluation] of Leaver's wheel brings it (docs/evaluation.md)"
        ) from error
    figure = figures.Figure(figsize=(8, 4.5), layout="constrained")
    return figure, figure.subplots()


def _save(figure: Any, path: Path) -> None:
    # Without the moment and random ids, so that the same evaluation gives the same file.
    matplotlib = importlib.import_module("matplotlib")
    with matplotlib.rc_context({"svg.hashsalt": "leaver"}):
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
