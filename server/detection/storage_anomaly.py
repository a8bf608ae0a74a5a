"""The anomaly of a subject's running day on removable storage.

The day is scored whenever its bytes or files reach the next step of a grid of 25 %, or a new device
appears, and keeps the highest score that it reached. So the result depends on the events, not on how
they were cut into batches, and a copy of 100,000 files costs about 60 scorings. What is to be scored is
noted as it stands at its event, and scored together with others: a forest does that at a fraction.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Collection
from typing import Final

from analytics.storage_day import DayType, HistoryDay, StorageDay
from analytics.storage_features import HISTORY_DAYS, MEGABYTE, Background, background, features_against
from analytics.storage_model import DayToScore, StorageModel
from server.people.calendar import MONDAY_TO_FRIDAY, Calendar
from server.pipeline.subject_state import ChannelDay, SubjectState

CHANNEL: Final = "removable_storage"
FAMILY: Final = "removable_storage_copy"
"""The policy family that the anomaly adds to."""
_STEP: Final = 1.25

_WAITING_MAX: Final = 2048

_QUIET: Final[dict[DayType, HistoryDay]] = {kind: HistoryDay(kind, StorageDay()) for kind in ("work", "off")}
_UNSEEN: Final[dict[DayType, HistoryDay]] = {kind: HistoryDay(kind, None) for kind in ("work", "off")}

WatchedDays = Callable[[SubjectState], Collection[int]]
"""Days on which the collector ran on an endpoint where the subject was seen."""


def _first_of_each_step() -> list[int]:
    """The smallest whole number on each step of the grid, up to 10^15."""
    firsts: list[int] = []
    value = 1
    while value < 10**15:
        if not firsts or value > firsts[-1]:
            firsts.append(value)
        value = max(value + 1, math.ceil(value * _STEP))
    return firsts


_FIRSTS: Final = _first_of_each_step()


def grid(day: ChannelDay) -> tuple[int, int, int]:
    """Where the day stands on the grid: it is scored again when this changes."""
    return bisect_right(_FIRSTS, day.bytes // MEGABYTE), bisect_right(_FIRSTS, day.files), day.new_places


def to_next_step(day: ChannelDay) -> tuple[int, int]:
    """How many bytes, or files, more bring the day to the next step of the grid."""
    bytes_step, files_step, _ = grid(day)
    return _FIRSTS[bytes_step] * MEGABYTE - day.bytes, _FIRSTS[files_step] - day.files


def storage_day(day: ChannelDay) -> StorageDay:
    return StorageDay(day.bytes, day.files, day.new_places)


def storage_history(
    state: SubjectState,
    day: int,
    watched: Collection[int],
    length: int = HISTORY_DAYS,
    *,
    day_type: Callable[[int], DayType],
) -> tuple[HistoryDay, ...]:
    """The `length` days before `day`, most recent first. `day_type`: by the company's calendar.

    A day without copies is zero where the collector ran, missing where nobody looked.
    """
    found = []
    days = state.days(CHANNEL)
    for earlier in range(day - 1, day - 1 - length, -1):
        row = days.get(earlier)
        if row is not None:
            found.append(HistoryDay(day_type(earlier), storage_day(row)))
        else:
            found.append((_QUIET if earlier in watched else _UNSEEN)[day_type(earlier)])
    return tuple(found)


class StorageAnomaly:
    """Scores with one model. Keeps each subject's last history until an earlier day changes."""

    def __init__(
        self,
        model: StorageModel | None,
        model_id: int | None,
        watched: WatchedDays,
        calendar: Calendar = MONDAY_TO_FRIDAY,
    ) -> None:
        self.calendar = calendar
        self.model = model
        self.model_id = model_id
        self._watched = watched
        self._histories: dict[str, tuple[int, tuple[HistoryDay, ...]]] = {}
        self._backgrounds: dict[str, tuple[int, str, Background]] = {}
        self._waiting: list[tuple[ChannelDay, DayToScore]] = []

    def score(self, state: SubjectState, row: ChannelDay, *, peer_group: str, weight: float) -> None:
        """Notes the day as it stands, when grid(row) has changed. row.anomaly is known after `settle`."""
        if self.model is None or self.model.cold_start:
            return
        features = features_against(
            storage_day(row), self._background(self.model, state, row.day, peer_group)
        )
        self._waiting.append((row, DayToScore(features, self.calendar.day_type(row.day), peer_group, weight)))
        if len(self._waiting) >= _WAITING_MAX:
            self.settle()

    def settle(self) -> None:
        """Scores all that waits. row.anomaly only ever rises."""
        if self.model is None or not self._waiting:
            return
        scores = self.model.score_days([day for _, day in self._waiting])
        for (row, _), score in zip(self._waiting, scores, strict=True):
            if score.a_0_100 > row.anomaly:
                row.anomaly = score.a_0_100
                row.model_id = self.model_id
        self._waiting.clear()

    def _background(self, model: StorageModel, state: SubjectState, day: int, peer_group: str) -> Background:
        kept = self._backgrounds.get(state.subject)
        if kept is not None and kept[0] == day and kept[1] == peer_group:
            return kept[2]
        found = background(self.calendar.day_type(day), self.history(state, day), model.peers(peer_group))
        self._backgrounds[state.subject] = (day, peer_group, found)
        return found

    def history(self, state: SubjectState, day: int) -> tuple[HistoryDay, ...]:
        kept = self._histories.get(state.subject)
        if kept is not None and kept[0] == day:
            return kept[1]
        history = storage_history(state, day, self._watched(state), day_type=self.calendar.day_type)
        self._histories[state.subject] = (day, history)
        return history

    def forget(self, subject: str, changed_day: int) -> None:
        """A day has changed: a history that contains it is stale."""
        kept = self._histories.get(subject)
        if kept is not None and kept[0] > changed_day:
            del self._histories[subject]
        known = self._backgrounds.get(subject)
        if known is not None and known[0] > changed_day:
            del self._backgrounds[subject]

    def forget_subject(self, subject: str) -> None:
        """It was seen on a further endpoint: other days count as watched."""
        self._histories.pop(subject, None)
        self._backgrounds.pop(subject, None)

    def forget_all(self) -> None:
        self._histories.clear()
        self._backgrounds.clear()
