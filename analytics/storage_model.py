"""Everything learned about removable storage, in one bundle: trained, scored with, stored as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from analytics.storage_day import DayType, HistoryDay
from analytics.storage_features import PeerStats


class SubjectHistory(msgspec.Struct, frozen=True):
    """A subject's days, most recent first; days[0] is the training range's last day for every subject."""

    peer_group: str
    days: tuple[HistoryDay, ...]


class AnomalyScore(msgspec.Struct, frozen=True):
    p: float
    a_0_100: float
    """50 is the alert line; 0 under a cold-start model."""
    forest_score: float
    zsum: float
    cold_start: bool


class StorageModel:
    cold_start: bool
    tau: float

    @classmethod
    def train(
        cls, history: Mapping[str, SubjectHistory], *, seed: int, alerts_per_1000_a_day: float = 5.0
    ) -> StorageModel:
        raise NotImplementedError

    def peers(self, peer_group: str) -> PeerStats:
        """The group's statistics; the organisation's for a group that is unknown or too small."""
        raise NotImplementedError

    def score(
        self, features: Sequence[float], day_type: DayType, peer_group: str, *, weight: float = 1.0
    ) -> AnomalyScore:
        """`weight` divides p (risk.notice_weights)."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, data: bytes) -> StorageModel:
        raise NotImplementedError
