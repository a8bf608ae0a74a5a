"""Everything learned about removable storage, in one bundle: trained, scored with, stored as bytes.

Stored form: sealed bytes (sealed_bytes.py), kind "LVSTORAG", version 1, content: MessagePack of _Stored, in
which the forest stands as its own sealed bytes (forest.py). The feature names must be this program's.

Two voters: the forest's strangeness and the sum of the features (all one-sided). Their calibrated p-values
make e; e is calibrated again, for the voters are not independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from analytics.alert_budget import ScoredDay, alert_line
from analytics.calibration import Calibration, anomaly_p, anomaly_points, calibrate, combined_strangeness
from analytics.forest import Forest, train_forest
from analytics.peer_groups import MEMBERS_MIN, peer_stats
from analytics.sealed_bytes import StoredStateError, seal, unseal
from analytics.storage_day import DayType, HistoryDay
from analytics.storage_features import FEATURE_NAMES, HISTORY_DAYS, PeerStats, storage_features

FORMAT_VERSION: Final = 1
DAYS_MIN: Final = 14
"""With fewer days of data the model is a cold-start one: policies alone decide."""
ROWS_MIN: Final = 100
CALIBRATION_DAYS: Final = 28
_WARM_UP_DAYS: Final = 7
_KIND: Final = b"LVSTORAG"


class SubjectHistory(msgspec.Struct, frozen=True):
    """A subject's days, most recent first; days[0] is the training range's last day for every subject.

    Days of confirmed incidents should stand as missing, so that nobody's baseline learns them.
    """

    peer_group: str
    days: tuple[HistoryDay, ...]


class AnomalyScore(msgspec.Struct, frozen=True):
    p: float
    a_0_100: float
    """50 is the alert line; 0 under a cold-start model."""
    forest_score: float
    """scikit-learn's score_samples: -1 isolated at once … 0."""
    zsum: float
    cold_start: bool


class DayToScore(msgspec.Struct, frozen=True):
    """A subject-day as it stands. `weight` divides p (risk.notice_weights)."""

    features: Sequence[float]
    day_type: DayType
    peer_group: str
    weight: float = 1.0


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    features: list[str]
    tau: float
    subjects: int
    days: int
    everybody: PeerStats
    groups: dict[str, PeerStats]
    forest: bytes | None
    forest_calibration: Calibration | None
    zsum_calibration: Calibration | None
    combined_calibration: Calibration | None


class _Voters(msgspec.Struct, frozen=True):
    forest: Forest
    forest_calibration: Calibration
    zsum_calibration: Calibration
    combined_calibration: Calibration

    def strangeness(self, strange: float, zsum: float, day_type: DayType, group: str) -> float:
        return combined_strangeness(
            self.forest_calibration.p(strange, day_type, group),
            self.zsum_calibration.p(zsum, day_type, group),
        )


class StorageModel:
    def __init__(self, stored: _Stored) -> None:
        self._stored: Final = stored
        self._voters: Final = _voters(stored)

    @property
    def cold_start(self) -> bool:
        """True: too few data; every anomaly score is 0."""
        return self._voters is None

    @property
    def tau(self) -> float:
        """The p-value at the alert line."""
        return self._stored.tau

    @property
    def trained_on(self) -> tuple[int, int]:
        """(subjects, days) of the training range."""
        return self._stored.subjects, self._stored.days

    @classmethod
    def train(
        cls, history: Mapping[str, SubjectHistory], *, seed: int, alerts_per_1000_a_day: float = 5.0
    ) -> StorageModel:
        """Learns from all subjects' days. The order of the mapping does not matter.

        With data on fewer than 14 days, or fewer than 100 subject-days to learn from: a cold-start model.
        """
        subjects = sorted(history)
        everybody = peer_stats([history[s].days for s in subjects])
        by_group: dict[str, list[Sequence[HistoryDay]]] = {}
        for s in subjects:
            by_group.setdefault(history[s].peer_group, []).append(history[s].days)
        groups = {
            group: peer_stats(members)
            for group, members in sorted(by_group.items())
            if len(members) >= MEMBERS_MIN
        }
        days = _days_with_data(history)
        cold = _Stored(
            list(FEATURE_NAMES), 0.0, len(subjects), days, everybody, groups, None, None, None, None
        )
        rows = _training_rows(history, subjects, groups, everybody)
        if days < DAYS_MIN or len(rows) < ROWS_MIN:
            return cls(cold)
        return cls(_trained(cold, rows, seed, alerts_per_1000_a_day))

    def peers(self, peer_group: str) -> PeerStats:
        """The group's statistics; the organisation's for a group that is unknown or too small."""
        return self._stored.groups.get(peer_group, self._stored.everybody)

    def score_many(
        self, rows: Sequence[Sequence[float]], day_type: DayType, peer_group: str, *, weight: float = 1.0
    ) -> list[AnomalyScore]:
        """Of several feature vectors of one subject-day. `weight` divides p (risk.notice_weights)."""
        return self.score_days([DayToScore(row, day_type, peer_group, weight) for row in rows])

    def score_days(self, days: Sequence[DayToScore]) -> list[AnomalyScore]:
        """Much cheaper together, and the same as one by one. Raises ForestError on NaN or another length."""
        voters = self._voters
        if voters is None:
            return [AnomalyScore(1.0, 0.0, 0.0, sum(day.features), True) for day in days]
        matrix = np.array([day.features for day in days], dtype=np.float64)
        found = []
        for day, forest_score in zip(days, voters.forest.score(matrix).tolist(), strict=True):
            zsum = sum(day.features)
            e = voters.strangeness(-forest_score, zsum, day.day_type, day.peer_group)
            p = anomaly_p(voters.combined_calibration.p(e, day.day_type, day.peer_group), day.weight)
            found.append(AnomalyScore(p, anomaly_points(p, self.tau), forest_score, zsum, False))
        return found

    def to_bytes(self) -> bytes:
        return seal(_KIND, FORMAT_VERSION, msgspec.msgpack.encode(self._stored))

    @classmethod
    def from_bytes(cls, data: bytes) -> StorageModel:
        """Raises StoredStateError on another version, other features, or damage."""
        content = unseal(data, _KIND, FORMAT_VERSION, "storage model")
        try:
            stored = msgspec.msgpack.decode(content, type=_Stored)
        except msgspec.DecodeError as error:
            raise StoredStateError(f"storage model: {error}; train it again") from error
        if tuple(stored.features) != FEATURE_NAMES:
            raise StoredStateError("storage model is over other features; train it again")
        return cls(stored)


class _Row(msgspec.Struct, frozen=True):
    subject: str
    days_back: int
    day_type: DayType
    peer_group: str
    features: tuple[float, ...]


def _voters(stored: _Stored) -> _Voters | None:
    if stored.forest is None:
        return None
    parts = stored.forest_calibration, stored.zsum_calibration, stored.combined_calibration
    if parts[0] is None or parts[1] is None or parts[2] is None or not 0 < stored.tau <= 1:
        raise StoredStateError("storage model lacks a calibration; train it again")
    return _Voters(Forest.from_bytes(stored.forest, FEATURE_NAMES), parts[0], parts[1], parts[2])


def _days_with_data(history: Mapping[str, SubjectHistory]) -> int:
    return len({i for h in history.values() for i, day in enumerate(h.days) if day.storage is not None})


def _training_rows(
    history: Mapping[str, SubjectHistory],
    subjects: Sequence[str],
    groups: Mapping[str, PeerStats],
    everybody: PeerStats,
) -> list[_Row]:
    """One row for each day with data that has a week before it, each against its own past. What is usual
    among peers is that of all days, and the forest learns from the very rows that calibrate it: what that
    costs was measured (docs/decisions/0008-anomaly-model.md)."""
    rows = []
    for subject in subjects:
        own = history[subject]
        peers = groups.get(own.peer_group, everybody)
        for back, day in enumerate(own.days[: len(own.days) - _WARM_UP_DAYS]):
            if day.storage is not None:
                before = own.days[back + 1 : back + 1 + HISTORY_DAYS]
                features = storage_features(day.storage, day.day_type, before, peers)
                rows.append(_Row(subject, back, day.day_type, own.peer_group, features))
    return rows


def _trained(cold: _Stored, rows: Sequence[_Row], seed: int, alerts_per_1000_a_day: float) -> _Stored:
    matrix = np.array([row.features for row in rows], dtype=np.float64)
    forest = train_forest(matrix, FEATURE_NAMES, seed)
    strange = [float(s) for s in -forest.score(matrix)]
    zsums = [sum(row.features) for row in rows]
    recent = [i for i, row in enumerate(rows) if row.days_back < CALIBRATION_DAYS]

    def calibrated(scores: Sequence[float]) -> Calibration:
        return calibrate((scores[i], rows[i].day_type, rows[i].peer_group) for i in recent)

    by_forest, by_zsum = calibrated(strange), calibrated(zsums)
    combined = [
        combined_strangeness(
            by_forest.p(strange[i], row.day_type, row.peer_group),
            by_zsum.p(zsums[i], row.day_type, row.peer_group),
        )
        for i, row in enumerate(rows)
    ]
    by_both = calibrated(combined)
    replayed = [
        ScoredDay(
            rows[i].subject, -rows[i].days_back, by_both.p(combined[i], rows[i].day_type, rows[i].peer_group)
        )
        for i in recent
    ]
    return msgspec.structs.replace(
        cold,
        tau=alert_line(replayed, alerts_per_1000_a_day),
        forest=forest.to_bytes(),
        forest_calibration=by_forest,
        zsum_calibration=by_zsum,
        combined_calibration=by_both,
    )
