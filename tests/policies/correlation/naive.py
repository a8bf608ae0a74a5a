"""Correlations as their meaning says, without any state: for every event its window, looked at anew.

Written from Sigma's specification, not from the engine: one list of what happened, and loops over it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

Hit = dict[str, Any]
"""time (s), event (its order among equals), rules (names), and the event's own fields."""
OPERATORS = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
}


def naive_alerts(correlation: dict[str, Any], hits: Sequence[Hit]) -> dict[int, tuple[str, float]]:
    """By event: the group and the value with which it completed the correlation."""
    span = int(correlation["timespan"][:-1])
    rules = correlation["rules"]
    counted = sorted(
        (hit for hit in hits if set(hit["rules"]) & set(rules) and _counts(correlation, hit)),
        key=lambda hit: (hit["time"], hit["event"]),
    )
    alerts = {}
    for at, hit in enumerate(counted):
        window = [
            other
            for other in counted[: at + 1]
            if other["time"] >= hit["time"] - span and other["group"] == hit["group"]
        ]
        value = _value(correlation, window)
        if _holds(correlation, value, window):
            alerts[hit["event"]] = (hit["group"], float(value))
    return alerts


def _counts(correlation: dict[str, Any], hit: Hit) -> bool:
    return not correlation["type"].startswith("value_") or hit["value"] is not None


def _value(correlation: dict[str, Any], window: Sequence[Hit]) -> Any:  # noqa: PLR0911 - one a kind
    kind = correlation["type"]
    values = [hit["value"] for hit in window]
    if kind == "event_count":
        return len(window)
    if kind == "value_count":
        return len(set(map(str, values)))
    if kind == "value_sum":
        return sum(map(Fraction, values))
    if kind == "value_avg":
        return sum(map(Fraction, values)) / len(values)
    if kind in ("value_percentile", "value_median"):
        percentile = correlation["condition"].get("percentile", 50) if kind == "value_percentile" else 50
        ordered = sorted(map(Fraction, values))
        place = Fraction(percentile, 100) * (len(ordered) - 1)
        low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
        return low + (high - low) * (place - math.floor(place))
    seen = {rule for hit in window for rule in hit["rules"]} & set(correlation["rules"])
    if kind == "temporal":
        return len(seen)
    return _longest_in_order(correlation["rules"], window)


def _longest_in_order(rules: Sequence[str], window: Sequence[Hit]) -> int:
    """The most rules of which some events come one after the other in the rules' order."""
    for length in range(len(rules), 0, -1):
        for chosen in itertools.combinations(rules, length):
            at = 0
            for hit in window:
                while at < length and chosen[at] in hit["rules"]:
                    at += 1
            if at == length:
                return length
    return 0


def _holds(correlation: dict[str, Any], value: Any, window: Sequence[Hit]) -> bool:
    condition: Any = correlation["condition"]
    if isinstance(condition, str):
        seen = {rule for hit in window for rule in hit["rules"]}
        names = {rule: rule in seen for rule in correlation["rules"]}
        if not eval(condition, {}, names):
            return False
        if correlation["type"] == "temporal":
            return True
        asked = [rule for rule in correlation["rules"] if f"not {rule}" not in condition and rule in seen]
        return _longest_in_order(asked, window) == len(asked)
    operator = next(name for name in OPERATORS if name in condition)
    return bool(OPERATORS[operator](value, condition[operator]))
