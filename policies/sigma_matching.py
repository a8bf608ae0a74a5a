"""Sigma rules and correlations, loaded from files, on a stream of decoded events."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from policies.correlation.correlator import CorrelationAlert, Correlator, Limits
from policies.correlation.definition import define_correlations
from policies.correlation_checks import suppressed_ms, whole_days
from policies.detection.condition_tree import Placeholders
from policies.detection.detection_set import DetectionSet
from policies.errors import PolicyError
from policies.sigma_files import SigmaFiles, load_sigma


class RuleMatch(msgspec.Struct, frozen=True):
    """`event`: as it was given. `group` and `value`: of correlations only."""

    event: int
    rule: str | None
    title: str
    group: dict[str, str] | None = None
    value: float | None = None


class SigmaMatcher:
    """`errors`: of the files; what is good runs all the same."""

    def __init__(self, files: SigmaFiles, limits: Limits | None = None) -> None:
        self.errors: Final[tuple[PolicyError, ...]] = files.errors
        self.rules: Final = len(files.rules)
        self._names: Final = [(rule.rule_id, rule.title) for rule in files.rules]
        self._detections: Final = DetectionSet(files.trees)
        correlations = define_correlations(
            [rule.sigma for rule in files.rules],
            [correlation.sigma for correlation in files.correlations],
            suppress={at: suppressed_ms(each.value) for at, each in enumerate(files.correlations)},
            days={at: whole_days(each.value) for at, each in enumerate(files.correlations)},
            contents=[hashlib.sha256(repr(tree).encode()).hexdigest() for tree in files.trees],
        )
        self.correlator: Final = Correlator(correlations, limits)

    @property
    def correlates(self) -> bool:
        return bool(self.correlator.correlations)

    def take(self, event: int, time: int | None, record: Mapping[str, Any]) -> list[RuleMatch]:
        """The rules that fire, then the correlations that are complete. `time`: ms; None: no correlations."""
        numbers = self._detections.match(record)
        if not numbers:
            return []
        matches = [RuleMatch(event, *self._names[number]) for number in numbers]
        if time is not None and self.correlates:
            matches += map(self._of_alert, self.correlator.take(time, event, numbers, record))
        return matches

    def finish(self) -> list[RuleMatch]:
        """Correlations of events that still waited for others that come late."""
        return list(map(self._of_alert, self.correlator.finish()))

    def _of_alert(self, alert: CorrelationAlert) -> RuleMatch:
        correlation = self.correlator.correlations[alert.correlation]
        assert isinstance(alert.event, int)
        return RuleMatch(alert.event, correlation.rule_id, correlation.title, alert.group, alert.value)


def load_matcher(
    paths: Iterable[Path], *, placeholders: Placeholders | None = None, limits: Limits | None = None
) -> SigmaMatcher:
    return SigmaMatcher(load_sigma(paths, placeholders=placeholders), limits)
