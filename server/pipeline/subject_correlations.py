"""What correlations remember of one subject: their windows, loaded with the subject, written with the batch.

On the server every group is of one subject: whom the event is about is part of its key, beside the rule's
own `group-by`. So the subject's version guards its windows too (state_versions.py), and whoever erases the
subject erases them. A row holds one group (policies/correlation/group_state.py); it is decoded when the first
event comes that a correlation counts, and written when it has changed. A row of a correlation that is no
longer there stays until its days are over: who takes a change of a rule back finds it again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from policies.correlated_policies import CorrelatedPolicies
from policies.correlation.correlator import CorrelationAlert, Correlator, Counts, GroupKey, Limits, new_window
from policies.correlation.day_window import DAY_MS
from policies.correlation.definition import Correlation
from policies.correlation.group_state import days_of, decode_group, encode_group, without_days_before
from policies.correlation.made_by import Made, made_on
from policies.correlation.state import StateError
from server.retention import EVER

LIMITS: Final = Limits(keep=14 * DAY_MS, groups=200, entries_in_group=500, entries=20_000)
"""Of one subject. `keep`: a laptop may be away so long."""
_ENTRY_BYTES: Final = 16
"""About what one takes in a row."""

_logger = logging.getLogger("leaver.pipeline")


class GroupPlace(NamedTuple):
    """The key of a row, beside the subject."""

    fingerprint: str
    group_digest: str


class GroupRow(NamedTuple):
    """A row of `correlation_groups`, without its subject."""

    fingerprint: str
    group_digest: str
    rule_id: str
    first_day: int
    last_day: int
    until_day: int
    state: bytes


class SubjectCorrelations:
    """Mutable. `changes` are what the next commit has to write; `written` forgets them."""

    def __init__(self) -> None:
        self._rows: dict[GroupPlace, bytes] = {}
        self._since = EVER
        self._begin: int | None = None
        self._of: CorrelatedPolicies | None = None
        self._correlator: Correlator | None = None

    @property
    def size(self) -> int:
        """Of what is in memory, in events or about as much."""
        rows = sum(len(state) for state in self._rows.values()) // _ENTRY_BYTES
        return rows + (0 if self._correlator is None else self._correlator.size)

    def restore(self, place: GroupPlace, state: bytes, since: int) -> None:
        """since: local day; what is older is past its end."""
        self._rows[place] = state
        self._since = since

    def begin_with(self, day: int) -> None:
        """Windows that are made from now on do not hold what came on earlier local days."""
        self._begin = day

    def take(
        self,
        correlated: CorrelatedPolicies,
        rules: Sequence[int],
        event: str,
        record: Mapping[str, Any],
        *,
        time: int,
        day: int,
        counts: Counts,
        note: Any = None,
    ) -> list[CorrelationAlert]:
        """`rules`: numbers of those that fired and are counted. `counts`: adds what bounds drop. `note`: see
        Correlator.take."""
        correlator = self._current(correlated, counts)
        return correlator.take(time, event, rules, record, day, note)

    def made_on(self, correlated: CorrelatedPolicies, rule_id: str, day: int, counts: Counts) -> Made | None:
        """Which events made the correlation fire on this local day, as far as its windows still tell.
        `counts`: as `take`."""
        number = correlated.number_of(rule_id)
        return None if number is None else made_on(self._current(correlated, counts), number, day)

    def _current(self, correlated: CorrelatedPolicies, counts: Counts) -> Correlator:
        if self._correlator is None or self._of is not correlated:
            self._correlator = self._made(correlated, counts)
            self._of = correlated
        self._correlator.counts = counts
        return self._correlator

    def _made(self, correlated: CorrelatedPolicies, counts: Counts) -> Correlator:
        if self._correlator is not None:
            # Other policies by now; all of it is written.
            for number, groups in enumerate(self._correlator.groups):
                fingerprint = self._correlator.correlations[number].fingerprint
                for key, window in groups.items():
                    place = GroupPlace(fingerprint, _digest(key))
                    self._rows[place] = encode_group(key, window.kept())
        correlator = Correlator(
            correlated.plan, LIMITS, counts=counts, of_one_subject=True, first_day=self._begin
        )
        number_of = {each.fingerprint: at for at, each in enumerate(correlator.correlations)}
        for place in [place for place in self._rows if place.fingerprint in number_of]:
            number = number_of[place.fingerprint]
            try:
                key, kept = decode_group(self._rows.pop(place))
            except StateError as error:
                counts.groups_dropped += 1
                _logger.error("correlation_state_unreadable", extra={"detail": str(error)})
                continue
            window = new_window(correlator.correlations[number])
            window.restore(without_days_before(kept, self._since))
            correlator.groups[number][key] = window
        correlator.count_entries()
        return correlator

    def drop_before(self, day: int) -> None:
        """What late events of days that are past their end brought."""
        if self._correlator is None:
            return
        for number, key in self._correlator.changed:
            window = self._correlator.groups[number].get(key)
            if window is not None:
                window.drop_before_day(day)
        self._correlator.count_entries()

    def changes(self) -> tuple[list[GroupRow], list[GroupPlace]]:
        """Rows to write, and rows that go."""
        rows: list[GroupRow] = []
        gone: list[GroupPlace] = []
        if self._correlator is None:
            return rows, gone
        for number, key in sorted(self._correlator.changed, key=_in_order):
            correlation = self._correlator.correlations[number]
            place = GroupPlace(correlation.fingerprint, _digest(key))
            window = self._correlator.groups[number].get(key)
            kept = None if window is None else window.kept()
            days = None if kept is None else days_of(kept)
            if kept is None or days is None:
                gone.append(place)
                continue
            until = days[1] + _days_needed(correlation)
            rule_id = (correlation.rule_id or "").lower()
            rows.append(GroupRow(*place, rule_id, *days, until, encode_group(key, kept)))
        return rows, gone

    def written(self) -> None:
        if self._correlator is not None:
            self._correlator.changed.clear()


def event_name(agent: str, epoch: str, seq: int) -> str:
    """Tells events apart, and orders those of the same time."""
    return f"{event_series(agent, epoch)}{seq:016x}"


@lru_cache(maxsize=20_000)
def event_series(agent: str, epoch: str) -> str:
    """How the names of one spool's events begin."""
    return hashlib.sha256(f"{agent}\0{epoch}".encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _digest(key: GroupKey) -> str:
    words = "\0".join("0" if part is None else f"1{part}" for part in key)
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _in_order(changed: tuple[int, GroupKey]) -> tuple[int, tuple[str, ...]]:
    number, key = changed
    return number, tuple(part or "" for part in key)


def _days_needed(correlation: Correlation) -> int:
    """After its last day."""
    return correlation.days + (correlation.timespan + LIMITS.keep) // DAY_MS + 2
