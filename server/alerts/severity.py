"""The word for a score, the same in the queue, on the alert's page and in what is sent out."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


_LOWEST: Final = {Severity.CRITICAL: 90, Severity.HIGH: 70, Severity.MEDIUM: 50, Severity.LOW: 0}
"""The highest first. Below 50 nothing is alerted: such alerts have lost what they stood on."""


def severity_of(score: int) -> Severity:
    return next(severity for severity, lowest in _LOWEST.items() if score >= lowest)


def scores_of(severity: Severity) -> tuple[int, int]:
    """The lowest and the highest score of the word."""
    higher = [lowest for lowest in _LOWEST.values() if lowest > _LOWEST[severity]]
    return _LOWEST[severity], min(higher, default=101) - 1
