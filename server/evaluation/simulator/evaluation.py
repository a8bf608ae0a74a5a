"""`leaver eval simulate`: made-up companies with planted leaks through the pipeline, and baselines on the
same events.

The model is trained when the test begins and weekly from then on, as `leaver up` does. Every evening an
analyst closes all open alerts, or those that are open for some days: those of a leak that went on in that
time as confirmed, all others as false.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from event_schema.ocsf_events import Event
from policies.engine import PolicySet
from server.evaluation.compared.activity_models import MODELS, model_scores
from server.evaluation.compared.baselines import Days, baseline_scores
from server.evaluation.compared.measured import (
    AlertLoad,
    Case,
    Found,
    Mask,
    alert_load,
    area_under_curve,
    found_at,
    found_by,
    recall,
)
from server.evaluation.compared.raw_counts import MEASURES, RawCounts
from server.evaluation.simulator.explained_alerts import ExplainedAlerts, explained_alerts
from server.evaluation.simulator.simulation import Simulation
from server.evaluation.walk.product import QUIET, subject_days
from server.evaluation.walk.walk import Walk
from server.people.local_time import DAY_ZERO

Floats = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]
BUDGETS: Final = (1, 2, 3, 5, 8, 12, 20)
"""False alerts a day for 1,000 people."""
TOLD: Final = (5, 2)
PRODUCT: Final = "Leaver"
ANOMALY: Final = "(no rule: an unusual day)"
_TRAIN_EVERY_DAYS: Final = 7


class Method(msgspec.Struct, frozen=True):
    """One way of scoring. `found`: by budget and shape. `auc`: of days."""

    name: str
    found: dict[int, dict[str, Found]]
    auc: float | None

    def recall(self, budget: int) -> float:
        return recall(self.found[budget])


class Timeline(msgspec.Struct, frozen=True):
    """What the product said of one person, by day of the test. `reasons`: of days with an alert."""

    shape: str
    subject: str
    days: tuple[int, ...]
    scores: tuple[float, ...]
    alerted: tuple[bool, ...]
    leak_days: tuple[int, ...]
    reasons: tuple[str, ...]


class SeedResult(msgspec.Struct, frozen=True):
    """Of one company. `raised`: by the alerts that the product really opened; `standing`: by those or by ones
    that were open by then, and took the day in; `load`: the false ones a day among those opened,
    `false_rules`: on how many people's days with one each rule hit, most first."""

    seed: int
    people: int
    days: int
    events: int
    cases: int
    methods: tuple[Method, ...]
    raised: dict[str, Found]
    standing: dict[str, Found]
    load: AlertLoad
    false_rules: dict[str, int]
    seconds: float
    timeline: Timeline | None
    explained: ExplainedAlerts | None = None


class _Days:
    """What is gathered while the days pass."""

    def __init__(self, simulation: Simulation) -> None:
        size, test = simulation.company.size, simulation.days - simulation.test_begins
        self.counts = np.zeros((size, simulation.days, len(MEASURES)), np.float32)
        self.scores = np.zeros((size, test))
        self.alerted: Mask = np.zeros((size, test), bool)
        self.standing: Mask = np.zeros((size, test), bool)
        self.reasons: dict[tuple[int, int], str] = {}
        self.rules: dict[tuple[int, int], tuple[str, ...]] = {}


def evaluate_company(
    seed: int,
    people: int,
    days: int,
    policies: PolicySet,
    progress: Progress,
    *,
    explain: int = 0,
    close_after: int = 0,
) -> SeedResult:
    """`explain`: so many alerts are told in full. `close_after`: the analyst closes alerts that are open for
    so many days. Raises WalkFailed, MissingLibrary."""
    begun = time.monotonic()
    simulation = Simulation(seed, people, days)
    with tempfile.TemporaryDirectory(prefix="leaver-simulate-") as folder:
        first_day = simulation.local_day(0)
        with Walk(Path(folder), simulation.walked(), policies, first_day=first_day) as walk:
            gathered = _walk(simulation, walk, progress, close_after)
            events = walk.events
            explained = explained_alerts(walk.database, explain, _leaks_by_subject(simulation))
    progress(f"seed {seed}: baselines", 0, 1)
    company = simulation.company
    panel = Days(
        counts=gathered.counts,
        is_off=company.is_off,
        groups=[simulation.group(person) for person in range(company.size)],
        exists=np.stack([company.exists(day) for day in range(days)], axis=1),
        test_begins=simulation.test_begins,
    )
    scores: dict[str, Floats] = {
        PRODUCT: gathered.scores,
        MODELS: model_scores(panel, simulation.on_notice(), first_day + DAY_ZERO, seed),
        **baseline_scores(panel, seed),
    }
    progress(f"seed {seed}: baselines", 1, 1)
    cases = _cases(simulation)
    active = panel.active[:, simulation.test_begins :]
    benign = active.copy()
    benign[[case.person for case in cases]] = False
    return SeedResult(
        seed=seed,
        people=company.size,
        days=days,
        events=events,
        cases=len(cases),
        methods=tuple(_method(name, found, cases, active, benign) for name, found in scores.items()),
        raised=found_by(gathered.alerted, cases),
        standing=found_by(gathered.standing, cases),
        load=alert_load(gathered.alerted, benign),
        false_rules=_false_rules(gathered, benign),
        seconds=time.monotonic() - begun,
        timeline=_timeline(simulation, gathered, cases),
        explained=explained if explain else None,
    )


def _walk(simulation: Simulation, walk: Walk, progress: Progress, close_after: int) -> _Days:
    gathered = _Days(simulation)
    raw = RawCounts({desk.account: person for person, desk in enumerate(simulation.desks)})
    leaking = _leaking(simulation)
    for day in range(simulation.days):
        in_test = day - simulation.test_begins
        if in_test >= 0 and in_test % _TRAIN_EVERY_DAYS == 0:
            walk.train()
        notices = simulation.hr_file(day)
        if notices is not None:
            walk.declare(notices)
        local = simulation.local_day(day)
        raw.begin(walk.moment(local))
        walk.day(local, _counted(simulation.events(day, walk.moment(local)), raw))
        gathered.counts[:, day] = raw.day
        if in_test >= 0:
            _gather(simulation, walk, gathered, in_test)
        leaks = frozenset[str]().union(*(leaking.get(day - n, ()) for n in range(close_after + 1)))
        walk.close_alerts(leaks, after_days=close_after)
        progress(f"seed {simulation.company.seed}: days", day + 1, simulation.days)
    return gathered


def _counted(events: Iterator[Event], raw: RawCounts) -> Iterator[Event]:
    for event in events:
        raw.add(event)
        yield event


def _gather(simulation: Simulation, walk: Walk, gathered: _Days, in_test: int) -> None:
    local = simulation.local_day(simulation.test_begins + in_test)
    said = subject_days(walk.database, local, walk.moment(local + 1))
    for person in range(simulation.company.size):
        found = said.get(simulation.subject(person), QUIET)
        gathered.scores[person, in_test] = found.score
        gathered.alerted[person, in_test] = found.opened
        gathered.standing[person, in_test] = found.alerted
        if found.opened:
            gathered.reasons[person, in_test] = found.reason
            gathered.rules[person, in_test] = found.rules or (ANOMALY,)


def _cases(simulation: Simulation) -> list[Case]:
    begins = simulation.test_begins
    return [
        Case(leak.shape, leak.person, tuple(day - begins for day in leak.days))
        for leak in simulation.leaks
        if leak.days
    ]


def _leaking(simulation: Simulation) -> Mapping[int, frozenset[str]]:
    found: dict[int, set[str]] = {}
    for leak in simulation.leaks:
        for day in leak.days:
            found.setdefault(day, set()).add(simulation.subject(leak.person))
    return {day: frozenset(subjects) for day, subjects in found.items()}


def _leaks_by_subject(simulation: Simulation) -> Mapping[str, tuple[str, frozenset[int]]]:
    """Shape and local days."""
    return {
        simulation.subject(leak.person): (leak.shape, frozenset(map(simulation.local_day, leak.days)))
        for leak in simulation.leaks
    }


def _false_rules(gathered: _Days, benign: Mask) -> dict[str, int]:
    counts = Counter(
        rule for (person, day), rules in gathered.rules.items() if benign[person, day] for rule in rules
    )
    return dict(counts.most_common())


def _method(name: str, scores: Floats, cases: list[Case], active: Mask, benign: Mask) -> Method:
    leaks = np.zeros_like(active)
    for case in cases:
        leaks[case.person, list(case.days)] = True
    return Method(
        name=name,
        found={budget: found_at(scores, cases, benign, budget) for budget in BUDGETS},
        auc=area_under_curve(scores, leaks & active, benign),
    )


def _timeline(simulation: Simulation, gathered: _Days, cases: list[Case]) -> Timeline | None:
    """Of a leak that the product raised an alert about, the one with the most days."""
    found = [case for case in cases if gathered.alerted[case.person, list(case.days)].any()]
    if not found:
        return None
    case = max(found, key=lambda each: (len(each.days), -each.person))
    days = range(gathered.scores.shape[1])
    begins = simulation.local_day(simulation.test_begins)
    return Timeline(
        shape=case.shape,
        subject=simulation.subject(case.person),
        days=tuple(begins + day for day in days),
        scores=tuple(float(score) for score in gathered.scores[case.person]),
        alerted=tuple(bool(each) for each in gathered.alerted[case.person]),
        leak_days=tuple(begins + day for day in case.days),
        reasons=tuple(
            reason for (person, _), reason in sorted(gathered.reasons.items()) if person == case.person
        ),
    )
