"""The compiled set of policies: which rules fire on a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Level = Literal["informational", "low", "medium", "high", "critical"]


class Policy(msgspec.Struct, frozen=True):
    rule_id: str
    title: str
    level: Level
    family: str
    description: str
    runbook: str
    tags: tuple[str, ...]
    file: str


class PolicyHit(msgspec.Struct, frozen=True):
    rule_id: str
    title: str
    level: Level
    family: str


class PolicySet:
    policies: tuple[Policy, ...]
    version: str
    """SHA-256 of the rules' content: changes when, and only when, a rule changes."""

    def match(self, record: Mapping[str, Any]) -> list[PolicyHit]:
        """Rules that fire on {…event's fields…, "leaver": {…}}, plain decoded JSON values."""
        raise NotImplementedError
