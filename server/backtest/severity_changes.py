"""What alerts that both sides raise weigh: their severity, their score, and which of them come first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from server.alerts.severity import Severity, severity_of
from server.backtest.alerts_found import Found, Pair

FIRST: Final = 10
"""So many of the queue one sees at once."""
_HIGHEST_FIRST: Final[tuple[str | None, ...]] = (*(each.value for each in Severity), None)


class SeverityMove(msgspec.Struct, frozen=True):
    """How many alerts had the one severity and have the other. None: not raised on that side."""

    before: str | None
    after: str | None
    alerts: int

    @property
    def rises(self) -> bool:
        return _HIGHEST_FIRST.index(self.after) < _HIGHEST_FIRST.index(self.before)


class SeverityChanges(msgspec.Struct, frozen=True):
    """Every alert of a side is in one of these. `moves`: not raised on both sides, or of another severity.
    `rescored`: of the same severity, by another score. `other_days`: of the same score, on other days.
    `came_first`, of `first`: open alerts that would come first in the queue, and do not."""

    moves: tuple[SeverityMove, ...]
    rescored: tuple[int, int]
    """Lower, higher."""
    other_days: int
    same: int
    came_first: int
    first: int


def severity_changes(pairs: Sequence[Pair]) -> SeverityChanges:
    moves = Counter[tuple[str | None, str | None]]()
    lower = higher = other_days = same = 0
    for pair in pairs:
        before, after = pair.before, pair.after
        severities = severity_word(before), severity_word(after)
        if severities[0] != severities[1]:
            moves[severities] += 1
            continue
        # Both are there: neither side alone has no word.
        assert before is not None and after is not None
        lower += after.score < before.score
        higher += after.score > before.score
        if before.score == after.score:
            other_days += before.days != after.days
            same += before.days == after.days
    order = sorted(moves, key=lambda each: tuple(map(_HIGHEST_FIRST.index, reversed(each))))
    came_first, first = _first(pairs)
    return SeverityChanges(
        moves=tuple(SeverityMove(*each, moves[each]) for each in order),
        rescored=(lower, higher),
        other_days=other_days,
        same=same,
        came_first=came_first,
        first=first,
    )


def severity_word(found: Found | None) -> str | None:
    return _word(None if found is None else found.score)


def severities_of(scores: tuple[int | None, int | None]) -> tuple[str | None, str | None]:
    """By side; None: not raised there."""
    return _word(scores[0]), _word(scores[1])


def _word(score: int | None) -> str | None:
    return None if score is None else severity_of(score).value


def _first(pairs: Sequence[Pair]) -> tuple[int, int]:
    before, after = (
        {_place(pair) for _, _, pair in sorted(_ranked(pairs, side), key=lambda each: each[:2])[:FIRST]}
        for side in (0, 1)
    )
    return len(after - before), len(after)


def _ranked(pairs: Sequence[Pair], side: int) -> list[tuple[tuple[int, int], tuple[str, str], Pair]]:
    """The worst, of these the latest first, as in the queue; closed ones are in no queue."""
    ranked = []
    for pair in pairs:
        found = (pair.before, pair.after)[side]
        if found is not None and pair.closed is None:
            ranked.append(((-found.score, -found.days[-1]), _place(pair), pair))
    return ranked


def _place(pair: Pair) -> tuple[str, str]:
    """Of one subject and family there is one alert that is open."""
    return pair.subject, pair.family
