"""Training the anomaly model from a panel. The same panel, seed and budget give the same bytes.

What is usual among peers is that of the range's last days. Forests learn from up to 100,000 subject-days
spread over the range; the last 28 days of all subjects calibrate the voters and, replayed through the
queues, set the alert lines. Activities are taken one at a time and subjects in blocks, so that memory stays
bounded.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.activity_features import activity_features, background, feature_names
from analytics.activity_peers import Groups, activity_peers, members, peer_groups
from analytics.alert_queues import DAY_QUEUE, SLOW_QUEUE, alert_line
from analytics.anomaly_model import (
    AnomalyModel,
    ModelContent,
    StoredActivity,
    StoredDrift,
    combined,
    forest_scores,
)
from analytics.drift_features import (
    DRIFT_DAYS,
    DRIFT_NAMES,
    HISTORY_DAYS,
    baseline,
    drift_background,
    drift_features,
    drift_peers,
    gap_z,
)
from analytics.drift_watch import p_shares
from analytics.forest import Forest, train_forest
from analytics.measures import ACTIVITIES, SLOW, Measure
from analytics.own_history import OWN_DAYS
from analytics.panel import ActivityDays, Flags, Floats, Panel, log_values
from analytics.score_pools import (
    P_MIN,
    ScorePools,
    anomaly_points,
    fit_pools,
    joint_strangeness,
    strangeness,
)
from analytics.stored_arrays import stored

DAYS_MIN: Final = 14
"""With fewer days of data the model is a cold-start one: policies, and the strangest days without a line."""
DRIFT_DAYS_MIN: Final = 60
"""With fewer, drift has no baseline to speak of."""
ROWS_MIN: Final = 100
CALIBRATION_DAYS: Final = 28
TRAINING_DAYS: Final = HISTORY_DAYS + CALIBRATION_DAYS
"""Of a panel, where there are so many: each calibration day then looks back on as much as a running day."""
_WARM_UP_DAYS: Final = 7
_LEARNT_DAYS: Final = HISTORY_DAYS - _WARM_UP_DAYS
_LEARNT_ROWS: Final = 100_000
_BLOCK: Final = 4_096
"""Subjects computed together."""

Progress = Callable[[str, float], None]
"""What is being done, and the part (0–1) that is done."""


class _Range(msgspec.Struct, frozen=True, eq=False):
    """What all activities share in one training."""

    off: Flags
    group: NDArray[np.intp]
    groups: Groups
    members: list[NDArray[np.intp]]
    first: int
    """The first calibration day."""
    seed: int
    trees: int
    """Of each forest; drift has twice as many."""

    @property
    def days(self) -> range:
        return range(self.first, len(self.off))


class _Voted(msgspec.Struct, frozen=True, eq=False):
    content: StoredActivity
    evidence: Floats
    """(subjects, calibration days)."""


class PastDays(msgspec.Struct, frozen=True, eq=False):
    """The calibration days as the new model finds them, (subjects, days) each; no days under a cold start."""

    first_day: int
    """Ordinal (datetime.date.toordinal)."""
    seen: Flags
    points: Floats
    """A_day, 0-100, of the whole day; 0 where nobody looked."""
    activity: NDArray[np.intp]
    """The strangest, by its place in ACTIVITIES."""
    slow_points: Floats
    slow_activity: NDArray[np.intp]
    """The one that drifts most."""


def train(
    panel: Panel,
    *,
    seed: int,
    alerts_per_1000_a_day: float = 5.0,
    trees: int = 100,
    weights: Floats | None = None,
    progress: Progress = lambda what, part: None,
) -> AnomalyModel:
    """As train_and_score, without the days."""
    return train_and_score(
        panel,
        seed=seed,
        alerts_per_1000_a_day=alerts_per_1000_a_day,
        trees=trees,
        weights=weights,
        progress=progress,
    )[0]


def train_and_score(
    panel: Panel,
    *,
    seed: int,
    alerts_per_1000_a_day: float = 5.0,
    trees: int = 100,
    weights: Floats | None = None,
    progress: Progress = lambda what, part: None,
) -> tuple[AnomalyModel, PastDays]:
    """Learns from all subjects' days. `weights` (subjects, days) divide p, as in scoring.

    With data on fewer than 14 days, or fewer than 100 subject-days to learn from: a cold-start model.
    """
    groups = peer_groups(panel.peer_groups)
    n, days = len(panel.subjects), panel.days
    first = max(days - CALIBRATION_DAYS, min(_WARM_UP_DAYS, days))
    of_group = members(panel.peer_groups, groups)
    found = _Range(panel.off, groups.rows(panel.peer_groups), groups, of_group, first, seed, trees)
    seen, there = np.zeros((n, days), dtype=np.bool_), np.zeros((n, days), dtype=np.bool_)
    slow: list[NDArray[np.float32]] = []
    activities: dict[str, StoredActivity] = {}
    evidence = np.zeros((len(ACTIVITIES), n, len(found.days)), dtype=np.float64)
    for i, (name, measures) in enumerate(ACTIVITIES.items()):
        progress(name, i / (len(ACTIVITIES) + 1))
        loaded = panel.activity(name)
        seen |= loaded.seen
        there |= loaded.seen & loaded.values.any(axis=2)
        voted = _activity(loaded, measures, found)
        activities[name], evidence[i] = voted.content, voted.evidence
        slow += [
            log_values(loaded.values[:, :, [k]], [m])[:, :, 0].astype(np.float32)
            for k, m in enumerate(measures)
            if m.slow
        ]
    content = ModelContent(
        seed=seed,
        alerts_per_1000_a_day=alerts_per_1000_a_day,
        first_day=panel.first_day,
        last_day=panel.first_day + days - 1,
        subjects=n,
        days_seen=int(seen.any(axis=0).sum()),
        software=_software(),
        groups=list(groups.names),
        activities=activities,
        day_pools=None,
        line=0.0,
        drift=None,
        p_shares=[],
    )
    recent = seen[:, found.first :]
    if content.days_seen < DAYS_MIN or recent.sum() < ROWS_MIN:
        return AnomalyModel(content), _past(panel, found, recent[:, :0])
    progress("drift", len(ACTIVITIES) / (len(ACTIVITIES) + 1))
    divisor = np.ones((n, days)) if weights is None else weights
    strength = combined(np.moveaxis(evidence, 0, 2).reshape(-1, len(ACTIVITIES))).reshape(recent.shape)
    pools, p = _calibrated(strength, recent, found)
    p = np.clip(p / divisor[:, found.first :], P_MIN, 1.0)
    line = alert_line(p, recent, DAY_QUEUE, alerts_per_1000_a_day)
    past = msgspec.structs.replace(
        _past(panel, found, recent),
        points=np.where(recent, anomaly_points(p, line), 0.0),
        activity=evidence.argmax(axis=0),
    )
    drift = None
    if content.days_seen >= DRIFT_DAYS_MIN:
        x = np.stack(slow, axis=2)
        del slow
        drifted = _drift(x, there, recent, divisor, found, alerts_per_1000_a_day)
        if drifted is not None:
            drift, p_slow, leading = drifted
            slow_points = np.where(recent, anomaly_points(p_slow, drift.line), 0.0)
            past = msgspec.structs.replace(past, slow_points=slow_points, slow_activity=leading)
    learnt = msgspec.structs.replace(
        content, day_pools=stored(pools), line=line, drift=drift, p_shares=p_shares(p[recent])
    )
    return AnomalyModel(learnt), past


def _past(panel: Panel, found: _Range, seen: Flags) -> PastDays:
    none, nothing = np.zeros(seen.shape), np.zeros(seen.shape, dtype=np.intp)
    return PastDays(panel.first_day + found.first, seen, none, nothing, none, nothing)


def _activity(loaded: ActivityDays, measures: tuple[Measure, ...], found: _Range) -> _Voted:
    peers = activity_peers(loaded, found.off, found.members, measures)
    names = feature_names(measures)

    def features(rows: NDArray[np.intp], day: int) -> Floats:
        before = max(day - OWN_DAYS, 0)
        history = ActivityDays(loaded.values[rows, before:day], loaded.seen[rows, before:day])
        known = background(
            history, found.off[before:day], bool(found.off[day]), found.group[rows], peers, measures
        )
        return activity_features(loaded.values[rows, day], known, measures)

    forest = _learnt(loaded, features, names, found)
    n, width = len(found.group), len(found.days)
    by_forest, by_zsum = np.zeros((n, width)), np.zeros((n, width))
    for start in range(0, n, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n))
        for at, day in enumerate(found.days):
            matrix = features(rows, day)
            by_zsum[rows, at] = matrix.sum(axis=1)
            if forest is not None:
                by_forest[rows, at] = forest_scores(forest, matrix)
    recent = loaded.seen[:, found.first :]
    zsum_pools, p_zsum = _calibrated(by_zsum, recent, found)
    forest_pools, p_forest = _calibrated(by_forest, recent, found) if forest else (None, p_zsum)
    return _Voted(
        StoredActivity(
            list(names),
            stored(peers),
            forest.to_bytes() if forest else None,
            stored(forest_pools) if forest_pools else None,
            stored(zsum_pools),
        ),
        np.where(recent, strangeness(p_forest, p_zsum), 0.0),
    )


def _learnt(
    loaded: ActivityDays,
    features: Callable[[NDArray[np.intp], int], Floats],
    names: tuple[str, ...],
    found: _Range,
) -> Forest | None:
    end = len(found.off)
    days = range(max(min(_WARM_UP_DAYS, end), end - _LEARNT_DAYS), end)
    if not days or not loaded.values.any():
        return None
    n = len(found.group)
    picked = np.random.default_rng(found.seed).permutation(n)[: max(_LEARNT_ROWS // len(days), 1)]
    picked.sort()
    matrix = np.concatenate([features(picked, day)[loaded.seen[picked, day]] for day in days])
    if len(matrix) < ROWS_MIN or not matrix.any():
        return None
    return train_forest(matrix, names, found.seed, found.trees)


def _calibrated(scores: Floats, seen: Flags, found: _Range) -> tuple[ScorePools, Floats]:
    """Pools from the seen of (subjects, calibration days), and the days' own p under them."""
    off = np.broadcast_to(found.off[found.first :], scores.shape)
    group = np.broadcast_to(found.group[:, None], scores.shape)
    pools = fit_pools(scores[seen], off[seen], group[seen], len(found.groups.names))
    p = [pools.p(scores[:, at], bool(found.off[day]), found.group) for at, day in enumerate(found.days)]
    return pools, np.stack(p, axis=1) if p else np.ones(scores.shape)


def _drift(
    x: NDArray[np.float32], there: Flags, recent: Flags, divisor: Floats, found: _Range, budget: float
) -> tuple[StoredDrift, Floats, NDArray[np.intp]] | None:
    """With the days' p, and which activity drifts most (its place in ACTIVITIES)."""
    peers = drift_peers(x, there, found.off, found.members)
    n, days, slow = x.shape
    features = np.zeros((n, len(found.days), len(DRIFT_NAMES)), dtype=np.float32)
    first = max(found.first - max(DRIFT_DAYS) + 1, 0)
    for start in range(0, n, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n))
        own, present, group = x[rows].astype(np.float64), there[rows], found.group[rows]
        z = np.full((len(own), days, slow), np.nan)
        for day in range(first, days):
            off, today_off = found.off[:day], bool(found.off[day])
            known = baseline(own[:, :day], present[:, :day], off, today_off, group, peers)
            if day >= found.first:
                before = drift_background(z[:, first:day], known)
                features[rows, day - found.first] = drift_features(own[:, day], present[:, day], before)
            z[:, day] = gap_z(own[:, day], present[:, day], known)
    matrix = features[recent]
    if not matrix.any():
        return None
    picked = np.random.default_rng(found.seed).permutation(len(matrix))[:_LEARNT_ROWS]
    picked.sort()
    forest = train_forest(matrix[picked].astype(np.float64), DRIFT_NAMES, found.seed, 2 * found.trees)
    scores = np.stack(
        [forest_scores(forest, features[:, at].astype(np.float64)) for at in range(len(found.days))], axis=1
    )
    forest_pools, p_forest = _calibrated(scores, recent, found)
    largest_pools, p_largest = _calibrated(features.max(axis=2).astype(np.float64), recent, found)
    pools, p = _calibrated(joint_strangeness(p_forest, p_largest), recent, found)
    p = np.clip(p / divisor[:, found.first :], P_MIN, 1.0)
    line = alert_line(p, recent, SLOW_QUEUE, budget)
    kept = StoredDrift(
        list(DRIFT_NAMES),
        stored(peers),
        forest.to_bytes(),
        stored(forest_pools),
        stored(largest_pools),
        stored(pools),
        line,
    )
    by_measure = features.reshape(n, len(found.days), len(DRIFT_DAYS), len(SLOW)).max(axis=2)
    places = {name: at for at, name in enumerate(ACTIVITIES)}
    activity_of = np.array([places[measure.activity] for measure in SLOW], dtype=np.intp)
    return kept, p, activity_of[by_measure.argmax(axis=2)]


def _software() -> dict[str, str]:
    # As in forest.py: only training needs it.
    import sklearn  # type: ignore[import-untyped]  # noqa: PLC0415

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }
