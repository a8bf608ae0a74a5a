"""What others would do with the same days: scores by account and day from plain counts. All from the past
alone: what is learned ends where the test begins.

| name | is |
|---|---|
| forest on raw counts | scikit-learn's IsolationForest over the counts as they are: what tutorials show |
| sum of z | each count against the account's own last 28 days, drawn towards peers (z_scores); their sum |
| ECOD on z | PyOD's ECOD over the same numbers |
| forest on z | IsolationForest over the same numbers |
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
RAW_FOREST: Final = "forest on raw counts"
Z_SUM: Final = "sum of z"
Z_FOREST: Final = "forest on z"
ECOD: Final = "ECOD on z"
_HISTORY_DAYS: Final = 28
_HISTORY_MIN: Final = 3
_PEER_DAYS: Final = 5.0
_SCALE_MIN: Final = 0.25
_Z_MAX: Final = 15.0
_TREES: Final = 200
_SAMPLES: Final = 512
_ROWS_MAX: Final = 60_000
"""To learn from: more change nothing but the time."""


class MissingLibrary(Exception):
    """The message says what is to be installed."""


class Days(msgspec.Struct, frozen=True):
    """`counts`: by account, day and measure. `is_off`: by day. `groups`: by account. `exists`: by account
    and day: whether whoever has it works there. From `test_begins` on scores count."""

    counts: npt.NDArray[np.float32]
    is_off: npt.NDArray[np.bool_]
    groups: Sequence[str]
    exists: npt.NDArray[np.bool_]
    test_begins: int

    @property
    def active(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.counts.any(axis=2))


def baseline_scores(days: Days, seed: int) -> Mapping[str, Floats]:
    """By name: scores by account and day of the test, higher is stranger; days without an event are -inf."""
    raw = days.counts.astype(np.float64)
    z = z_scores(days)
    quiet = ~days.active[:, days.test_begins :]
    found = {
        RAW_FOREST: _forest(days, raw, seed),
        Z_FOREST: _forest(days, z, seed),
        Z_SUM: z[:, days.test_begins :].sum(axis=2),
        ECOD: _ecod(days, z),
    }
    for scores in found.values():
        scores[quiet] = -np.inf
    return found


def z_scores(days: Days) -> Floats:
    """How far ln(1 + count) lies above the account's own 90th percentile, in its own deviations, 0 to 15; of
    the first days, which have nothing to compare with, 0."""
    x = np.log1p(days.counts.astype(np.float64))
    found = np.zeros_like(x)
    groups = {name: np.array([g == name for g in days.groups]) for name in dict.fromkeys(days.groups)}
    for day in range(x.shape[1]):
        earlier = [d for d in range(day - 1, -1, -1) if days.is_off[d] == days.is_off[day]][:_HISTORY_DAYS]
        if len(earlier) < _HISTORY_MIN:
            continue
        known = days.exists[:, earlier]
        past = np.where(known[:, :, None], x[:, earlier], np.nan)
        n = known.sum(axis=1)[:, None].astype(np.float64)
        rising = np.sort(past, axis=1)
        place = np.floor(0.9 * np.maximum(n - 1, 0)).astype(np.int64)[:, :, None]
        q90 = np.nan_to_num(
            np.take_along_axis(rising, np.broadcast_to(place, (*place.shape[:2], x.shape[2])), 1)
        )[:, 0]
        mean = np.nansum(past, axis=1) / np.maximum(n, 1)
        variance = np.nansum((past - mean[:, None]) ** 2, axis=1) / np.maximum(n - 1, 1)
        peer_q90, peer_variance = np.zeros_like(q90), np.zeros_like(variance)
        for members in groups.values():
            usable = members & (n[:, 0] >= _HISTORY_MIN)
            if usable.any():
                peer_q90[members] = np.median(q90[usable], axis=0)
                peer_variance[members] = variance[usable].mean(axis=0)
        centre = (n * q90 + _PEER_DAYS * peer_q90) / (n + _PEER_DAYS)
        scale = np.sqrt((n * variance + _PEER_DAYS * peer_variance) / (n + _PEER_DAYS))
        found[:, day] = np.clip((x[:, day] - centre) / np.maximum(scale, _SCALE_MIN), 0, _Z_MAX)
    return found


def _training_rows(days: Days, values: Floats, seed: int) -> Floats:
    """Days with events before the test; the first four weeks have no history to speak of."""
    first = min(28, days.test_begins // 2)
    part = slice(first, days.test_begins)
    rows = values[:, part][days.active[:, part]]
    if len(rows) > _ROWS_MAX:
        rows = rows[np.random.default_rng(seed).choice(len(rows), _ROWS_MAX, replace=False)]
    return np.asarray(rows)


def _forest(days: Days, values: Floats, seed: int) -> Floats:
    # Takes a second to load.
    from sklearn.ensemble import IsolationForest  # type: ignore[import-untyped]  # noqa: PLC0415

    rows = _training_rows(days, values, seed)
    forest = IsolationForest(n_estimators=_TREES, max_samples=min(_SAMPLES, len(rows)), random_state=seed)
    forest.fit(rows)
    test = values[:, days.test_begins :]
    scores: Floats = -forest.score_samples(test.reshape(-1, test.shape[2]))
    return scores.reshape(test.shape[:2])


def _ecod(days: Days, values: Floats) -> Floats:
    try:
        ecod: Any = importlib.import_module("pyod.models.ecod")
    except ImportError as error:
        raise MissingLibrary(
            f"{error}; the extra [evaluation] of Leaver's wheel brings it (docs/evaluation.md)"
        ) from error
    detector = ecod.ECOD()
    detector.fit(_training_rows(days, values, 0))
    test = values[:, days.test_begins :]
    scores = np.concatenate([detector.decision_function(test[:, day]) for day in range(test.shape[1])])
    return np.asarray(scores, dtype=np.float64).reshape(test.shape[1], test.shape[0]).T.copy()
