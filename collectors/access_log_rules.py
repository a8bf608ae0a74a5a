"""Which act a line is: the first rule of its source whose conditions all hold. Pure.

What no rule matches is no event, and nothing of it leaves the machine.
"""

from __future__ import annotations

from typing import Any

import msgspec

from collectors.access_log_config import OBJECT, Rule, compiled
from collectors.access_log_lines import AccessLine, text_of, value_of


class Mapped(msgspec.Struct, frozen=True):
    """An act. `number`: of its rule. `count`: what the line says, else None."""

    rule: Rule
    number: int
    object: str | None
    count: int | None


class NotMapped(msgspec.Struct, frozen=True):
    """Which rule came nearest, and the condition that did not hold."""

    why: str


class Rules:
    """Compiled once."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = [(rule, compiled(rule.path) if rule.path else None) for rule in rules]

    def find(self, line: AccessLine) -> Mapped | NotMapped:
        best = (-1, "no rule")
        for number, (rule, pattern) in enumerate(self._rules):
            held, object_ = 0, None
            if pattern is not None:
                found = None if line.path is None else pattern.fullmatch(line.path)
                if found is None:
                    best = max(best, (held, "no rule has such a path"), key=_held)
                    continue
                held += 1
                object_ = found.groupdict().get(OBJECT)
            why = _refusal(rule, line)
            if why is not None:
                best = max(best, (held + 1, f"{rule.action}: {why}"), key=_held)
                continue
            return Mapped(
                rule,
                number,
                object_ if object_ is not None else _object(line, rule.object_field),
                _count(value_of(line.values, rule.count_field)),
            )
        return NotMapped(best[1])


def _held(condition: tuple[int, str]) -> int:
    return condition[0]


def _refusal(rule: Rule, line: AccessLine) -> str | None:
    if rule.method and line.method not in rule.method:
        return f"method is not {' or '.join(rule.method)}"
    for name, wanted in rule.where.items():
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        if not any(_same(value_of(line.values, name), value) for value in values):
            return f"{name} is not {' or '.join(map(str, values))}"
    if rule.outcome != "any" and line.worked is not (rule.outcome == "success"):
        return f"it was no {rule.outcome}"
    if line.user is None and line.address is None and line.device is None:
        return "it says neither who nor from where"
    return None


def _same(found: Any, wanted: str | int | bool) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return isinstance(found, str | int) and str(found) == str(wanted)


def _object(line: AccessLine, field: str) -> str | None:
    """A field may hold an address: never with its query string."""
    text = text_of(value_of(line.values, field))
    return None if text is None else text.split("?", 1)[0] or None


def _count(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) < 19:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 2**63 else None
