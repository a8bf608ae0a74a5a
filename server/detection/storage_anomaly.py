"""The anomaly of a subject's running day on removable storage.

The day is scored whenever its bytes or files reach the next step of a grid of 25 %, or a new device
appears, and keeps the highest score that it reached. So the result depends on the events, not on how
they were cut into batches, and a copy of 100,000 files costs about 60 scorings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Final

from analytics.storage_day import HistoryDay, StorageDay
from analytics.storage_features import HISTORY_DAYS, MEGABYTE, storage_features
from analytics.storage_model import StorageModel
from server.people.calendar import day_type
from server.pipeline.subject_state import ChannelDay, SubjectState

CHANNEL: Final = "removable_storage"
FAMILY: Final = "removable_storage_copy"
"""The policy family that the anomaly adds to."""
_STEP: Final = math.log(1.25)

WatchedDays = Callable[[SubjectState], Collection[int]]
"""Days on which the collector ran on an endpoint where the subject was seen."""


def grid(day: ChannelDay) -> tuple[int, int, int]:
    """Where the day stands on the grid: it is scored again when this changes."""
    return _step(day.bytes // MEGABYTE), _step(day.files), day.new_devices


def _step(value: int) -> int:
    return 1 + math.floor(math.log(value) / _STEP) if value > 0 else 0


def storage_day(day: ChannelDay) -> StorageDay:
    return StorageDay(day.bytes, day.files, day.new_devices)


def storage_history(
    state: SubjectState, day: int, watched: Collection[int], length: int = HISTORY_DAYS
) -> tuple[HistoryDay, ...]:
    """The `length` days before `day`, most recent first.

    A day without copies is zero where the collector ran, missing where nobody looked.
    """
    found = []
    for earlier in range(day - 1, day - 1 - length, -1):
        row = state.days.get(earlier)
        if row is not None:
            found.append(HistoryDay(day_type(earlier), storage_day(row)))
        else:
            found.append(HistoryDay(day_type(earlier), StorageDay() if earlier in watched else None))
    return tuple(found)


class StorageAnomaly:
    """Scores with one model. Keeps each subject's last history until an earlier day changes."""

    def __init__(self, model: StorageModel | None, model_id: int | None, watched: WatchedDays) -> None:
        self.model = model
        self.model_id = model_id
        self._watched = watched
        self._histories: dict[str, tuple[int, tuple[HistoryDay, ...]]] = {}

    def score(self, state: SubjectState, row: ChannelDay, *, peer_group: str, weight: float) -> None:
        """Scores the day as it stands, when grid(row) has changed. row.anomaly only ever rises."""
        if self.model is None or self.model.cold_start:
            return
        history = self.history(state, row.day)
        kind = day_type(row.day)
        features = storage_features(storage_day(row), kind, history, self.model.peers(peer_group))
        score = self.model.score(features, kind, peer_group, weight=weight)
        if score.a_0_100 > row.anomaly:
            row.anomaly = score.a_0_100
            row.model_id = self.model_id

    def history(self, state: SubjectState, day: int) -> tuple[HistoryDay, ...]:
        kept = self._histories.get(state.subject)
        if kept is not None and kept[0] == day:
            return kept[1]
        history = storage_history(state, day, self._watched(state))
        self._histories[state.subject] = (day, history)
        return history

    def forget(self, subject: str, changed_day: int) -> None:
        """A day has changed: a history that contains it is stale."""
        kept = self._histories.get(subject)
        if kept is not None and kept[0] > changed_day:
            del self._histories[subject]

    def forget_all(self) -> None:
        self._histories.clear()
