"""The rules of both sides of a back-test, and what of them must be run: pure.

Only rules that differ are replayed; what the others found is stored. A rule differs where what decides about
its hits and alerts does, or an exception from it; a correlation also where what it counts does. Beside them
run the rules that these count, and all rules about suspects: which of them fires says for whom all hits of
the event count. So where the hits of one of these change, all rules are replayed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from policies.correlation_file import ReadCorrelation
from policies.detection.detection_set import rule_tree
from policies.detection.routing import pinned_classes
from policies.engine import ParsedCorrelation, ParsedPolicy, Policy
from policies.errors import PolicyError, PolicyErrors
from policies.exceptions import ParsedException
from policies.rule_file import LoadedPolicies, ParsedText, good_texts, load_texts, policy_of

_DAY_MS: Final = 86_400_000


class Side:
    """The rules and exceptions that run on one side, those that are good; `others`: out of use there, but
    exceptions may name them. `faults`: of the rest."""

    def __init__(self, used: Iterable[ParsedText], others: Iterable[ParsedText]) -> None:
        self._others: Final = tuple(others)
        good, self.faults = good_texts(used, self._others)
        self.texts: Final[Mapping[str, ParsedText]] = {
            each.rule_id: each for each in good if each.rule_id is not None
        }
        self.policies: Final[dict[str, Policy]] = {
            rule_id: policy for rule_id, each in self.texts.items() if (policy := policy_of(each)) is not None
        }
        exceptions = [each.parsed for each in good if isinstance(each.parsed, ParsedException)]
        self._hidden_by: Final = {
            rule_id: tuple(sorted(each.hash for each in exceptions if rule_id in each.rules))
            for rule_id in self.policies
        }
        self.exceptions: Final = {each.exception_id: each for each in exceptions}
        whole = load_texts(good, out_of_use=self._others).policies.correlated
        self._lower: Final = {
            whole.ids[number]: [whole.ids[source.number] for source in each.sources if source.is_correlation]
            for number, each in enumerate(whole.plan.correlations)
        }
        self._reaches: Final = whole.reaches
        self._suppress: Final = {
            whole.ids[number]: each.suppress for number, each in enumerate(whole.plan.correlations)
        }

    def words(self, rule_id: str) -> Any:
        """What decides about the rule's hits and alerts; None: it does not run here."""
        match self.texts[rule_id].parsed if rule_id in self.policies else None:
            case ParsedPolicy(content=content):
                return content, self._hidden_by[rule_id]
            case ReadCorrelation(parsed=parsed):
                return parsed.content
            case _:
                return None

    def finds(self, rule_id: str) -> Any:
        """What decides about the rule's hits alone; of a correlation all that it counts."""
        match self.texts[rule_id].parsed if rule_id in self.policies else None:
            case ParsedPolicy(detects=detects, content=content):
                return detects or content, self._hidden_by[rule_id]
            case ReadCorrelation(parsed=parsed):
                return (parsed.content, *(self.finds(each) for each in sorted(self._below(rule_id))))
            case _:
                return None

    def own_words(self, rule_id: str) -> Any:
        """What the rule itself says of hits and alerts, without exceptions and what it counts."""
        match self.texts[rule_id].parsed:
            case ParsedPolicy(content=content) | ReadCorrelation(parsed=ParsedCorrelation(content=content)):
                return content
            case _:
                return None

    def is_about_suspects(self, rule_id: str) -> bool:
        return rule_id in self.policies and self.policies[rule_id].about == "suspect"

    def needed(self, replayed: Collection[str]) -> LoadedPolicies:
        """What must run so that these can be told."""
        wanted = set(self._sources(replayed))
        wanted.update(filter(self.is_about_suspects, self.policies))
        found = [each for rule_id, each in self.texts.items() if rule_id in wanted]
        found += [
            self.texts[exception_id]
            for exception_id, each in self.exceptions.items()
            if not wanted.isdisjoint(each.rules)
        ]
        there = {each.rule_id for each in found}
        others = [each for rule_id, each in self.texts.items() if rule_id not in there]
        return load_texts(found, out_of_use=[*self._others, *others])

    def classes(self, replayed: Collection[str]) -> frozenset[int] | None:
        """Event classes outside of which nothing of these can fire; None: any."""
        found: set[int] = set()
        for rule_id in self._sources(replayed):
            parsed = self.texts[rule_id].parsed
            if isinstance(parsed, ParsedPolicy):
                pinned = pinned_classes(rule_tree(parsed.conditions))
                if pinned is None:
                    return None
                found |= pinned
        return frozenset(found)

    def days_before(self, replayed: Collection[str]) -> int:
        """So far back lie events that make a correlation fire, or keep it quiet."""
        return max(
            (
                self._reaches[rule_id].days + -(-self._suppress[rule_id] // _DAY_MS)
                for rule_id in replayed
                if rule_id in self._reaches
            ),
            default=0,
        )

    def counts_suspects(self, replayed: Collection[str]) -> bool:
        """Whether any of these correlations counts rules about suspects."""
        return any(
            self.is_about_suspects(below)
            for rule_id in replayed
            if rule_id in self._reaches
            for below in self._below(rule_id)
        )

    def _sources(self, rule_ids: Iterable[str]) -> Iterable[str]:
        for rule_id in rule_ids:
            if rule_id in self.policies:
                yield rule_id
                yield from self._below(rule_id)

    def _below(self, rule_id: str) -> set[str]:
        """The rules and correlations that a correlation counts."""
        if rule_id not in self._reaches:
            return set()
        found = set(self._reaches[rule_id].rules)
        for lower in self._lower[rule_id]:
            found |= {lower, *self._below(lower)}
        return found


class Difference(msgspec.Struct, frozen=True):
    """`replayed`: ids of rules whose hits are made anew on both sides. `classes`: of events that these may
    fire on; None: any. `days_before`: so many days before the window are read for windows of correlations.
    `in_one`: it cannot be shared between processes."""

    before: Side
    after: Side
    replayed: frozenset[str]
    classes: frozenset[int] | None
    days_before: int
    correlates: bool
    in_one: bool

    @property
    def families(self) -> frozenset[str]:
        """In which alerts may differ."""
        sides = (self.before.policies, self.after.policies)
        found = {side[rule_id].family for rule_id in self.replayed for side in sides if rule_id in side}
        return frozenset(found - {""})


def difference(before: Side, after: Side, *, every_rule: bool = False) -> Difference:
    """`every_rule`: all are replayed, whether they differ or not."""
    everything = before.policies.keys() | after.policies.keys()
    differ = {
        rule_id
        for rule_id in everything
        if (before.words(rule_id), before.finds(rule_id)) != (after.words(rule_id), after.finds(rule_id))
    }
    sides = (before, after)
    # Stored indexes know where the rules that ran found suspects, not where others would.
    moved = any(side.is_about_suspects(rule_id) for rule_id in differ for side in sides)
    if every_rule or any(_moves_hits(before, after, rule_id) for rule_id in differ):
        differ = set(everything)
    classes = [side.classes(differ) for side in sides]
    known = [each for each in classes if each is not None]
    return Difference(
        before,
        after,
        frozenset(differ),
        frozenset().union(*known) if len(known) == len(classes) else None,
        max(side.days_before(differ) for side in sides),
        any(side.days_before(differ) for side in sides),
        moved or any(side.counts_suspects(differ) for side in sides),
    )


def _moves_hits(before: Side, after: Side, rule_id: str) -> bool:
    """Whether hits of other rules may count for somebody else."""
    about = (before.is_about_suspects(rule_id), after.is_about_suspects(rule_id))
    return any(about) and (about[0] != about[1] or before.finds(rule_id) != after.finds(rule_id))


def with_changes(
    running: Sequence[tuple[bool, ParsedText]], given: Sequence[ParsedText], without: Collection[str] = ()
) -> Side:
    """What runs (each with whether it is in use), with what is given in place of or beside it, all of that in
    use. `without`: ids that are out of use there. Raises PolicyErrors where these bring faults of their
    own."""
    faults = [error for each in given for error in each.errors]
    faults += [PolicyError(each.text.file, 1, "the rule has no id") for each in given if each.rule_id is None]
    if faults:
        raise PolicyErrors(tuple(faults))
    replaced = {each.rule_id for each in given} | set(without)
    kept = [(runs, each) for runs, each in running if each.rule_id not in replaced]
    others = [each for runs, each in kept if not runs]
    others += [each for _, each in running if each.rule_id in without]
    side = Side([*(each for runs, each in kept if runs), *given], others)
    before = Side((each for runs, each in running if runs), [each for runs, each in running if not runs])
    known = {str(error) for error in before.faults}
    new = tuple(error for error in side.faults if str(error) not in known)
    if without:
        # What counts a rule that is out of use does not run either.
        files = {each.text.file for each in given}
        new = tuple(error for error in new if error.file in files)
    if new:
        raise PolicyErrors(new)
    return side
