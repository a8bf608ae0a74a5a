"""The anomaly model: everything learned about a company's days, in one bundle; scores days, goes to bytes.

Stored form: sealed bytes (sealed_bytes.py), kind "LVANOMAL", version 1, content: MessagePack of ModelContent;
arrays as in stored_arrays.py, each forest as its own sealed bytes (forest.py).

Each activity has two voters: its forest and the sum of its features (all one-sided), both calibrated to
p-values by day type and peer group; e = −ln of the smaller. The two largest e of a day add up to T,
calibrated again: p_day. Drift has one forest over all slow measures, and the largest drift of any of them as
second voter (the forest alone does not see one measure that drifts far): p_slow, a queue of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.activity_features import Background, activity_features, background, feature_names
from analytics.activity_peers import ActivityPeers, Groups
from analytics.drift_features import (
    DRIFT_NAMES,
    DriftBackground,
    DriftPeers,
    background_from_history,
    drift_features,
)
from analytics.forest import Forest
from analytics.measures import ACTIVITIES
from analytics.panel import ActivityDays, Counts, Flags, Floats, log_values
from analytics.score_pools import P_MIN, ScorePools, anomaly_points, joint_strangeness, strangeness
from analytics.sealed_bytes import StoredStateError, seal, unseal
from analytics.stored_arrays import Stored, restored

FORMAT_VERSION: Final = 1
_KIND: Final = b"LVANOMAL"
_LARGEST: Final = 2
"""So many activities' evidence adds up: a leak has few, and more would add up everybody's noise."""


class StoredActivity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    features: list[str]
    peers: Stored
    forest: bytes | None
    """None: nobody ever did it; then the sum of features votes alone."""
    forest_pools: Stored | None
    zsum_pools: Stored


class StoredDrift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    features: list[str]
    peers: Stored
    forest: bytes
    forest_pools: Stored
    largest_pools: Stored
    pools: Stored
    line: float


class ModelContent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seed: int
    alerts_per_1000_a_day: float
    first_day: int
    last_day: int
    """Ordinals of the data's range, both within it."""
    subjects: int
    days_seen: int
    """Days on which anybody was seen."""
    software: dict[str, str]
    groups: list[str]
    activities: dict[str, StoredActivity]
    day_pools: Stored | None
    """None under a cold-start model."""
    line: float
    drift: StoredDrift | None
    p_shares: list[float]
    """Share of the calibration days by p_day (drift_watch.P_BINS)."""
    risk_line: int = 50
    """Of the day queue, 0-100, rules included (risk_line.py)."""


class Today(msgspec.Struct, frozen=True, eq=False):
    """One activity's running day: values (subjects, measures) and seen (subjects,)."""

    values: Counts
    seen: Flags


class Known(msgspec.Struct, frozen=True, eq=False):
    """All that scoring a day needs and that does not change while it runs; made once per subject and day."""

    off: bool
    group: NDArray[np.intp]
    activities: dict[str, Background]
    drift: DriftBackground | None


class Scores(msgspec.Struct, frozen=True, eq=False):
    """One row a subject."""

    p_day: Floats
    p_slow: Floats
    a_day: Floats
    """0–100, 50 at the alert line; 0 under a cold-start model."""
    a_slow: Floats
    strength: Floats
    """T: breaks ties of p_day."""
    slow_strength: Floats
    evidence: Floats
    """(subjects, activities) in the order of the model's activities: each one's e."""


class _Activity(msgspec.Struct, frozen=True, eq=False):
    peers: ActivityPeers
    forest: Forest | None
    forest_pools: ScorePools | None
    zsum_pools: ScorePools

    def evidence(self, features: Floats, off: bool, group: NDArray[np.intp]) -> Floats:
        by_zsum = self.zsum_pools.p(features.sum(axis=1), off, group)
        if self.forest is None or self.forest_pools is None:
            return strangeness(by_zsum, by_zsum)
        return strangeness(self.forest_pools.p(forest_scores(self.forest, features), off, group), by_zsum)


class _Drift(msgspec.Struct, frozen=True, eq=False):
    peers: DriftPeers
    forest: Forest
    forest_pools: ScorePools
    largest_pools: ScorePools
    pools: ScorePools
    line: float

    def evidence(self, features: Floats, off: bool, group: NDArray[np.intp]) -> Floats:
        by_forest = self.forest_pools.p(forest_scores(self.forest, features), off, group)
        return joint_strangeness(by_forest, self.largest_pools.p(features.max(axis=1), off, group))


class AnomalyModel:
    def __init__(self, content: ModelContent) -> None:
        if set(content.activities) != set(ACTIVITIES):
            differ = ", ".join(sorted(set(content.activities) ^ set(ACTIVITIES)))
            raise StoredStateError(f"the anomaly model and this program differ in {differ}; train it again")
        self.content: Final = content
        self._groups: Final = Groups(tuple(content.groups))
        self._activities: Final = {name: _activity(name, each) for name, each in content.activities.items()}
        self._day_pools: Final = (
            None if content.day_pools is None else restored(ScorePools, content.day_pools, "day's pools")
        )
        self._drift: Final = None if content.drift is None else _drift(content.drift)
        if self._day_pools is not None and not 0 < content.line <= 1:
            raise StoredStateError(f"alert line {content.line} is no p-value; train the model again")

    @property
    def cold_start(self) -> bool:
        """True: too few data; every anomaly score is 0, days are ranked by the sum of features alone."""
        return self._day_pools is None

    @property
    def activities(self) -> tuple[str, ...]:
        return tuple(self._activities)

    @property
    def line(self) -> float:
        """The day queue's p-value at the alert line."""
        return self.content.line

    @property
    def slow_line(self) -> float:
        """The slow queue's; 0 without drift."""
        return self._drift.line if self._drift else 0.0

    def peers(self, activity: str) -> ActivityPeers:
        return self._activities[activity].peers

    def group_rows(self, peer_groups: Sequence[str]) -> NDArray[np.intp]:
        """Each group's row in the peers' arrays; the last row for groups that are unknown or too small."""
        return self._groups.rows(peer_groups)

    def known(
        self, history: Mapping[str, ActivityDays], off: Flags, off_today: bool, peer_groups: Sequence[str]
    ) -> Known:
        """From the days before today of all activities (oldest first; 115 are enough)."""
        group = self.group_rows(peer_groups)
        backgrounds = {
            name: background(history[name], off, off_today, group, each.peers, ACTIVITIES[name])
            for name, each in self._activities.items()
        }
        drift = None
        if self._drift is not None:
            x, there = slow_history(history)
            drift = background_from_history(x, there, off, off_today, group, self._drift.peers)
        return Known(off_today, group, backgrounds, drift)

    def features(self, today: Mapping[str, Today], known: Known) -> dict[str, Floats]:
        """Each activity's features; 0 where nobody looked."""
        found = {}
        for name, known_activity in known.activities.items():
            day = today[name]
            matrix = activity_features(day.values, known_activity, ACTIVITIES[name])
            found[name] = np.where(day.seen[:, None], matrix, 0.0)
        return found

    def slow_features(self, today: Mapping[str, Today], known: Known) -> Floats | None:
        if known.drift is None:
            return None
        values, there = slow_history(
            {name: ActivityDays(day.values[:, None], day.seen[:, None]) for name, day in today.items()}
        )
        return drift_features(values[:, 0], there[:, 0], known.drift)

    def score(self, today: Mapping[str, Today], known: Known, weight: Floats | None = None) -> Scores:
        """Of one day as it stands, of many subjects. `weight` divides p (risk.notice_weights)."""
        seen = {name: today[name].seen for name in known.activities}
        return self.score_features(
            self.features(today, known), seen, self.slow_features(today, known), known, weight
        )

    def score_features(
        self,
        features: Mapping[str, Floats],
        seen: Mapping[str, Flags],
        slow: Floats | None,
        known: Known,
        weight: Floats | None = None,
    ) -> Scores:
        n = len(known.group)
        divisor = np.ones(n) if weight is None else weight
        if not (divisor > 0).all():
            raise ValueError("a weight is not positive")
        if self._day_pools is None:
            sums = np.stack([matrix.sum(axis=1) for matrix in features.values()], axis=1)
            ones, zeros = np.ones(n), np.zeros(n)
            return Scores(ones, ones, zeros, zeros, sums.sum(axis=1), zeros, sums)
        evidence = np.stack(
            [
                np.where(seen[name], each.evidence(features[name], known.off, known.group), 0.0)
                for name, each in self._activities.items()
            ],
            axis=1,
        )
        strength = combined(evidence)
        p_day = _weighed(self._day_pools.p(strength, known.off, known.group), divisor)
        p_slow, slow_strength = np.ones(n), np.zeros(n)
        a_slow = np.zeros(n)
        if self._drift is not None and slow is not None:
            slow_strength = self._drift.evidence(slow, known.off, known.group)
            p_slow = _weighed(self._drift.pools.p(slow_strength, known.off, known.group), divisor)
            a_slow = anomaly_points(p_slow, self._drift.line)
        return Scores(
            p_day, p_slow, anomaly_points(p_day, self.line), a_slow, strength, slow_strength, evidence
        )

    def activity_evidence(
        self, activity: str, today: Counts, known: Background, off: bool, group: NDArray[np.intp]
    ) -> Floats:
        """One activity's e of days as they stand, all watched; under a cold-start model the sum of its
        features."""
        features = activity_features(today, known, ACTIVITIES[activity])
        if self._day_pools is None:
            total: Floats = features.sum(axis=1)
            return total
        return self._activities[activity].evidence(features, off, group)

    def day_points(self, evidence: Floats, off: bool, group: NDArray[np.intp], weight: Floats) -> Floats:
        """A_day, 0-100, of (subjects, activities) each one's e, in the order of the model's activities; 0
        under a cold-start model."""
        if self._day_pools is None:
            return np.zeros(len(evidence))
        return anomaly_points(_weighed(self._day_pools.p(combined(evidence), off, group), weight), self.line)

    def slow_points(self, slow: Floats, off: bool, group: NDArray[np.intp], weight: Floats) -> Floats:
        """A_slow, 0-100, of what `slow_features` gives."""
        if self._drift is None:
            return np.zeros(len(slow))
        strength = self._drift.evidence(slow, off, group)
        return anomaly_points(_weighed(self._drift.pools.p(strength, off, group), weight), self._drift.line)

    def to_bytes(self) -> bytes:
        return seal(_KIND, FORMAT_VERSION, msgspec.msgpack.encode(self.content))

    @classmethod
    def from_bytes(cls, data: bytes) -> AnomalyModel:
        """Raises StoredStateError on another version, other features, or damage."""
        sealed = unseal(data, _KIND, FORMAT_VERSION, "anomaly model")
        try:
            return cls(msgspec.msgpack.decode(sealed, type=ModelContent))
        except (msgspec.DecodeError, IndexError) as error:
            raise StoredStateError(f"anomaly model: {error}; train it again") from error


def combined(evidence: Floats) -> Floats:
    """T: the sum of the two largest of each row."""
    largest = np.sort(evidence, axis=1)[:, -_LARGEST:]
    found: Floats = largest.sum(axis=1)
    return found


def forest_scores(forest: Forest, features: Floats) -> Floats:
    """Higher is stranger. Days on which nothing stands out share one score: most rows cost nothing."""
    busy = np.flatnonzero(features.any(axis=1))
    found = np.full(len(features), -float(forest.score(np.zeros((1, features.shape[1])))[0]))
    if len(busy):
        found[busy] = -forest.score(features[busy])
    return found


def slow_history(history: Mapping[str, ActivityDays]) -> tuple[Floats, Flags]:
    """ln(1 + value) of the slow measures (subjects, days, measures) and where the subject did anything."""
    columns = []
    there = np.zeros(next(iter(history.values())).seen.shape, dtype=np.bool_)
    for name, measures in ACTIVITIES.items():
        days = history[name]
        there |= days.seen & days.values.any(axis=2)
        slow = [i for i, measure in enumerate(measures) if measure.slow]
        columns.append(log_values(days.values[:, :, slow], [measures[i] for i in slow]))
    return np.concatenate(columns, axis=2), there


def _weighed(p: Floats, divisor: Floats) -> Floats:
    found: Floats = np.clip(p / divisor, P_MIN, 1.0)
    return found


def _activity(name: str, each: StoredActivity) -> _Activity:
    if name not in ACTIVITIES or tuple(each.features) != feature_names(ACTIVITIES[name]):
        raise StoredStateError(f"the anomaly model's {name} has other features; train it again")
    what = f"the anomaly model's {name}"
    return _Activity(
        restored(ActivityPeers, each.peers, what),
        None if each.forest is None else Forest.from_bytes(each.forest, each.features),
        None if each.forest_pools is None else restored(ScorePools, each.forest_pools, what),
        restored(ScorePools, each.zsum_pools, what),
    )


def _drift(each: StoredDrift) -> _Drift:
    if tuple(each.features) != DRIFT_NAMES:
        raise StoredStateError("the anomaly model's drift has other features; train it again")
    if not 0 < each.line <= 1:
        raise StoredStateError(f"slow alert line {each.line} is no p-value; train the model again")
    what = "the anomaly model's drift"
    return _Drift(
        restored(DriftPeers, each.peers, what),
        Forest.from_bytes(each.forest, each.features),
        restored(ScorePools, each.forest_pools, what),
        restored(ScorePools, each.largest_pools, what),
        restored(ScorePools, each.pools, what),
        each.line,
    )
