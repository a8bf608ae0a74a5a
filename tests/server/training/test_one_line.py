"""What the replay counts is what is a candidate in life: the same risk, rounded the same way, at the same
line, of rules, anomaly and drift together."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.anomaly_training import PastDays
from analytics.measures import ACTIVITIES
from analytics.risk_line import ALERT_LINE, RISK_LINE_MAX, risk_line
from server.alerts.scored_days import load_scored_days
from server.detection.activity_families import FAMILIES
from server.detection.assessment import RULE_DAYS_BACK, Lines, assess
from server.pipeline.commit import write_subjects
from server.pipeline.subject_state import load_subjects
from server.store.database import Database
from server.training.company_days import DAY_ZERO
from server.training.past_risks import past_risks
from tests.server.training.test_past_risks import FIRST, hit

pytestmark = pytest.mark.databases("sqlite")

DAYS = 28
NAMES = list(ACTIVITIES)
SUBJECTS = [f"person:p{number}" for number in range(30)]


def past_of(
    points: np.ndarray, slow: np.ndarray, activity: np.ndarray, slow_activity: np.ndarray
) -> PastDays:
    seen = np.ones(points.shape, dtype=np.bool_)
    return PastDays(FIRST + DAY_ZERO, seen, points, activity, slow, slow_activity)


def keep(database: Database, past: PastDays) -> None:
    """As if running days had ended so."""
    with database.begin() as connection:
        states = load_subjects(connection, SUBJECTS)
        for row, subject in enumerate(SUBJECTS):
            for day in range(DAYS):
                states[subject].channel_day("uploads", FIRST + day, "work").events += 1
                strange = states[subject].anomaly_day(FIRST + day)
                strange.points = float(past.points[row, day])
                strange.slow_points = float(past.slow_points[row, day])
                strange.family = FAMILIES[NAMES[past.activity[row, day]]]
                strange.slow_family = FAMILIES[NAMES[past.slow_activity[row, day]]]
        write_subjects(connection, states.values())


def in_life(database: Database, line: int) -> list[tuple[str, int]]:
    """Subjects and days of the day queue's candidates, one a family."""
    with database.read() as connection:
        states = load_scored_days(connection, SUBJECTS, FIRST - RULE_DAYS_BACK, strange_since=FIRST)
    found = []
    for subject, state in states.items():
        for family in sorted({*FAMILIES.values()}):
            assessed = assess(state, family, {}, since=FIRST, lines=Lines(line))
            candidates = () if assessed is None else assessed.candidates
            found += [(subject, each.day) for each in candidates if each.queue == "day"]
    return sorted(found)


def in_the_replay(database: Database, past: PastDays, line: int) -> list[tuple[str, int]]:
    with database.read() as connection:
        risks = list(past_risks(connection, SUBJECTS, past))
    return sorted((each.subject, each.day) for each in risks if each.scores.queue(line) == "day")


@pytest.mark.parametrize("seed", range(3))
def test_the_replay_counts_the_candidates_of_running_days(database: Database, seed: int) -> None:
    dice = np.random.default_rng(seed)
    shape = (len(SUBJECTS), DAYS)
    # Many near what counts, what is half of a line, and the line itself.
    near = np.array([0.0, 24.9, 25.0, 29.2, 29.4, 49.4, 49.5, 49.9, 50.0, 63.0, 69.6, 90.0])
    past = past_of(
        dice.choice(near, shape, p=[0.5, *[0.5 / 11] * 11]),
        dice.choice(near, shape, p=[0.5, *[0.5 / 11] * 11]),
        dice.integers(0, len(NAMES), shape),
        dice.integers(0, len(NAMES), shape),
    )
    keep(database, past)
    for number in range(120):
        hit(
            database,
            SUBJECTS[number % len(SUBJECTS)],
            FIRST + int(dice.integers(-30, DAYS)),
            rule=f"r{number}",
            level=str(dice.choice(["low", "medium", "high"])),
            family=FAMILIES[NAMES[int(dice.integers(0, len(NAMES)))]],
        )
    for line in range(ALERT_LINE, RISK_LINE_MAX + 1):
        assert in_the_replay(database, past, line) == in_life(database, line)
    assert in_life(database, ALERT_LINE) != in_life(database, RISK_LINE_MAX) != []


def test_a_day_and_a_drift_that_reach_the_line_together_use_the_budget(database: Database) -> None:
    points, web = np.zeros((len(SUBJECTS), DAYS)), np.full((len(SUBJECTS), DAYS), NAMES.index("web_upload"))
    points[:, 3] = 29.3
    past = past_of(points, points, web, web)
    keep(database, past)
    assert in_life(database, ALERT_LINE) == sorted((subject, FIRST + 3) for subject in SUBJECTS)
    with database.read() as connection:
        found = risk_line(past_risks(connection, SUBJECTS, past), allowed=29)
    assert (found.line, found.alerts) == (51, 0)
    assert in_life(database, found.line) == []


def test_what_is_shown_as_the_line_is_at_the_line(database: Database) -> None:
    points, web = np.zeros((len(SUBJECTS), DAYS)), np.full((len(SUBJECTS), DAYS), NAMES.index("web_upload"))
    points[0, 3], points[1, 3] = 49.5, 49.4
    past = past_of(points, np.zeros_like(points), web, web)
    keep(database, past)
    assert in_life(database, ALERT_LINE) == in_the_replay(database, past, ALERT_LINE)
    assert in_life(database, ALERT_LINE) == [(SUBJECTS[0], FIRST + 3)]
