"""Who holds an account or a machine at which time, worked out from bindings that may overlap or contradict.

What HR and people here declare stands over an identity provider's word, and that over what was learned,
whatever the confidence; then the greater confidence counts, then the younger binding, then the lower id of
the person. Most things have one holder for ever: that is the person alone, without anything around it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from server.people.facts import LEARNED, SCIM, Source

Holder = TypeVar("Holder")
_BELOW: Final[dict[Source, int]] = {SCIM: 1, LEARNED: 2}
"""All that is declared here is 0."""


class Binding(msgspec.Struct, frozen=True, gc=False):
    """Somebody (an id) holds something from `since` (None: ever) until `until` (exclusive, None: still)."""

    person_id: str
    since: int | None = None
    until: int | None = None
    source: Source = "import"
    confidence: float = 1.0

    def holds_at(self, time: int) -> bool:
        return (self.since is None or self.since <= time) and (self.until is None or time < self.until)


class Changing(msgspec.Struct, Generic[Holder], frozen=True):
    """Holders one after the other: `holders[i]` from `starts[i]` (ms UTC, rising), before the first
    `holders[0]`, which has no start of its own."""

    starts: tuple[int, ...]
    holders: tuple[Holder | None, ...]

    def at(self, time: int) -> Holder | None:
        return self.holders[bisect_right(self.starts, time)]


def holders(bindings: Sequence[Binding]) -> str | Changing[str] | None:
    """The holders' ids over time."""
    if len(bindings) == 1 and bindings[0].since is None and bindings[0].until is None:
        return bindings[0].person_id
    return changing(moments_of(bindings), lambda time: _holder(bindings, time))


def changing(
    moments: Iterable[int], holder_at: Callable[[int], Holder | None]
) -> Holder | Changing[Holder] | None:
    """What `holder_at` says between these moments."""
    starts: list[int] = []
    ordered = sorted(set(moments))
    found: list[Holder | None] = [holder_at((ordered[0] if ordered else 0) - 1)]
    for moment in ordered:
        holder = holder_at(moment)
        if holder != found[-1]:
            starts.append(moment)
            found.append(holder)
    return Changing(tuple(starts), tuple(found)) if starts else found[0]


def handed_on(each_thing: Iterable[Sequence[Binding]]) -> dict[str, frozenset[str]]:
    """By person's id: who held one of these things after them."""
    found: dict[str, set[str]] = {}
    for bindings in each_thing:
        for binding in bindings if len(bindings) > 1 else ():
            later = {
                other.person_id
                for other in bindings
                if other.since is not None
                and other.person_id != binding.person_id
                and (binding.since is None or binding.since < other.since)
            }
            if later:
                found.setdefault(binding.person_id, set()).update(later)
    return {person: frozenset(takers) for person, takers in found.items()}


def moments_of(bindings: Iterable[Binding]) -> list[int]:
    """When anything changes."""
    return [m for binding in bindings for m in (binding.since, binding.until) if m is not None]


def _holder(bindings: Iterable[Binding], time: int) -> str | None:
    held = [binding for binding in bindings if binding.holds_at(time)]
    if not held:
        return None
    return min(held, key=precedence).person_id


def precedence(binding: Binding) -> tuple[int, float, int, str]:
    """The lowest of those that hold at a time counts."""
    return (_BELOW.get(binding.source, 0), -binding.confidence, -(binding.since or 0), binding.person_id)
