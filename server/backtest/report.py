"""What a back-test says. For people through `leaver policy backtest`, for programs as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, Literal, TypeVar

import msgspec

from server.backtest.alerts_found import Found, Pair
from server.backtest.rule_sets import Difference
from server.backtest.severity_changes import SeverityChanges, severity_changes, severity_word

EXAMPLES_MAX: Final = 20
"""Of each kind."""
BENIGN: Final = ("expected", "false")

Key = TypeVar("Key", bound=Hashable)
Change = Literal["new", "gone", "more", "less"]
RuleChange = Literal["new", "gone", "changed", "concerned", "same"]


class DayCount(msgspec.Struct, frozen=True):
    """Of a local day, by side: alerts that begin on it (in the window), or hits. day: since 1970."""

    day: int
    before: int
    after: int


class RuleCount(msgspec.Struct, frozen=True):
    """Hits in the window, and subjects that had any, by side. `change`: concerned: it says the same, but an
    exception or what it counts differs. `days`: hits, where there were any."""

    id: str
    title: str
    change: RuleChange
    hits: tuple[int, int]
    people: tuple[int, int]
    days: tuple[DayCount, ...]


class ExceptionCount(msgspec.Struct, frozen=True):
    """Hits that it hides in the window, of how many subjects, by side."""

    id: str
    title: str
    change: RuleChange
    hidden: tuple[int, int]
    people: tuple[int, int]


class Judged(msgspec.Struct, frozen=True):
    """Alerts that people closed with some verdicts, which the rules before find: `now_missing` of `found` are
    not found by those after. `still_told`: of these, those about somebody of whom another alert tells on one
    of the days. `alerts`: their numbers, EXAMPLES_MAX at most."""

    found: int = 0
    now_missing: int = 0
    still_told: int = 0
    alerts: tuple[int, ...] = ()


class Example(msgspec.Struct, frozen=True):
    """An alert that differs. `subject`: a pseudonym. `first_day`, `last_day`: of the side that has it, or of
    both. `rules`: titles of what takes part in the score, before if it goes, else after."""

    subject: str
    family: str
    change: Change
    first_day: int
    last_day: int
    days: tuple[int, int]
    score: tuple[int | None, int | None]
    rules: tuple[str, ...]
    closed: int | None
    verdict: str | None


class BacktestReport(msgspec.Struct, frozen=True):
    """Pairs are (before, after). `since`, `until`: first and last local day, since 1970. `alerts`: of the
    families alone, those that have a day in the window. `people`: subjects of these alerts. `alert_days`:
    days of subjects at or above the line."""

    since: int
    until: int
    families: tuple[str, ...]
    differs: bool
    alerts: tuple[int, int]
    people: tuple[int, int]
    alert_days: tuple[int, int]
    changes: Mapping[str, int]
    """By Change: how many alerts."""
    per_day: tuple[DayCount, ...]
    rules: tuple[RuleCount, ...]
    exceptions: tuple[ExceptionCount, ...]
    leaks: Judged
    """Closed as confirmed."""
    benign: Judged
    """Closed as expected or false."""
    examples: tuple[Example, ...]
    events: int
    """Stored in the window, and before it where windows of correlations reach back."""
    blocks: int
    blocks_skipped: int
    """Held nothing that the replayed rules look at."""
    blocks_damaged: int
    correlations_dropped: Mapping[str, int]
    """By bound: what windows of correlations did not hold."""
    severities: SeverityChanges | None = None
    """None: of a dry run that was kept before these were counted."""


class Totals(msgspec.Struct):
    """What the processes of a back-test found; adds up. `rules`: by side and rule, hits and subjects.
    `rule_days`: hits by rule, day and side. `hidden`: by side, exception."""

    pairs: list[Pair] = []
    rules: dict[tuple[int, str], tuple[int, int]] = {}
    rule_days: dict[tuple[str, int, int], int] = {}
    hidden: dict[tuple[int, str], tuple[int, int]] = {}
    blocks: int = 0
    blocks_skipped: int = 0
    blocks_damaged: int = 0
    dropped: dict[str, int] = {}

    def add(self, other: Totals) -> None:
        self.pairs += other.pairs
        for mine, more in ((self.rules, other.rules), (self.hidden, other.hidden)):
            for key, (count, people) in more.items():
                known = mine.get(key, (0, 0))
                mine[key] = (known[0] + count, known[1] + people)
        self.rule_days = add_counts(self.rule_days, other.rule_days)
        self.dropped = add_counts(self.dropped, other.dropped)
        self.blocks += other.blocks
        self.blocks_skipped += other.blocks_skipped
        self.blocks_damaged += other.blocks_damaged


def add_counts(one: Mapping[Key, int], other: Mapping[Key, int]) -> dict[Key, int]:
    return dict(Counter(one) + Counter(other))


def report_of(
    totals: Totals,
    difference: Difference,
    pseudonyms: Mapping[str, str],
    *,
    window: tuple[int, int],
    events: int,
) -> BacktestReport:
    """`pseudonyms`: of the subjects of `examples_of`. window: first and last local day."""
    pairs = totals.pairs
    sides = [[pair.before for pair in pairs if pair.before], [pair.after for pair in pairs if pair.after]]
    kinds = Counter(kind for pair in pairs if (kind := change_of(pair)) is not None)
    return BacktestReport(
        since=window[0],
        until=window[1],
        families=tuple(sorted(difference.families)),
        differs=bool(difference.replayed),
        alerts=(len(sides[0]), len(sides[1])),
        people=(
            len({pair.subject for pair in pairs if pair.before}),
            len({pair.subject for pair in pairs if pair.after}),
        ),
        alert_days=(sum(len(each.days) for each in sides[0]), sum(len(each.days) for each in sides[1])),
        changes={str(kind): count for kind, count in kinds.items()},
        per_day=_per_day(sides, window),
        rules=_rules(totals, difference),
        exceptions=_exceptions(totals, difference),
        leaks=_judged(pairs, ("confirmed",)),
        benign=_judged(pairs, BENIGN),
        examples=tuple(_example(pair, difference, pseudonyms) for pair in examples_of(pairs)),
        events=events,
        blocks=totals.blocks,
        blocks_skipped=totals.blocks_skipped,
        blocks_damaged=totals.blocks_damaged,
        correlations_dropped=totals.dropped,
        severities=severity_changes(pairs),
    )


def change_of(pair: Pair) -> Change | None:
    """What became of an alert; None: it is the same."""
    before, after = pair.before, pair.after
    if before is None:
        return "new"
    if after is None:
        return "gone"
    if (before.score, before.days) == (after.score, after.days):
        return None
    return "more" if (after.score, len(after.days)) > (before.score, len(before.days)) else "less"


def examples_of(pairs: Iterable[Pair]) -> list[Pair]:
    """Those that say most: leaks first, then those of another severity, then by score; EXAMPLES_MAX of each
    kind."""
    found: dict[Change, list[Pair]] = {"gone": [], "new": [], "less": [], "more": []}
    for pair in pairs:
        kind = change_of(pair)
        if kind is not None:
            found[kind].append(pair)
    return [pair for each in found.values() for pair in sorted(each, key=_weight)[:EXAMPLES_MAX]]


def _weight(pair: Pair) -> tuple[bool, bool, int, str, str, int]:
    scores = [each.score for each in (pair.before, pair.after) if each is not None]
    is_leak = pair.closed is not None and pair.closed[1] == "confirmed"
    first = min(each.days[0] for each in (pair.before, pair.after) if each is not None)
    keeps_severity = severity_word(pair.before) == severity_word(pair.after)
    return not is_leak, keeps_severity, -max(scores), pair.subject, pair.family, first


def _per_day(sides: Sequence[Sequence[Found]], window: tuple[int, int]) -> tuple[DayCount, ...]:
    counts = [Counter(each.days[0] for each in side) for side in sides]
    # Where people live ahead of UTC, today may be tomorrow.
    last = max([window[1], *counts[0], *counts[1]])
    return tuple(DayCount(day, counts[0][day], counts[1][day]) for day in range(window[0], last + 1))


def _rules(totals: Totals, difference: Difference) -> tuple[RuleCount, ...]:
    before, after = difference.before.policies, difference.after.policies
    days: dict[str, dict[int, list[int]]] = {}
    for (rule_id, day, side), hits in totals.rule_days.items():
        days.setdefault(rule_id, {}).setdefault(day, [0, 0])[side] += hits
    found = []
    for rule_id in difference.replayed:
        counts = [totals.rules.get((side, rule_id), (0, 0)) for side in (0, 1)]
        found.append(
            RuleCount(
                rule_id,
                (after.get(rule_id) or before[rule_id]).title,
                _rule_change(difference, rule_id),
                (counts[0][0], counts[1][0]),
                (counts[0][1], counts[1][1]),
                tuple(DayCount(day, *each) for day, each in sorted(days.get(rule_id, {}).items())),
            )
        )
    order: tuple[RuleChange, ...] = ("changed", "new", "gone", "concerned", "same")
    return tuple(sorted(found, key=lambda each: (order.index(each.change), each.title, each.id)))


def _rule_change(difference: Difference, rule_id: str) -> RuleChange:
    before, after = difference.before, difference.after
    if rule_id not in before.policies:
        return "new"
    if rule_id not in after.policies:
        return "gone"
    if before.own_words(rule_id) != after.own_words(rule_id):
        return "changed"
    same = (before.words(rule_id), before.finds(rule_id)) == (after.words(rule_id), after.finds(rule_id))
    return "same" if same else "concerned"


def _exceptions(totals: Totals, difference: Difference) -> tuple[ExceptionCount, ...]:
    before, after = difference.before.exceptions, difference.after.exceptions
    found = []
    for exception_id in before.keys() | after.keys():
        counts = [totals.hidden.get((side, exception_id), (0, 0)) for side in (0, 1)]
        old, new = before.get(exception_id), after.get(exception_id)
        if old is not None and new is not None and old.hash == new.hash:
            continue
        change: RuleChange = "new" if old is None else "gone" if new is None else "changed"
        title = new.title if new is not None else old.title if old is not None else ""
        hidden, people = (counts[0][0], counts[1][0]), (counts[0][1], counts[1][1])
        found.append(ExceptionCount(exception_id, title, change, hidden, people))
    return tuple(sorted(found, key=lambda each: (each.title, each.id)))


def _judged(pairs: Sequence[Pair], verdicts: tuple[str, ...]) -> Judged:
    told: dict[str, set[int]] = {}
    for pair in pairs:
        if pair.after is not None:
            told.setdefault(pair.subject, set()).update(pair.after.days)
    found, missing, still = 0, [], 0
    for pair in pairs:
        if pair.closed is None or pair.closed[1] not in verdicts or pair.before is None:
            continue
        found += 1
        if pair.after is None:
            missing.append(pair.closed[0])
            still += not told.get(pair.subject, set()).isdisjoint(pair.before.days)
    return Judged(found, len(missing), still, tuple(sorted(missing)[:EXAMPLES_MAX]))


def _example(pair: Pair, difference: Difference, pseudonyms: Mapping[str, str]) -> Example:
    before, after = pair.before, pair.after
    kind = change_of(pair)
    assert kind is not None
    sides = [each for each in (before, after) if each is not None]
    policies = (difference.before if after is None else difference.after).policies
    told = sides[-1].rules
    return Example(
        subject=pseudonyms[pair.subject],
        family=pair.family,
        change=kind,
        first_day=min(each.days[0] for each in sides),
        last_day=max(each.days[-1] for each in sides),
        days=(len(before.days) if before else 0, len(after.days) if after else 0),
        score=(before.score if before else None, after.score if after else None),
        rules=tuple(policies[each].title for each in told if each in policies),
        closed=pair.closed[0] if pair.closed else None,
        verdict=pair.closed[1] if pair.closed else None,
    )
